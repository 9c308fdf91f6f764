"""Weeks (from Monday) and months, in UTC, as plots show them."""

from datetime import date, datetime, timedelta
from typing import Literal

from django.utils import timezone

Period = Literal["week", "month"]
# Two years.
SHOWN: dict[Period, int] = {"week": 104, "month": 24}


def starts_of(period: Period, at: datetime | None = None) -> list[date]:
    """The first days of the periods shown, oldest first."""
    today = (at or timezone.now()).date()
    count = SHOWN[period]
    if period == "week":
        monday = today - timedelta(days=today.weekday())
        return [monday - timedelta(weeks=back) for back in reversed(range(count))]
    return [_month_before(today, back) for back in reversed(range(count))]


def _month_before(day: date, back: int) -> date:
    years, month = divmod(day.year * 12 + day.month - 1 - back, 12)
    return date(years, month + 1, 1)

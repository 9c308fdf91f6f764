"""The policies say of the software what is so."""

from datetime import timedelta

import pytest
from django.conf import settings

from mail import KeptSuppression
from newsletter import emails, limits, moving, preferences, subscribing
from review import models as signing
from review import standing_of
from tests import library
from tests.library import LIBRARY

PRIVACY = library.plain(library.markdown(LIBRARY / "privacy.md"))
EDITORIAL = library.plain(library.markdown(LIBRARY / "editorial-policy.md"))
A_MONTH = timedelta(days=365) / 12


@pytest.mark.parametrize(
    "promise",
    [
        f"The link works for {emails.CONFIRMATION_HOLDS_DAYS} days. If nobody",
        f"deleted within {settings.RETAIN_UNCONFIRMED_DAYS} days",
        f"The link works for {emails.PERMISSION_HOLDS_DAYS} days. If you do not",
        f"The link works for {preferences.LINK_HOLDS / timedelta(hours=1):.0f} hours",
        f"Article 6(1)(a). Kept for {moving.MOVE_WITHIN.days} days.",
        f"at most one such e-mail to an address in "
        f"{subscribing.ONE_CONFIRMATION_PER / timedelta(hours=1):.0f} hours",
    ],
)
def test_the_privacy_notice_names_the_periods_that_are_kept(promise: str) -> None:
    assert promise in PRIVACY


def test_counters_against_floods_last_a_day_as_the_notice_says() -> None:
    assert timedelta(seconds=limits.DAY) == timedelta(days=1)
    assert "last for a day at most" in PRIVACY


def test_every_reason_for_not_writing_is_in_the_privacy_notice() -> None:
    words = {
        "HARD_BOUNCE": "it does not exist",
        "COMPLAINT": "it reported us as spam",
        "MANUAL": "it was blocked by hand",
        "LEFT": "it left the list",
        "NO_ANSWER": "it did not answer when we asked",
    }

    assert words.keys() == set(KeptSuppression.Reason.names)
    assert [one for one in words.values() if one not in PRIVACY] == []


def test_the_editorial_policy_names_the_ends_of_a_review() -> None:
    longest = round(signing.LONGEST_VALIDITY / A_MONTH)

    assert f"from {standing_of.LAPSED_AFTER.days} days after the end date" in EDITORIAL
    assert f"The software allows {longest} months at most" in EDITORIAL

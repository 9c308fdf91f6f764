"""A batch's figures for a terminal and for programs."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from mail.counting import Counts, Pace, counts, pace
from mail.models import Batch, BatchEvent

FATES = ("accepted", "refused", "dropped", "uncertain")
COLUMNS = ("batch", "state", "eligible", *FATES, "waiting", "started (UTC)", "name")


def figures(batch: Batch) -> dict[str, Any]:
    """For programs; times are UTC, spans in seconds."""
    found, speed = counts(batch), pace(batch)
    return {
        "batch": batch.pk,
        "name": batch.name,
        "state": batch.state,
        "pause_reason": batch.pause_reason,
        "corrects": batch.corrects_id,
        "eligible": found.eligible,
        **{fate: found.of(fate) for fate in FATES},
        "waiting": found.waiting,
        "add_up": found.add_up,
        "reasons": {fate: found.by_reason(fate) for fate in FATES},
        "first_taken_at": _iso(speed.first_at),
        "last_taken_at": _iso(speed.last_at),
        "seconds": speed.seconds,
        "per_second": speed.per_second,
        "complaints": speed.complaints,
        "complaint_percent": speed.complaint_percent,
    }


def overview(batches: list[Batch]) -> str:
    """One line a batch, under headings."""
    rows = [COLUMNS, *(_row(batch, counts(batch)) for batch in batches)]
    # The last column may be as long as it likes.
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS) - 1)]
    return "\n".join(_aligned(row, widths) for row in rows)


def _row(batch: Batch, found: Counts) -> tuple[str, ...]:
    numbers = [found.eligible, *(found.of(fate) for fate in FATES), found.waiting]
    started = f"{batch.created_at.astimezone(UTC):%Y-%m-%d %H:%M}"
    written = [f"{number:,}" for number in numbers]
    return (str(batch.pk), batch.state, *written, started, batch.name)


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    words = [
        text.ljust(width) if at in (1, 8) else text.rjust(width)
        for at, (text, width) in enumerate(zip(row, widths, strict=False))
    ]
    return "  ".join([*words, row[-1]])


def report(batch: Batch) -> str:
    """One batch on a screen, for a person."""
    return "\n".join(_report(batch))


def _report(batch: Batch) -> Iterator[str]:
    found, speed = counts(batch), pace(batch)
    yield f"Batch {batch.pk}: {batch.name}"
    yield _standing(batch)
    yield ""
    yield f"eligible   {found.eligible:>10,}"
    for fate in FATES:
        yield f"  {fate:<9}{found.of(fate):>10,}{_reasons(found, fate)}"
    yield f"  {'waiting':<9}{found.waiting:>10,}"
    yield ""
    yield _sum(found)
    yield ""
    yield from _pace(speed)
    if events := list(batch.events.select_related("by")):
        yield ""
        yield "What was done"
        yield from (f"  {_event(one)}" for one in events)


def _standing(batch: Batch) -> str:
    if batch.state == Batch.State.PAUSED:
        return f"paused: {batch.pause_reason}"
    if batch.finished_at:
        return f"{batch.state}, ended {_at(batch.finished_at)}"
    return str(batch.state)


def _reasons(found: Counts, fate: str) -> str:
    told = [
        f"{reason} ({number:,})"
        for reason, number in found.by_reason(fate).items()
        if reason
    ]
    return f"   {', '.join(told)}" if told else ""


def _sum(found: Counts) -> str:
    fates = " + ".join(f"{found.of(fate):,}" for fate in FATES)
    if found.add_up:
        return f"The sum holds: {found.eligible:,} = {fates}."
    if found.is_complete:
        return f"Not ended: {found.waiting:,} of {found.eligible:,} wait for a fate."
    return (
        f"THE SUM DOES NOT HOLD: {found.eligible:,} were eligible, but {fates} and "
        f"{found.waiting:,} that wait make {found.known:,}."
    )


def _pace(speed: Pace) -> Iterator[str]:
    if speed.first_at is None or speed.last_at is None:
        yield "Nothing was taken by the mail server yet."
        return
    yield f"first taken  {_at(speed.first_at)}"
    yield f"last taken   {_at(speed.last_at)}"
    rate = f", {speed.per_second:,.1f} a second" if speed.per_second else ""
    yield f"took         {speed.seconds:,.1f} s{rate}"
    yield (
        f"complaints   {speed.complaints:,} of {speed.accepted:,} accepted"
        f" ({speed.complaint_percent:.2f} %)"
    )


def _event(event: BatchEvent) -> str:
    who = event.by or "the site itself"
    about = f": {event.note}" if event.note else ""
    return f"{_at(event.occurred_at)}  {event.act} by {who}{about}"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%-d %B %Y, %H:%M:%S} UTC"


def _iso(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).isoformat() if moment else None

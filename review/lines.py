"""What readers are told of a text's standing."""

from dataclasses import dataclass
from datetime import date, datetime

from review.standing_of import Standing, State

STILL_NAMED = (State.CURRENT, State.DUE_SOON, State.OVERDUE)


@dataclass(frozen=True)
class ReviewLine:
    """A standing as a reader sees it. Names stand only where an approval holds."""

    state: str
    demonstration: bool
    signer_name: str
    signer_credentials: str
    reviewed_on: date | None
    next_review_due: date | None
    since: date | None
    # "" where the text has no record of its own to read.
    record_url: str = ""
    unsigned_reason: str = ""
    # When it reads otherwise by itself; None: never.
    until: datetime | None = None

    @property
    def is_claim(self) -> bool:
        """Whether the page may say, to people and machines, that it is reviewed."""
        return not self.demonstration and self.state in ("current", "due_soon")


def line_of(
    found: Standing, *, record_url: str = "", unsigned_reason: str = ""
) -> ReviewLine:
    sign_off = found.sign_off
    names = sign_off if found.state in STILL_NAMED else None
    return ReviewLine(
        state=found.state.name.lower(),
        demonstration=bool(sign_off and sign_off.demonstration),
        signer_name=names.signer_name if names else "",
        signer_credentials=names.signer_credentials if names else "",
        reviewed_on=names.signed_at.date() if names else None,
        next_review_due=names.valid_until.date() if names else None,
        since=found.since.date() if found.since else None,
        record_url=record_url,
        unsigned_reason=unsigned_reason,
        until=found.until,
    )

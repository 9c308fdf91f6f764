"""People from another list come in: who has no proof of consent is not mailed.

A piece of the file is one transaction, and what is done is known by what is there: the
same file again doubles nothing, and completes what was cut off.
"""

import secrets
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import BinaryIO
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from ledger import attest_many
from mail import KeptSuppression, Recipient, kept_off, recipients_for
from newsletter.consent import commitment_to
from newsletter.importfiles import Checked, Evidence, Line, lines
from newsletter.models import (
    ImportedContext,
    ImportedEvidence,
    ListImport,
    Subscriber,
)

PIECE = 5_000
Status = Subscriber.Status
Reason = KeptSuppression.Reason


class Happened(StrEnum):
    """To one line. Only `CONFIRMED` gets mail without being asked first."""

    ADDED = "added"
    CONFIRMED = "confirmed"
    KEPT = "kept as it was"
    LEFT_OUT = "left out"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Fate:
    line: Line
    happened: Happened
    why: str


VOUCHED_FOR = "The operator vouches for the evidence."
TO_BE_ASKED = "Not mailed before they say yes (askpermission)."
NO_PROOF = "Not mailed before they say yes: agreed_at or wording is missing."
TWICE = "The address stands on an earlier line."
BLOCKED = "May not be written to: {}."
KEPT_OFF: dict[str, str] = {
    Reason.LEFT: "Left the list and was erased.",
    Reason.NO_ANSWER: "Did not answer when asked, and was erased.",
}
ON_THE_LIST: dict[str, str] = {
    Status.CONFIRMED: "Is on the list.",
    Status.UNCONFIRMED: "Has not confirmed yet.",
    Status.UNSUBSCRIBED: "Left the list.",
}


def take_in(
    file: BinaryIO, checked: Checked, *, trust_evidence: bool = False
) -> Iterator[list[Fate]]:
    """Take in a file that was checked; what happened to its lines, piece by piece.

    `trust_evidence` is the operator's word that what the file says of a consent is
    true: who has a time and the words is confirmed. Nobody who left, bounced,
    complained or was blocked comes back, and whoever is here keeps what they chose.
    """
    brought_by = import_of(checked)
    rest = lines(file)
    while piece := list(islice(rest, PIECE)):
        yield _take_piece(brought_by, piece, trust=trust_evidence)
    ListImport.objects.filter(pk=brought_by.pk, ended_at=None).update(
        ended_at=timezone.now()
    )


def import_of(checked: Checked) -> ListImport:
    """The same file is the same import, however often it is taken in."""
    found, _ = ListImport.objects.get_or_create(file_digest=checked.digest)
    return found


@transaction.atomic
def _take_piece(
    brought_by: ListImport, piece: Sequence[Line], *, trust: bool
) -> list[Fate]:
    wanted = _first_of_each(piece)
    barred = kept_off(wanted)
    Subscriber.objects.hold(wanted.keys())
    recipients = recipients_for(wanted.keys() - barred.keys())
    known = _subscribers_of(recipients.values())
    new = _add(
        brought_by,
        [one for one in recipients.values() if _may_come(one) and one.pk not in known],
    )
    people = known | new
    waiting = {
        address: people[one.pk]
        for address, one in recipients.items()
        if _may_come(one) and _waits(people[one.pk])
    }
    _keep_evidence(brought_by, wanted, waiting, trust=trust)
    confirmed = _confirm(wanted, waiting) if trust else set()

    def fate(line: Line) -> tuple[Happened, str]:
        if line.problem:
            return Happened.REFUSED, line.problem
        if wanted[line.address] is not line:
            return Happened.KEPT, TWICE
        if why := barred.get(line.address):
            return Happened.LEFT_OUT, KEPT_OFF.get(why, BLOCKED.format(why))
        recipient = recipients[line.address]
        if not _may_come(recipient):
            return Happened.LEFT_OUT, BLOCKED.format(recipient.suppression)
        if line.address in confirmed:
            return Happened.CONFIRMED, VOUCHED_FOR
        if recipient.pk in new:
            said = NO_PROOF if trust and line.evidence else TO_BE_ASKED
            return Happened.ADDED, said
        return Happened.KEPT, ON_THE_LIST[known[recipient.pk].status]

    return [Fate(line, *fate(line)) for line in piece]


def _first_of_each(piece: Sequence[Line]) -> dict[str, Line]:
    """The lines that name somebody, by address; the first one where there are two."""
    named = [line for line in piece if not line.problem]
    return {line.address: line for line in reversed(named)}


def _may_come(recipient: Recipient) -> bool:
    return not recipient.suppression


def _waits(subscriber: Subscriber) -> bool:
    """Came in with a file and has neither agreed nor left since."""
    is_open = subscriber.status == Status.UNCONFIRMED and not subscriber.unsubscribed_at
    return is_open and subscriber.brought_by_id is not None


def _subscribers_of(recipients: Collection[Recipient]) -> dict[int, Subscriber]:
    """By the recipient's id, locked."""
    found = Subscriber.objects.filter(recipient__in=[one.pk for one in recipients])
    return {one.recipient_id: one for one in found.select_for_update().order_by("pk")}


def _add(
    brought_by: ListImport, recipients: Sequence[Recipient]
) -> dict[int, Subscriber]:
    added = Subscriber.objects.bulk_create(
        Subscriber(recipient=one, brought_by=brought_by) for one in recipients
    )
    return {one.recipient_id: one for one in added}


def _keep_evidence(
    brought_by: ListImport,
    wanted: dict[str, Line],
    waiting: dict[str, Subscriber],
    *,
    trust: bool,
) -> None:
    """Attest what the file says of each who waits, once."""
    digest = brought_by.file_digest
    said = {
        (one.key, wanted[address].number): found
        for address, one in waiting.items()
        if (found := wanted[address].evidence)
    }
    kept = ImportedEvidence.objects.filter(
        subscriber_key__in=[key for key, _ in said], file_digest=digest
    )
    for key, number, trusted in kept.values_list("subscriber_key", "line", "trusted"):
        if trusted == (trust and said[key, number].is_proof):
            del said[key, number]
    made = [
        _attestable(digest, key, number, found, trusted=trust and found.is_proof)
        for (key, number), found in said.items()
    ]
    attest_many([evidence for evidence, _ in made])
    ImportedContext.objects.bulk_create(context for _, context in made)


def _attestable(
    digest: str, key: UUID, number: int, found: Evidence, *, trusted: bool
) -> tuple[ImportedEvidence, ImportedContext]:
    salt = secrets.token_hex(32)
    words = {
        "wording": found.wording,
        "terms": found.terms,
        "page": found.page,
        "source": found.source,
    }
    evidence = ImportedEvidence(
        subscriber_key=key,
        file_digest=digest,
        line=number,
        trusted=trusted,
        agreed_at=found.agreed_at,
        context_commitment=commitment_to(salt, words),
    )
    return evidence, ImportedContext(evidence=evidence, salt=salt, **words)


def _confirm(wanted: dict[str, Line], waiting: dict[str, Subscriber]) -> set[str]:
    """Who has proof of consent is on the list from now on."""
    proven = {
        address: one
        for address, one in waiting.items()
        if (found := wanted[address].evidence) and found.is_proof
    }
    mine = Subscriber.objects.filter(pk__in=[one.pk for one in proven.values()])
    mine.update(status=Status.CONFIRMED, confirmed_at=timezone.now())
    Recipient.objects.filter(
        pk__in=[one.recipient_id for one in proven.values()]
    ).update(may_receive=True)
    return set(proven)

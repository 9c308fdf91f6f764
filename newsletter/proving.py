"""What shows a stranger that a person agreed, to which words, and that they stand.

One account, told as JSON, as text and as a page. A person's topics are not in it: they
say nothing about consent, and much about health.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone

from articles import catalogue
from ledger import Attested, Verification, head, prove
from mail import canonical_address
from newsletter import wording
from newsletter.agreements import Agreement, agreements_of, brought_with, facts_of
from newsletter.composing import text_of
from newsletter.consent import commitment_to
from newsletter.models import (
    ConsentContext,
    ConsentEvent,
    ImportedContext,
    ImportedEvidence,
    Subscriber,
    Wording,
)

Act, Matter = ConsentEvent.Act, ConsentEvent.Matter
FORMAT = "consent-proof/1"
DECISIVE = (Act.CONFIRMED, Act.WITHDRAWN, Act.ERASED)
HOW_TO_CHECK = (
    "Commitment: the SHA-256 of the salt's 32 bytes followed by the facts as canonical "
    "JSON (RFC 8785, texts in Unicode NFC).",
    "Link: the SHA-256 of the canonical JSON of previous (the link before; 64 zeros "
    "for the first), position, entry, kind, salt, commitment and recorded_at, as they "
    "stand here.",
    "Wording: its digest is the SHA-256 of the canonical JSON of locale and its words.",
    "Where it was said: the commitment is the SHA-256 of its own salt's 32 bytes "
    "followed by the canonical JSON of what was said. That may be erased; the "
    "commitment stays.",
    "Newest seal: a head that was printed earlier, at the foot of a health tip or on "
    "the trust page, must still be a link of the chain: manage.py verifyledger "
    "--witness HASH.",
)


class Unknown(Exception):
    """Nobody has this address: they never signed up, or were erased since."""


@dataclass(frozen=True)
class ConsentProof:
    """The account as JSON has it, and in sentences what is wrong (nothing: proved)."""

    told: dict[str, Any]
    faults: list[str]

    def as_text(self) -> str:
        return render_to_string("newsletter/proof/proof.txt", {"proof": self.told})

    def as_page(self) -> str:
        """A page of its own, to be read and printed anywhere: it loads nothing."""
        return render_to_string("newsletter/proof/page.html", {"proof": self.told})


def find(typed: str) -> Subscriber:
    """Who has exactly this address. Raises NotAnAddress or Unknown."""
    address = canonical_address(typed)
    people = Subscriber.objects.select_related("recipient")
    found = people.filter(recipient__address=address).first()
    if found is None:
        raise Unknown(
            "Nobody with this address is known here: they never signed up, or were "
            "erased since."
        )
    return found


def prove_consent(
    subscriber: Subscriber,
    *,
    with_terms: bool = False,
    ledger: Verification | None = None,
) -> ConsentProof:
    """All evidence of one person; `ledger` is what a look at the whole chain found."""
    events = [fact.event for fact in facts_of(subscriber)]
    brought = list(brought_with(subscriber))
    teller = _Teller(events, brought, with_terms=with_terms)
    seen = [
        *teller.faults(),
        *_discords(subscriber, events, brought),
        *(_elsewhere(ledger) if ledger else ()),
    ]
    # The same fault may be seen from the row and on the way along the chain.
    faults = list(dict.fromkeys(seen))
    newest = head()
    told = {
        "format": FORMAT,
        "site": settings.SITE_URL,
        "made_at": _time(timezone.now()),
        "person": _person(subscriber),
        "agreements": [teller.agreement(one) for one in agreements_of(subscriber)],
        "events": [teller.event(one) for one in events],
        "brought_from_another_list": [teller.brought(one) for one in brought],
        "newest_seal": newest
        and {
            "position": newest.position,
            "link": newest.hash,
            "sealed_at": _time(newest.day),
        },
        "whole_ledger": ledger
        and {
            "entries": ledger.entries,
            "sealed": ledger.sealed,
            "is_whole": ledger.is_whole,
        },
        "faults": faults,
        "how_to_check": list(HOW_TO_CHECK),
    }
    return ConsentProof(told, faults)


def chain_faults(events: Sequence[ConsentEvent]) -> dict[int, list[str]]:
    """By an event's id, what is wrong with it or with the words it refers to."""
    teller = _Teller(events, with_terms=False)
    return {one.pk: teller.faults_of(one) for one in events}


def _elsewhere(ledger: Verification) -> Iterator[str]:
    for fault in ledger.faults:
        at = f"entry {fault.entry}: " if fault.entry else ""
        yield f"{at}{fault.sentence}"


def _discords(
    subscriber: Subscriber,
    events: Sequence[ConsentEvent],
    brought: Sequence[ImportedEvidence],
) -> Iterator[str]:
    """Where the list says something else than the ledger."""
    acts = [
        one.act
        for one in events
        if one.matter == Matter.NEWSLETTER and one.act in DECISIVE
    ]
    vouched_for = any(one.trusted for one in brought)
    consent_stands = acts[-1] == Act.CONFIRMED if acts else vouched_for
    is_on_the_list = subscriber.status == Subscriber.Status.CONFIRMED
    if is_on_the_list and not consent_stands:
        yield "the person is on the list, but no confirmation stands in the ledger"
    if consent_stands and not is_on_the_list:
        yield (
            f"the list says {subscriber.status}, but the ledger knows of no withdrawal"
        )


def _person(subscriber: Subscriber) -> dict[str, Any]:
    recipient = subscriber.recipient
    return {
        "address": recipient.address,
        "key": str(subscriber.key),
        "status": subscriber.status,
        "signed_up_at": _time(subscriber.created_at),
        "confirmed_at": _time(subscriber.confirmed_at),
        "unsubscribed_at": _time(subscriber.unsubscribed_at),
        "may_be_mailed": recipient.may_receive and not recipient.suppression,
        "not_mailed_because": recipient.suppression or None,
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


# What stands in a row's erasable context, as it was committed to.
WORDS: dict[type[Attested], tuple[str, ...]] = {
    ConsentEvent: ("page", "network"),
    ImportedEvidence: ("wording", "terms", "page", "source"),
}


class _Teller:
    """Rows with their contexts, words and Terms, each proved once."""

    def __init__(
        self,
        events: Sequence[ConsentEvent],
        brought: Sequence[ImportedEvidence] = (),
        *,
        with_terms: bool,
    ) -> None:
        self._with_terms = with_terms
        self._events, self._brought = events, brought
        words = {one.wording.pk: one.wording for one in events if one.wording}
        terms = {one.terms.pk: one.terms for one in events if one.terms}
        rows = [*events, *brought, *words.values(), *terms.values()]
        self._proofs = {_name(one.row): one for one in prove(rows)}
        self._terms = terms
        self._texts = catalogue.kept_texts(list(terms))
        self._contexts = dict(_contexts_of(events, brought))

    def faults(self) -> Iterator[str]:
        for event in self._events:
            yield from self.faults_of(event)
        for row in self._brought:
            yield from self._row_faults(row)

    def faults_of(self, event: ConsentEvent) -> list[str]:
        """Of the event itself, of its context, of the words and Terms it names."""
        found = list(self._row_faults(event))
        if event.wording:
            found += self._wording_faults(event.wording)
        if event.terms:
            found += self._proofs[_name(event.terms)].faults
        return found

    def _row_faults(self, row: ConsentEvent | ImportedEvidence) -> Iterator[str]:
        yield from self._proofs[_name(row)].faults
        if self._context_state(row) == "changed":
            table = row._meta.db_table
            yield f"what was noted beside row {row.pk} of {table} was changed"

    def _wording_faults(self, words: Wording) -> Iterator[str]:
        yield from self._proofs[_name(words)].faults
        if wording.digest_of(words.locale, words.text) != words.digest:
            yield f"the wording {words.digest[:12]} does not have that digest"

    def agreement(self, agreement: Agreement) -> dict[str, Any]:
        return {
            "asked_at": _time(agreement.asked_at),
            "confirmed_at": _time(agreement.confirmed_at),
            "withdrawn_at": _time(agreement.withdrawn_at),
            "wording": self._told_wording(agreement.wording),
            "terms": agreement.terms_id and self._told_terms(agreement.terms_id),
        }

    def _told_wording(self, words: Wording) -> dict[str, Any]:
        return {
            "digest": words.digest,
            "recomputed_digest": wording.digest_of(words.locale, words.text),
            "locale": words.locale,
            "words": words.text,
            "first_shown_at": _time(words.created_at),
            "evidence": self._proofs[_name(words)].told(),
        }

    def _told_terms(self, revision_id: int) -> dict[str, Any]:
        text, row = self._texts.get(revision_id), self._terms.get(revision_id)
        if text is None or row is None:
            return {"revision_id": revision_id, "is_gone": True}
        told = {
            "revision_id": revision_id,
            "title": text.title,
            "revision": text.number,
            "digest": text.digest,
            "recomputed_digest": text.recomputed,
            "saved_at": _time(text.saved_at),
            "is_on_the_site": text.is_live,
            "read_at": f"{settings.SITE_URL}{text.url}",
            "evidence": self._proofs[_name(row)].told(),
        }
        if self._with_terms:
            told["content"] = text.content
            told["text"] = text_of(str(text.content.get("body", "")))
        return told

    def event(self, event: ConsentEvent) -> dict[str, Any]:
        return {
            "act": event.act,
            "matter": event.matter,
            "at": _time(event.occurred_at),
            "wording": event.wording and event.wording.digest,
            "terms_revision_id": event.terms_id,
            **self._told_row(event),
        }

    def brought(self, row: ImportedEvidence) -> dict[str, Any]:
        return {
            "agreed_at": _time(row.agreed_at),
            "vouched_for": row.trusted,
            "file_sha256": row.file_digest,
            "line": row.line,
            "recorded_at": _time(row.recorded_at),
            **self._told_row(row),
        }

    def _told_row(self, row: ConsentEvent | ImportedEvidence) -> dict[str, Any]:
        context: dict[str, Any] = {"state": self._context_state(row)}
        if found := self._contexts.get(_name(row)):
            context |= {
                "said": _said(row, found),
                "salt": found.salt,
                "commitment": row.context_commitment,
            }
        return {"context": context, "evidence": self._proofs[_name(row)].told()}

    def _context_state(self, row: ConsentEvent | ImportedEvidence) -> str:
        """none was kept, erased, matches its commitment, or changed since."""
        context = self._contexts.get(_name(row))
        if context is None:
            return "erased" if row.context_commitment else "none"
        try:
            said = commitment_to(context.salt, _said(row, context))
        except ValueError:
            # Such a salt was never made.
            return "changed"
        return "matches" if said == row.context_commitment else "changed"


Context = ConsentContext | ImportedContext


def _name(row: Attested) -> tuple[type[Attested], int]:
    return type(row), row.pk


def _contexts_of(
    events: Sequence[ConsentEvent], brought: Sequence[ImportedEvidence]
) -> Iterator[tuple[tuple[type[Attested], int], Context]]:
    for one in ConsentContext.objects.filter(event__in=[row.pk for row in events]):
        yield (ConsentEvent, one.event_id), one
    ids = [row.pk for row in brought]
    for other in ImportedContext.objects.filter(evidence__in=ids):
        yield (ImportedEvidence, other.evidence_id), other


def _said(row: Attested, context: Context) -> dict[str, str]:
    return {name: getattr(context, name) for name in WORDS[type(row)]}

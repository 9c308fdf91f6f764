"""Taking what comes back by mail: noted once, believed for our own key alone.

Nothing is ever answered. `reports` says what a mail means; here it has consequences.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mail.models import Batch, BatchEvent, Delivery, Recipient
from mail.pausing import pause
from mail.queueing import drop_waiting
from mail.reports import Kind, Verdict, classify, key_in, kind_of, status_in
from mail.settling import suppress

log = structlog.get_logger(__name__)

Bounce = Delivery.Bounce
NOTED = {
    Kind.SOFT: Bounce.SOFT,
    Kind.POLICY: Bounce.POLICY,
    Kind.HARD: Bounce.HARD,
    Kind.COMPLAINT: Bounce.COMPLAINT,
}
SUPPRESSES = {
    Bounce.HARD: Recipient.Suppression.HARD_BOUNCE,
    Bounce.COMPLAINT: Recipient.Suppression.COMPLAINT,
}
# Gmail and Yahoo look askance from 0.10 % and refuse from 0.30 % on; few complaints, or
# few mails, say nothing yet.
ALARM_PER_10_000, PAUSE_PER_10_000 = 10, 30
FEWEST_COMPLAINTS, FEWEST_ACCEPTED = 5, 1000
COUNTED_FOR = timedelta(days=7)
# One host with rules of its own is no reason to stop a large batch; a provider that
# has a tenth of the readers is noticed before it refused a twentieth of them.
FEWEST_REFUSALS, REFUSALS_PER_10_000 = 5, 50


@dataclass(frozen=True)
class Taken:
    """What became of a mail that came back; its text holds no address."""

    kind: Kind
    status: str = ""
    delivery_id: int | None = None
    # Why nothing changed; empty when something did.
    ignored: str = ""

    def __str__(self) -> str:
        what = f"{self.kind} {self.status}".strip()
        if self.ignored:
            return f"{what}: ignored, {self.ignored}"
        return f"{what}: noted for delivery {self.delivery_id}"


@dataclass(frozen=True)
class Share:
    """Complaints against what was accepted."""

    complaints: int
    accepted: int

    def alarms(self) -> bool:
        return self._reaches(ALARM_PER_10_000)

    def pauses(self) -> bool:
        return self._reaches(PAUSE_PER_10_000)

    def _reaches(self, per_10_000: int) -> bool:
        return (
            self.complaints >= FEWEST_COMPLAINTS
            and self.accepted >= FEWEST_ACCEPTED
            and self.complaints * 10_000 >= per_10_000 * self.accepted
        )


def take(raw: bytes, envelope_to: str | None = None) -> Taken:
    """Note what `raw` says about our delivery; the same report twice is once.

    `envelope_to` is the envelope's recipient where the mail server tells it: a key in
    it decides, else one in the headers or in the Message-ID that came back.
    """
    report = classify(raw)
    key = key_in(envelope_to or "") or report.key
    return _taken(key, Verdict(report.kind, report.status), report.about)


def take_event(key: UUID | None, verdict: Verdict) -> Taken:
    """The same for what a provider's webhook says; the request was proven."""
    return _taken(key, verdict, lambda address: verdict)


def _taken(
    key: UUID | None, verdict: Verdict, about: Callable[[str], Verdict]
) -> Taken:
    delivery = (
        Delivery.objects.select_related("recipient").filter(key=key).first()
        if key
        else None
    )
    if delivery is None:
        reason = "nobody issued its key" if key else "it has no key of ours"
        taken = Taken(verdict.kind, verdict.status, ignored=reason)
    else:
        taken = _take(delivery, about(delivery.recipient.address))
    _say(taken)
    return taken


@transaction.atomic
def _take(delivery: Delivery, verdict: Verdict) -> Taken:
    def ignored(reason: str) -> Taken:
        return Taken(verdict.kind, verdict.status, delivery.pk, reason)

    bounce = NOTED.get(verdict.kind)
    if bounce is None:
        return ignored("it says nothing to note")
    # Batch, then person, then delivery: everybody who counts waits for the other.
    batch = (
        Batch.objects.select_for_update(no_key=True).get(pk=delivery.batch_id)
        if delivery.batch_id and bounce in (Bounce.POLICY, Bounce.COMPLAINT)
        else None
    )
    recipient = Recipient.objects.select_for_update(no_key=True).get(
        pk=delivery.recipient_id
    )
    if not _note(delivery, bounce, verdict.status):
        return ignored("it was known")
    if bounce in SUPPRESSES:
        suppress(recipient.pk, SUPPRESSES[bounce])
        drop_waiting(recipient, reason=bounce)
    if batch and bounce is Bounce.POLICY:
        log.error("refused for policy", batch=batch.pk)
        weigh_refusals(batch.pk)
    elif batch:
        _weigh_complaints(batch)
    return Taken(verdict.kind, verdict.status, delivery.pk)


def _note(delivery: Delivery, bounce: Bounce, status: str) -> bool:
    """Write it to the row, unless that says as much or more already."""
    weaker = ["", *list(Bounce)[: list(Bounce).index(bounce)]]
    return bool(
        Delivery.objects.filter(pk=delivery.pk, bounce__in=weaker).update(
            bounce=bounce, bounce_status=status, bounced_at=timezone.now()
        )
    )


def complaint_share(batch: Batch) -> Share:
    """How many of those who got this batch complained about it.

    After a person let it go on what left since then counts: the rest was looked into.
    """
    return _share(_since_resumed(batch))


def complaint_share_of_week(batch: Batch | None = None) -> Share:
    """The same for all batches of the last seven days together.

    With `batch` since a person let that one go on in spite of it.
    """
    begun = timezone.now() - COUNTED_FOR
    sent = Delivery.objects.filter(batch__created_at__gt=begun)
    resumed_at = _resumed_at(batch) if batch else None
    return _share(sent.filter(finished_at__gt=resumed_at) if resumed_at else sent)


def _share(deliveries: QuerySet[Delivery]) -> Share:
    complaints = deliveries.filter(bounce=Bounce.COMPLAINT).count()
    if complaints < FEWEST_COMPLAINTS:
        # Spares the long count; so few weigh nothing.
        return Share(complaints, 0)
    return Share(complaints, deliveries.filter(state=Delivery.State.ACCEPTED).count())


def _weigh_complaints(batch: Batch) -> None:
    shares = {
        "this batch": complaint_share(batch),
        "7 days": complaint_share_of_week(batch),
    }
    for of_what, share in shares.items():
        if share.alarms():
            log.error(
                "many complaints",
                batch=batch.pk,
                of=of_what,
                complaints=share.complaints,
                accepted=share.accepted,
            )
    _hold(
        batch,
        (
            f"{share.complaints} complaints in {share.accepted} accepted ({of_what})"
            for of_what, share in shares.items()
            if share.pauses()
        ),
    )


def _since_resumed(batch: Batch) -> QuerySet[Delivery]:
    """What of it left since a person last looked at it: the rest was looked into."""
    sent = Delivery.objects.filter(batch=batch)
    resumed_at = _resumed_at(batch)
    return sent.filter(finished_at__gt=resumed_at) if resumed_at else sent


def _resumed_at(batch: Batch) -> datetime | None:
    resumed = batch.events.filter(act=BatchEvent.Act.RESUMED).order_by("occurred_at")
    return resumed.values_list("occurred_at", flat=True).last()


def weigh_refusals(batch_id: int) -> None:
    """Pause a batch that is refused by many, or by all, for no mailbox's fault."""
    batch = Batch.objects.defer("message").get(pk=batch_id)
    sent = _since_resumed(batch)
    kinds = [
        kind_of("failed", status_in(reply))
        for reply in sent.filter(state=Delivery.State.REFUSED)
        .exclude(smtp_reply="")
        .values_list("smtp_reply", flat=True)
    ]
    bounced = sent.filter(bounce=Bounce.POLICY).count()
    refusals = bounced + kinds.count(Kind.POLICY)
    unexplained = bounced + len(kinds) - kinds.count(Kind.HARD)
    if unexplained < FEWEST_REFUSALS:
        # Spares the long count; so few weigh nothing.
        return
    accepted = sent.filter(state=Delivery.State.ACCEPTED).count()
    is_large = refusals * 10_000 >= REFUSALS_PER_10_000 * accepted
    if refusals >= FEWEST_REFUSALS and is_large:
        _hold(batch, [f"{refusals} servers refused it for their policy"])
    elif accepted == 0:
        _hold(batch, [f"{unexplained} refused it, and nobody took it"])


def _hold(batch: Batch, reasons: Iterable[str]) -> None:
    """Pause a batch that still runs; what was claimed meanwhile goes back."""
    reason = next(iter(reasons), "")
    if reason and batch.state == Batch.State.RUNNING:
        pause(batch.pk, reason=reason)


def _say(taken: Taken) -> None:
    facts = {
        "kind": taken.kind,
        "status": taken.status,
        "delivery": taken.delivery_id,
        "ignored": taken.ignored,
    }
    if taken.kind is Kind.UNKNOWN:
        log.warning("a mail came back that a person must read", **facts)
    else:
        log.info("a mail came back", **facts)

"""Claim, hand over, note the fate. Nobody twice, nobody lost."""

import email
import email.policy
import smtplib
from collections.abc import Sequence
from functools import lru_cache

import structlog
from django.conf import settings
from django.db import transaction

from mail import building
from mail.claiming import Claim, begin, claim
from mail.models import Batch, Delivery
from mail.settling import refuse_unmade, requeue, settle
from mail.smtp import Conversation, Letter, Outcome
from mail.sweeping import finish_batches

log = structlog.get_logger(__name__)


def send_due() -> int:
    """Hand over what is due until nothing is left; the number of claims worked on."""
    worked = 0
    with Courier() as courier:
        while claims := claim():
            worked += len(claims)
            if not courier.deliver(claims):
                break
    finish_batches()
    return worked


class Courier:
    """One connection to the mail server, opened when there is something to say."""

    def __init__(self) -> None:
        self._conversation: Conversation | None = None

    def __enter__(self) -> "Courier":
        return self

    def __exit__(self, *error: object) -> None:
        self._hang_up()

    def deliver(self, claims: Sequence[Claim]) -> bool:
        """Give every claim a fate or back to the queue; False: the server is away.

        `HANDOVER_WINDOW` messages at a time: their rows say `handing_over`, committed
        together with the fates of those before, and then their bodies leave.
        """
        done: list[tuple[Claim, Outcome]] = []
        waiting = list(claims)
        while waiting:
            try:
                talk = self._talk()
            except (smtplib.SMTPException, OSError) as error:
                log.warning("mail server unreachable", error=type(error).__name__)
                settle(done)
                for one in waiting:
                    requeue(
                        one,
                        Delivery.State.CLAIMED,
                        reason="mail server unreachable",
                    )
                return False
            window = waiting[: settings.HANDOVER_WINDOW]
            waiting = waiting[settings.HANDOVER_WINDOW :]
            made = {
                one.id: letter
                for one in window
                if (letter := _letter(one, takes_8bit=talk.takes_8bit))
            }
            with transaction.atomic():
                settle(done)
                begun = begin([one for one in window if one.id in made])
            outcomes = talk.hand_over_all([made[one.id] for one in begun])
            done = list(zip(begun, outcomes, strict=True))
            if any(not outcome.reusable for _, outcome in done):
                self._hang_up()
        settle(done)
        return True

    def _talk(self) -> Conversation:
        """Raises what connecting raises."""
        if self._conversation is None:
            conversation = Conversation(
                settings.MAIL_SERVER, deadline_seconds=settings.MAIL_DEADLINE_SECONDS
            )
            self._conversation = conversation.__enter__()
        return self._conversation

    def _hang_up(self) -> None:
        if self._conversation:
            self._conversation.__exit__(None, None, None)
            self._conversation = None


def _letter(one: Claim, *, takes_8bit: bool) -> Letter | None:
    """The claim's message as this recipient gets it; None when it can't be made."""
    try:
        message = _filled(one)
        if not takes_8bit and not message.isascii():
            parsed = email.message_from_bytes(message, policy=email.policy.SMTP)
            message = parsed.as_bytes(policy=email.policy.SMTP.clone(cte_type="7bit"))
    except Exception as error:
        # A recipient whose message can't be made fails alone; the error is kept whole
        # in the log and by name in the row, and the rest of the batch goes on.
        log.exception("message could not be made", delivery=one.id)
        refuse_unmade(one, error)
        return None
    return Letter(building.envelope_sender(one.key), one.address, message)


def _filled(one: Claim) -> bytes:
    built = one.message if one.batch_id is None else _built(one.batch_id)
    if built is None:
        raise ValueError("the message's bytes are gone")
    return building.fill(
        bytes(built),
        to=one.address,
        key=one.key,
        recipient_key=one.recipient_key,
        dated_at=one.dated_at,
    )


@lru_cache(maxsize=8)
def _built(batch_id: int) -> bytes:
    """A batch's bytes never change once its deliveries exist."""
    return bytes(Batch.objects.values_list("message", flat=True).get(pk=batch_id))

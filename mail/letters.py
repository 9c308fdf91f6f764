"""A claim's message as its recipient gets it."""

import email
import email.policy
from functools import lru_cache

import structlog

from mail import building
from mail.claiming import Claim
from mail.models import Batch
from mail.settling import refuse_unmade
from mail.smtp import Letter

log = structlog.get_logger(__name__)

# Headers stay as they were written: folding anew makes an encoded word of the long
# address in List-Unsubscribe, which no program reads (RFC 2047 section 5).
SEVEN_BIT = email.policy.SMTP.clone(cte_type="7bit", refold_source="none")


def letter_for(one: Claim, *, takes_8bit: bool) -> Letter | None:
    """None when it can't be made: that delivery is refused, the others go on."""
    # A database that fails is nobody's poison: that error rises.
    batch = None if one.batch_id is None else _batch(one.batch_id)
    try:
        built = batch or _single(one)
        message, may_have_dots = _filled(one, built), built.may_have_dots
        if not takes_8bit and not message.isascii():
            parsed = email.message_from_bytes(message, policy=SEVEN_BIT)
            message, may_have_dots = parsed.as_bytes(), True
    except Exception as error:
        # The error is kept whole in the log and by name in the row.
        log.exception("message could not be made", delivery=one.id)
        refuse_unmade(one, error)
        return None
    sender = building.envelope_sender(one.key)
    return Letter(sender, one.address, message, may_have_dots)


def _filled(one: Claim, built: building.Built) -> bytes:
    return built.fill(
        to=one.address,
        key=one.key,
        recipient_key=one.recipient_key,
        dated_at=one.dated_at,
    )


def _single(one: Claim) -> building.Built:
    if one.message is None:
        raise ValueError("the message's bytes are gone")
    return building.Built(bytes(one.message))


@lru_cache(maxsize=8)
def _batch(batch_id: int) -> building.Built:
    """A batch's bytes never change once its deliveries exist."""
    message = Batch.objects.values_list("message", flat=True).get(pk=batch_id)
    return building.Built(bytes(message))

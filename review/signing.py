"""A clinician's verdicts: given, given to a request, taken back."""

from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone

from ledger import TakenAway, attest, is_redacted
from review.content import Content, digest
from review.models import LONGEST_VALIDITY, Clinician, ReviewRequest, SignOff

# The first half of an advisory lock's key; the second is the subject's hash.
SIGNING = 7_305_003
# What a verdict that approves nothing says in `valid_until`, which has to lie ahead.
NO_APPROVAL = timedelta(days=1)


class Refused(Exception):
    """A verb of the desk said no; the message tells a person why."""


class NotAllowedToSign(Refused):
    """This clinician can't sign this text; the message says why, for a person."""


class AlreadyAnswered(Refused):
    """The request is closed: somebody gave a verdict, or it was called back."""


class NothingToRetract(Refused):
    """This verdict is no approval that still counts."""


def hold(subject: str) -> None:
    """Until the transaction ends, nobody else signs or publishes `subject`.

    A retraction and a publication can't pass each other unseen.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [SIGNING, subject]
        )


@transaction.atomic
def sign(
    content: Content,
    *,
    subject: str,
    by: Clinician,
    authors: list[int],
    verdict: SignOff.Verdict,
    conflicts_of_interest: str,
    valid_for: timedelta,
    comment: str = "",
    at: datetime | None = None,
) -> SignOff:
    """Record `by`'s verdict on exactly this content, evidence in the ledger included.

    `authors` are user ids. Raises NotAllowedToSign for the text's own author, a
    lapsed credential, silence about conflicts, no word on what to change, or more
    than 36 months; the database refuses the same.
    """
    hold(subject)
    now = at or timezone.now()
    # The credential as it is now, not as it was when a page was opened.
    by.refresh_from_db()
    _refuse_reasons(by, authors, conflicts_of_interest, valid_for)
    if verdict != SignOff.Verdict.RETRACTED and by.credential_expires_at <= now:
        raise NotAllowedToSign("Your credential has lapsed: have it renewed first.")
    if verdict != SignOff.Verdict.APPROVED and not comment.strip():
        raise NotAllowedToSign("Say why in the comment, so that it can be mended.")
    given = SignOff(
        subject=subject,
        digest=digest(content),
        content=content,
        verdict=verdict,
        comment=comment.strip(),
        conflicts_of_interest=conflicts_of_interest.strip(),
        signed_at=now,
        valid_until=now + valid_for,
        clinician=by,
        signer_user_id=by.user_id,
        signer_name=by.name,
        signer_credentials=by.credentials,
        credential_expires_at=by.credential_expires_at,
        author_ids=authors,
        demonstration=by.demonstration,
    )
    try:
        return attest(given)
    except TakenAway as error:
        raise NotAllowedToSign(str(error)) from error


@transaction.atomic
def answer(
    request: ReviewRequest,
    *,
    by: Clinician,
    verdict: SignOff.Verdict,
    conflicts_of_interest: str,
    valid_for: timedelta,
    comment: str = "",
    shown: str | None = None,
    at: datetime | None = None,
) -> SignOff:
    """Give a verdict on exactly the text of `request`, which closes it.

    `shown` is the digest of the text that the person read: another one is not signed.
    A newer draft changes nothing about that: `request.newer_text_at` tells whether
    there is one. Raises AlreadyAnswered, NotAllowedToSign for what a colleague was
    given meanwhile, and what `sign` raises.
    """
    # Always subject first, row second: two orders would wait for each other.
    hold(request.subject)
    waiting = ReviewRequest.objects.select_for_update().get(pk=request.pk)
    _refuse_closed(waiting)
    refuse_others(waiting, by)
    if is_redacted(waiting):
        raise NotAllowedToSign("This text was taken away for a lawful reason.")
    text = digest(waiting.content)
    if text != waiting.digest or shown not in (None, text):
        raise NotAllowedToSign(
            "This is not the text that was shown to you. Please read it again."
        )
    now = at or timezone.now()
    given = sign(
        waiting.content,
        subject=waiting.subject,
        by=by,
        authors=waiting.author_ids,
        verdict=verdict,
        conflicts_of_interest=conflicts_of_interest,
        valid_for=valid_for,
        comment=comment,
        at=now,
    )
    waiting.state = ReviewRequest.State.ANSWERED
    waiting.sign_off = given
    waiting.closed_at = now
    waiting.save(update_fields=["state", "sign_off", "closed_at"])
    return given


def refuse_others(request: ReviewRequest, by: Clinician) -> None:
    """Raise NotAllowedToSign if the request is a colleague's; ask of a locked row."""
    if request.assignee_id not in (None, by.pk):
        raise NotAllowedToSign("This request is assigned to a colleague.")


def _refuse_closed(request: ReviewRequest) -> None:
    if request.state == ReviewRequest.State.ANSWERED and request.sign_off:
        raise AlreadyAnswered(
            f"{request.sign_off.signer_name} answered this already: "
            f"{request.sign_off.verdict}."
        )
    if request.state == ReviewRequest.State.CALLED_BACK:
        raise AlreadyAnswered("This request was called back: no verdict is needed.")


@transaction.atomic
def retract(
    sign_off: SignOff, *, by: Clinician, comment: str, at: datetime | None = None
) -> SignOff:
    """Take an own approval back; readers see it at once, the record keeps both.

    A credential that has lapsed meanwhile does not matter: nothing is approved.
    Raises NotAllowedToSign for somebody else's and NothingToRetract for a verdict
    that is no approval or was followed by another.
    """
    hold(sign_off.subject)
    now = at or timezone.now()
    if sign_off.clinician_id != by.pk:
        raise NotAllowedToSign("Only who signed takes a signature back.")
    if is_redacted(sign_off):
        raise NothingToRetract("This text was taken away for a lawful reason.")
    latest = SignOff.objects.verdict_on(sign_off.subject, sign_off.digest, now).first()
    if latest is None or latest.pk != sign_off.pk:
        raise NothingToRetract("A later verdict on this text took this one's place.")
    if sign_off.verdict != SignOff.Verdict.APPROVED:
        raise NothingToRetract(f"This verdict is “{sign_off.verdict}”, no approval.")
    return sign(
        sign_off.content,
        subject=sign_off.subject,
        by=by,
        authors=sign_off.author_ids,
        verdict=SignOff.Verdict.RETRACTED,
        conflicts_of_interest=sign_off.conflicts_of_interest,
        valid_for=NO_APPROVAL,
        comment=comment,
        at=now,
    )


def _refuse_reasons(
    by: Clinician,
    authors: list[int],
    conflicts_of_interest: str,
    valid_for: timedelta,
) -> None:
    if by.user_id in authors:
        raise NotAllowedToSign(
            "You wrote part of this text: another clinician signs it."
        )
    if not conflicts_of_interest.strip():
        raise NotAllowedToSign("Say which conflicts of interest you have, or “none”.")
    if not timedelta(0) < valid_for <= LONGEST_VALIDITY:
        raise NotAllowedToSign("A sign-off holds for 36 months at most.")

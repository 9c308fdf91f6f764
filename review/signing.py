from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from ledger import record
from review.content import Content, digest
from review.models import LONGEST_VALIDITY, Clinician, SignOff


class NotAllowedToSign(Exception):
    """This clinician can't sign this text; the message says why, for a person."""


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
    lapsed credential, silence about conflicts, or more than 36 months; the database
    refuses the same.
    """
    now = at or timezone.now()
    _refuse_reasons(by, authors, conflicts_of_interest, valid_for, now)
    signed = digest(content)
    entry = record(
        "review.signoff",
        {
            "subject": subject,
            "digest": signed,
            "verdict": verdict.value,
            "clinician": by.pk,
            "signed_at": now.isoformat(),
            "valid_until": (now + valid_for).isoformat(),
        },
    )
    return SignOff.objects.create(
        subject=subject,
        digest=signed,
        content=content,
        verdict=verdict,
        comment=comment,
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
        entry=entry,
    )


def _refuse_reasons(
    by: Clinician,
    authors: list[int],
    conflicts_of_interest: str,
    valid_for: timedelta,
    now: datetime,
) -> None:
    if by.user_id in authors:
        raise NotAllowedToSign(
            "You wrote part of this text: another clinician signs it."
        )
    if by.credential_expires_at <= now:
        raise NotAllowedToSign("Your credential has lapsed: have it renewed first.")
    if not conflicts_of_interest.strip():
        raise NotAllowedToSign("Say which conflicts of interest you have, or “none”.")
    if not timedelta(0) < valid_for <= LONGEST_VALIDITY:
        raise NotAllowedToSign("A sign-off holds for 36 months at most.")

"""What the desk's mails say. They go to staff, who may always get them."""

from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.urls import reverse

from mail import absolute, tell_staff
from review.models import Clinician, ReviewRequest, SignOff, TextInUse


def requested(request: ReviewRequest, to: Clinician, at: datetime) -> None:
    """A text waits for `to`; handed on again later, it is told again."""
    tell_staff(
        to.user.email,
        "review_requested",
        {
            "name": to.name,
            "title": request.title,
            "note": request.note,
            "due_on": request.due_on,
            "desk_url": desk_url(request),
        },
        idempotency_key=f"review-requested-{request.pk}-{to.pk}-{at.isoformat()}",
    )


def declined(request: ReviewRequest, by: Clinician, reason: str, at: datetime) -> None:
    """Who asked hears that another clinician is needed, and why."""
    if request.requested_by is None:
        return
    tell_staff(
        request.requested_by.email,
        "review_declined",
        {
            "title": request.title,
            "clinician": by.name,
            "reason": reason,
            "desk_url": desk_url(request),
        },
        idempotency_key=f"review-declined-{request.pk}-{at.isoformat()}",
    )


def due(text: TextInUse, sign_off: SignOff, stage: int, request: ReviewRequest) -> int:
    """The review runs out, or has: signer and editors are told, once a stage.

    How many mails this call queued.
    """
    context = {
        "title": text.title,
        "valid_until": sign_off.valid_until,
        "is_over": stage > 0,
        "signer": sign_off.signer_name,
        "desk_url": desk_url(request),
        "text_url": absolute(text.url),
    }
    people = {sign_off.clinician.user, *askers()}
    return sum(
        tell_staff(
            person.email,
            "review_due",
            context,
            idempotency_key=f"review-due-{sign_off.pk}-{stage}-{person.pk}",
        )
        for person in people
        if person.is_active
    )


def askers() -> QuerySet[User]:
    """Who may ask for reviews, and so has to see that they are asked for."""
    return User.objects.with_perm(
        "review.assign",
        backend="django.contrib.auth.backends.ModelBackend",
        include_superusers=False,
    )


def desk_url(request: ReviewRequest) -> str:
    return absolute(reverse("admin:review_reviewrequest_change", args=[request.pk]))

"""Texts on their way to a clinician: one queue for articles and tips."""

from datetime import date, datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone

from ledger import TakenAway, refuse_taken_away
from review import emails
from review.content import Content, digest
from review.models import Clinician, ReviewRequest, TextInUse
from review.signing import (
    AlreadyAnswered,
    NotAllowedToSign,
    Refused,
    hold,
    refuse_others,
)


@transaction.atomic
def request(
    content: Content,
    *,
    subject: str,
    title: str,
    url: str,
    authors: list[int],
    by: User | None = None,
    assignee: Clinician | None = None,
    due_on: date | None = None,
    note: str = "",
    newer_text_at: datetime | None = None,
    preview_url: str = "",
    tell: bool = True,
) -> ReviewRequest:
    """Ask for a verdict on exactly this content; the assignee gets a mail (`tell`).

    A request that waits for the same text already is that request: asked again, it
    takes over assignee, date and note where they are given. Raises NotAllowedToSign
    for an assignee who wrote part of the text or can't sign, and for a redacted text.
    """
    hold(subject)
    if assignee:
        _refuse_unfit(assignee, authors)
    found, made = ReviewRequest.objects.get_or_create(
        subject=subject,
        digest=digest(content),
        state=ReviewRequest.State.OPEN,
        defaults={
            "title": title,
            "url": url,
            "preview_url": preview_url,
            "content": content,
            "author_ids": authors,
            "note": note,
            "requested_by": by,
            "due_on": due_on,
            "newer_text_at": newer_text_at,
        },
    )
    try:
        refuse_taken_away(found.digest)
    except TakenAway as error:
        raise NotAllowedToSign(str(error)) from error
    if not made:
        found.note = note or found.note
        found.due_on = due_on or found.due_on
        found.author_ids = sorted({*found.author_ids, *authors})
        found.save(update_fields=["note", "due_on", "author_ids"])
    if assignee and assignee.pk != found.assignee_id:
        _give_to(found, assignee, tell=tell)
    return found


@transaction.atomic
def assign(waiting: ReviewRequest, to: Clinician) -> None:
    """Give the request to `to`, who gets a mail. Raises as `request`, and if closed."""
    locked = _open(waiting)
    _refuse_unfit(to, locked.author_ids)
    _give_to(locked, to)


@transaction.atomic
def hand_on(waiting: ReviewRequest, *, by: Clinician, to: Clinician) -> None:
    """A clinician passes the request to a colleague. Raises as `assign`."""
    refuse_others(_open(waiting), by)
    if to.pk == by.pk:
        raise NotAllowedToSign("This request is yours already: choose a colleague.")
    assign(waiting, to)


@transaction.atomic
def decline(
    waiting: ReviewRequest, *, by: Clinician, reason: str, at: datetime | None = None
) -> None:
    """Give the request back to the queue; who asked for it is told.

    Raises Refused without a reason, and as `assign`.
    """
    if not reason.strip():
        raise Refused("Say why, so that a better person can be found.")
    locked = _open(waiting)
    refuse_others(locked, by)
    now = at or timezone.now()
    line = f"{now:%-d %B %Y}, {by.name}: {reason.strip()}"
    locked.declined = f"{locked.declined}\n{line}".strip()
    locked.assignee = None
    locked.save(update_fields=["declined", "assignee"])
    emails.declined(locked, by, reason.strip(), now)


@transaction.atomic
def call_back(waiting: ReviewRequest, at: datetime | None = None) -> None:
    """No verdict is wanted any more. Raises AlreadyAnswered for a closed one."""
    locked = _open(waiting)
    locked.state = ReviewRequest.State.CALLED_BACK
    locked.closed_at = at or timezone.now()
    locked.save(update_fields=["state", "closed_at"])


def note_newer_text(
    subject: str, content_digest: str, at: datetime | None = None
) -> None:
    """This is the newest draft: what is asked about other texts of the subject says so.

    A text that is the newest one again has no newer one any more.
    """
    for known in (ReviewRequest.objects.open(), TextInUse.objects.all()):
        texts = known.filter(subject=subject)
        texts.filter(digest=content_digest).update(newer_text_at=None)
        texts.filter(newer_text_at__isnull=True).exclude(digest=content_digest).update(
            newer_text_at=at or timezone.now()
        )


def put_in_use(
    content: Content,
    *,
    subject: str,
    title: str,
    url: str,
    authors: list[int],
    preview_url: str = "",
) -> None:
    """Readers get this text from now on: reminders look after its review.

    Raises ledger.TakenAway for a redacted text.
    """
    text, _ = TextInUse.objects.update_or_create(
        subject=subject,
        defaults={
            "title": title,
            "url": url,
            "preview_url": preview_url,
            "content": content,
            "digest": digest(content),
            "author_ids": authors,
            "since": timezone.now(),
            "newer_text_at": None,
        },
    )
    refuse_taken_away(text.digest)


def take_out_of_use(subject: str) -> None:
    TextInUse.objects.filter(subject=subject).delete()


def _open(waiting: ReviewRequest) -> ReviewRequest:
    locked = ReviewRequest.objects.select_for_update().get(pk=waiting.pk)
    if locked.state != ReviewRequest.State.OPEN:
        raise AlreadyAnswered(f"This request is closed: {locked.state}.")
    return locked


def _give_to(waiting: ReviewRequest, to: Clinician, *, tell: bool = True) -> None:
    waiting.assignee = to
    waiting.save(update_fields=["assignee"])
    if tell:
        emails.requested(waiting, to, timezone.now())


def _refuse_unfit(clinician: Clinician, authors: list[int]) -> None:
    if clinician.user_id in authors:
        raise NotAllowedToSign(f"{clinician.name} wrote part of this text.")
    if not clinician.user.is_active:
        raise NotAllowedToSign(f"{clinician.name} no longer works here.")
    if clinician.credential_expires_at <= timezone.now():
        raise NotAllowedToSign(f"{clinician.name}’s credential has lapsed.")

"""What the newsletter's mails say; `mail.building` makes them bytes."""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.safestring import mark_safe

from ledger import head
from mail import (
    UNSUBSCRIBE,
    Delivery,
    Recipient,
    TipMail,
    absolute,
    enqueue,
    render,
    tell_staff,
    token,
)
from newsletter import permissions, wording
from newsletter.models import HealthTip, Issue, Subscriber, TipRevision, TipShortage

# What a mail lists of the tips that wait; all of them stand in the admin.
LISTED = 10
# As long as `subscribing.to_confirm` takes such a link.
CONFIRMATION_HOLDS_DAYS, PERMISSION_HOLDS_DAYS = 7, 30


def confirmation(subscriber: Subscriber) -> None:
    """The one mail before consent; its link is bound to `asked_at`."""
    context = {
        "confirm_url": _confirm_url(subscriber),
        "purpose": wording.PURPOSE,
        "expires_days": CONFIRMATION_HOLDS_DAYS,
    }
    _single(
        subscriber.recipient,
        "confirmation",
        context,
        kind=Delivery.Kind.CONFIRMATION,
        idempotency_key=f"confirmation-{subscriber.pk}-{subscriber.asked_at}",
    )


def repermission(subscriber: Subscriber, *, due_at: datetime) -> None:
    """The one question to somebody from another list: may we write to you?"""
    context = {
        "confirm_url": _confirm_url(subscriber),
        "privacy_url": absolute("/about/privacy/"),
        "purpose": wording.PURPOSE,
        "button": wording.PERMISSION_BUTTON,
        "expires_days": PERMISSION_HOLDS_DAYS,
    }
    _single(
        subscriber.recipient,
        "repermission",
        context,
        kind=Delivery.Kind.CONFIRMATION,
        # One to a mailbox, ever.
        idempotency_key=f"repermission-{subscriber.recipient.pk}",
        due_at=due_at,
    )


def _confirm_url(subscriber: Subscriber) -> str:
    assert subscriber.asked_at is not None, "asking is what makes the link"  # noqa: S101
    asked_at = subscriber.asked_at.isoformat()
    link = token("confirm", subscriber.recipient.key, bound_to=asked_at)
    return f"{settings.SITE_URL}/newsletter/confirm/{link}/"


def preferences_link(subscriber: Subscriber) -> None:
    """A link of a day's life to the person's own page, bound to `link_sent_at`."""
    assert subscriber.link_sent_at is not None, "asking is what makes the link"  # noqa: S101
    sent_at = subscriber.link_sent_at.isoformat()
    link = token("preferences", subscriber.recipient.key, bound_to=sent_at)
    _single(
        subscriber.recipient,
        "preferences_link",
        {"preferences_url": f"{settings.SITE_URL}/newsletter/preferences/{link}/"},
        kind=Delivery.Kind.PREFERENCE_LINK,
        idempotency_key=f"preferences-{subscriber.pk}-{sent_at}",
    )


def move_link(subscriber: Subscriber, *, bound_to: str) -> None:
    """To the new address: nothing changes before its button is pressed."""
    target = subscriber.moving_to
    assert target is not None, "somebody moves"  # noqa: S101
    link = token("move", target.key, bound_to=bound_to)
    _single(
        target,
        "move_link",
        {"move_url": f"{settings.SITE_URL}/newsletter/move/{link}/"},
        kind=Delivery.Kind.CONFIRMATION,
        idempotency_key=f"move-{bound_to}",
    )


def moved(old: Recipient, *, at: datetime) -> None:
    """To the old address, so that nobody is moved behind their back."""
    _single(
        old,
        "moved",
        {},
        kind=Delivery.Kind.PREFERENCE_LINK,
        idempotency_key=f"moved-{old.pk}-{at.isoformat()}",
    )


def _single(
    recipient: Recipient,
    name: str,
    context: dict[str, object],
    *,
    kind: Delivery.Kind,
    idempotency_key: str,
    due_at: datetime | None = None,
) -> None:
    mail = render(name, context)
    enqueue(
        recipient,
        kind=kind,
        idempotency_key=idempotency_key,
        subject=mail.subject,
        html=mail.html,
        text=mail.text,
        due_at=due_at,
    )


def tip(
    revision: TipRevision,
    *,
    review_line: str,
    article: dict[str, str],
    corrected: Issue | None = None,
) -> TipMail:
    """A tip around exactly the signed content; only footer and frame are ours.

    As a correction it says which tip it puts right.
    """
    content = revision.content
    newest = head()
    context = {
        "subject": content["subject"],
        "preheader": content["preheader"],
        # Sanitised when the revision was made, and signed in this form.
        "body_html": mark_safe(content["html"]),  # noqa: S308
        "body_text": content["text"],
        "article_title": article["title"],
        "article_url": article["url"],
        "review_line": review_line,
        "corrected": corrected and _sent(corrected),
        "unsubscribe_url": f"{settings.SITE_URL}/newsletter/unsubscribe/{UNSUBSCRIBE}/",
        # No token: a tip that was passed on must not open anybody's preferences.
        "preferences_url": absolute(reverse("newsletter:preferences-link")),
        "ledger_head": newest and {"day": newest.day.date(), "hash": newest.hash},
        "why": "You get this because you subscribed to health tips from twitchsite.",
    }
    mail = render("tip", context)
    # The subject as it was signed, not as a template would print it.
    return TipMail(subject=content["subject"], html=mail.html, text=mail.text)


def _sent(issue: Issue) -> dict[str, object]:
    subject = issue.tip_revision.content.get("subject", "")
    return {"subject": subject, "on": issue.starts_at}


def tips_run_out(
    shortage: TipShortage, empty_slot: datetime, held: list[tuple[HealthTip, str]]
) -> int:
    """Who can add a tip hears that none is left for a slot; how many mails."""
    context = {
        "schedule": shortage.schedule.name,
        "day": f"{empty_slot:%A %-d %B %Y}",
        "slot": shortage.schedule.words_for(empty_slot),
        "held": [{"tip": tip.slug, "reason": reason} for tip, reason in held[:LISTED]],
        "more": max(len(held) - LISTED, 0),
        "desk_url": absolute(reverse("admin:newsletter_healthtip_changelist")),
    }
    return sum(
        tell_staff(
            person.email,
            "tips_run_out",
            context,
            idempotency_key=f"tips-run-out-{shortage.pk}-{person.pk}",
        )
        for person in _keepers_of_the_queue()
    )


def _keepers_of_the_queue() -> set[User]:
    """Editors and newsletter managers: who has to see to it that tips are there."""
    return {
        person
        for name in (permissions.REVISE, permissions.PUBLISH)
        for person in User.objects.with_perm(
            name,
            backend="django.contrib.auth.backends.ModelBackend",
            include_superusers=False,
        )
    }

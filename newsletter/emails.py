"""What the newsletter's mails say; `mail.building` makes them bytes."""

from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.template import Context, loader
from django.utils.safestring import mark_safe

from ledger import head
from mail import UNSUBSCRIBE, Delivery, TipMail, enqueue, token
from newsletter import wording
from newsletter.models import Subscriber, TipRevision


def confirmation(subscriber: Subscriber) -> None:
    """The one mail before consent; its link is bound to `asked_at`."""
    assert subscriber.asked_at is not None, "asking is what makes the link"  # noqa: S101
    asked_at = subscriber.asked_at.isoformat()
    link = token("confirm", subscriber.recipient.key, bound_to=asked_at)
    context = {
        "confirm_url": f"{settings.SITE_URL}/newsletter/confirm/{link}/",
        "purpose": wording.PURPOSE,
        "expires_days": 7,
    }
    enqueue(
        subscriber.recipient,
        kind=Delivery.Kind.CONFIRMATION,
        idempotency_key=f"confirmation-{subscriber.pk}-{asked_at}",
        subject=_subject("confirmation", context),
        html=_render("confirmation", "body.html", context),
        text=_render("confirmation", "body.txt", context),
    )


def tip(revision: TipRevision, *, review_line: str, article: dict[str, str]) -> TipMail:
    """A tip around exactly the signed content; only footer and frame are ours."""
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
        "unsubscribe_url": f"{settings.SITE_URL}/newsletter/unsubscribe/{UNSUBSCRIBE}/",
        "ledger_head": newest and {"day": newest.day.date(), "hash": newest.hash},
        "why": "You get this because you subscribed to health tips from twitchsite.",
    }
    return TipMail(
        subject=content["subject"],
        html=_render("tip", "body.html", context),
        text=_render("tip", "body.txt", context),
    )


def _subject(name: str, context: dict[str, Any]) -> str:
    return " ".join(_render(name, "subject.txt", context).split())


def _render(name: str, part: str, context: dict[str, Any]) -> str:
    template = loader.get_template(f"email/{name}/{part}").template  # type: ignore[attr-defined]
    # Plain text has nothing to escape: an ampersand stays one.
    filled = Context(
        {
            "site_name": settings.SITE_NAME,
            "site_url": settings.SITE_URL,
            "postal_address": settings.POSTAL_ADDRESS,
            "contact_email": settings.CONTACT_EMAIL,
            "email_css": mark_safe(_css()),  # noqa: S308 - our own file
            "demo": settings.DEMO,
            **context,
        },
        autoescape=part.endswith(".html"),
    )
    return str(template.render(filled))


@cache
def _css() -> str:
    found = finders.find("css/email.css")
    return Path(found).read_text(encoding="utf-8") if isinstance(found, str) else ""


def absolute(path: str) -> str:
    """The path as an address that works in a mail."""
    return f"{settings.SITE_URL}{path}"

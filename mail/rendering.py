"""A mail's three templates: email/<name>/{subject.txt,body.html,body.txt}."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles import finders
from django.template import Context, loader
from django.utils.safestring import mark_safe


@dataclass(frozen=True)
class Rendered:
    subject: str
    html: str
    text: str


def render(name: str, context: dict[str, Any]) -> Rendered:
    """Subject on one line and both bodies; every mail knows the site's own facts."""
    return Rendered(
        subject=" ".join(_part(name, "subject.txt", context).split()),
        html=_part(name, "body.html", context),
        text=_part(name, "body.txt", context),
    )


def _part(name: str, part: str, context: dict[str, Any]) -> str:
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

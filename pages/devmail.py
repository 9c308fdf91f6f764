"""The demonstration's mailbox: what a subscriber's mail program would show."""

import email
import email.policy
import re
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

NEWEST = 100


def folder() -> Path:
    return Path(settings.DATA_DIR) / "mail"


def _numbers() -> list[int]:
    """The newest messages first; none is held twice, each lies in a file of its own."""
    found = (path.stem for path in folder().glob("*.eml"))
    return sorted((int(stem) for stem in found if stem.isdecimal()), reverse=True)


def _raw(number: int) -> bytes:
    path = folder() / f"{number}.eml"
    if not path.is_file():
        raise Http404
    return path.read_bytes()


def _message(number: int) -> EmailMessage:
    parsed = email.message_from_bytes(_raw(number), policy=email.policy.default)
    assert isinstance(parsed, EmailMessage), "email.policy.default makes it"  # noqa: S101
    return parsed


@never_cache
@require_safe
def inbox(request: HttpRequest) -> HttpResponse:
    messages = [_summary(number) for number in _numbers()[:NEWEST]]
    return render(request, "pages/dev_mail.html", {"messages": messages})


def _summary(number: int) -> dict[str, Any]:
    message = _message(number)
    return {
        "number": number,
        "subject": message["Subject"],
        "to": message["To"],
        "received_at": message["Date"].datetime if message["Date"] else None,
        "url": reverse("pages:dev-mail-message", args=[number]),
    }


@never_cache
@require_safe
def message(request: HttpRequest, number: int) -> HttpResponse:
    found = _message(number)
    plain, html = found.get_body(("plain",)), found.get_body(("html",))
    one_click = re.fullmatch(r"<(https?://[^>]+)>", found["List-Unsubscribe"] or "")
    context = {
        "number": number,
        "subject": found["Subject"],
        "sender": found["From"],
        "to": found["To"],
        "date": found["Date"],
        "headers": found.items(),
        "text": plain.get_content() if plain else "",
        "has_html": html is not None,
        "html_url": reverse("pages:dev-mail-html", args=[number]),
        "raw_url": reverse("pages:dev-mail-raw", args=[number]),
        "one_click_url": one_click[1] if one_click else "",
    }
    response = render(request, "pages/dev_mail_message.html", {"message": context})
    response._csp_update = {"frame-src": ["'self'"]}  # type: ignore[attr-defined]
    return response


@never_cache
@require_safe
def html_part(request: HttpRequest, number: int) -> HttpResponse:
    """The mail's own HTML, caged: its inline styles and links, nothing else."""
    body = _message(number).get_body(("html",))
    if body is None:
        raise Http404
    new_window = '<head><base target="_blank">'
    html = str(body.get_content()).replace("<head>", new_window, 1)
    response = HttpResponse(html)
    response["Content-Security-Policy"] = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; "
        "frame-ancestors 'self'; "
        "sandbox allow-popups allow-popups-to-escape-sandbox"
    )
    response["X-Frame-Options"] = "SAMEORIGIN"
    return response


@never_cache
@require_safe
def raw(request: HttpRequest, number: int) -> HttpResponse:
    return HttpResponse(_raw(number), content_type="text/plain; charset=utf-8")

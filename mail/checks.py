"""What is wrong with mails that settings or database say, and what to do about it."""

from collections.abc import Sequence
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import ProgrammingError

from mail.environment import why_held
from mail.guard import REMEDY
from mail.providers import PROVIDERS, Provider


@register
def webhooks_can_be_proven(**options: Any) -> list[CheckMessage]:
    """E001: no such provider. E002: nothing can be proven with such a secret."""
    found: list[CheckMessage] = []
    for name, secret in settings.WEBHOOKS.items():
        if name not in PROVIDERS:
            hint = f"Write one of {', '.join(sorted(PROVIDERS))}."
            said = f"WEBHOOKS names {name!r}, whose webhooks are not understood."
            found.append(Error(said, hint=hint, id="mail.E001"))
        elif not _proves(PROVIDERS[name], secret):
            said = f"The secret of {name!r} in WEBHOOKS can't prove anything."
            hint = "docs/operating.md says for each provider what it must be."
            found.append(Error(said, hint=hint, id="mail.E002"))
    return found


def _proves(provider: Provider, secret: str) -> bool:
    if provider.asks_for_a_password:
        user, _, password = secret.partition(":")
        return bool(user and password)
    try:
        provider.receiver(secret)
    except Exception:
        # Each library has its own way to refuse a key.
        return False
    return bool(secret)


@register(Tags.database)
def mail_leaves_from_here(
    app_configs: Sequence[AppConfig] | None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """W001, a warning: the site is right to serve its pages while a person decides."""
    if "default" not in (databases or []):
        return []
    try:
        reason = why_held()
    except ProgrammingError:
        # Before the first migrate there is nothing to send.
        return []
    if not reason:
        return []
    return [
        Warning(f"Mail is held: {reason}.", hint=f"Please {REMEDY}.", id="mail.W001")
    ]

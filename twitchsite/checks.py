"""What settings can't say about themselves; each finding carries its remedy."""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any

from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import ProgrammingError, connections

from review import Clinician
from twitchsite.roles import evidence_tables

Apps = Sequence[AppConfig] | None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@register(Tags.security, deploy=True)
def production_is_encrypted(app_configs: Apps, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not settings.DEMO and not settings.HTTPS:
        found.append(
            Error(
                "SITE_URL starts with http://.",
                hint="Serve the site over TLS and write https:// in SITE_URL.",
                id="twitchsite.E002",
            )
        )
    server = settings.MAIL_SERVER
    if server["tls"] == "none" and not _is_loopback(server["host"]):
        found.append(
            Error(
                "EMAIL_URL sends mail across the network unencrypted.",
                hint="Write smtp+tls:// (STARTTLS) or smtp+ssl:// in EMAIL_URL.",
                id="twitchsite.E003",
            )
        )
    return found


@register(Tags.database)
def nobody_is_invented(
    app_configs: Apps, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Production never runs on a database that the demonstration filled."""
    if settings.DEMO or "default" not in (databases or []):
        return []
    try:
        invented = Clinician.objects.filter(demonstration=True).exists()
    except ProgrammingError:
        # Before the first migrate there is nobody at all.
        return []
    if not invented:
        return []
    return [
        Error(
            "This database holds the demonstration's invented people.",
            hint="Give DATABASE_URL a database of its own and run manage.py migrate.",
            id="twitchsite.E004",
        )
    ]


@register(Tags.database)
def evidence_is_insert_only(
    app_configs: Apps, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """The application's role can't rewrite evidence (asked of PostgreSQL itself)."""
    if "default" not in (databases or []):
        return []
    with connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT tablename FROM pg_tables
            WHERE schemaname = 'public' AND tablename = ANY(%s) AND (
                has_table_privilege(current_user, quote_ident(tablename), 'UPDATE')
                OR has_table_privilege(current_user, quote_ident(tablename), 'DELETE')
                OR has_table_privilege(current_user, quote_ident(tablename), 'TRUNCATE')
            )
            """,
            [evidence_tables()],
        )
        writable = sorted(row[0] for row in cursor.fetchall())
    if not writable:
        return []
    return [
        Error(
            f"The application's role may rewrite evidence: {', '.join(writable)}.",
            hint="Give DATABASE_URL a role of its own that owns nothing, then run "
            "manage.py migrate with the owner in MIGRATION_DATABASE_URL.",
            id="twitchsite.E001",
        )
    ]

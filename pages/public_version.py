"""Which tables readers see, and the triggers that say when one of them changed."""

from django.db import connections
from psycopg import sql

ANY_CHANGE = "INSERT OR UPDATE OR DELETE"
# What public pages are made of. The triggers come with the next `manage.py migrate`.
WATCHED = {
    "articles_article": ANY_CHANGE,
    "articles_formerslug": ANY_CHANGE,
    "articles_picture": ANY_CHANGE,
    "articles_publishingevent": ANY_CHANGE,
    # A new one is nobody's page before its article changes; redacting changes one.
    "articles_revision": "UPDATE OR DELETE",
    "articles_section": ANY_CHANGE,
    "ledger_redaction": ANY_CHANGE,
    "newsletter_wording": ANY_CHANGE,
    "review_signoff": ANY_CHANGE,
}
# What public pages read besides, and why no change of it bumps the version.
UNWATCHED = {
    "ledger_entry": "grows with every consent; the trust page says how far it is",
    "ledger_seal": "grows every second; the trust page says how far it is",
    "newsletter_subscriber": "a count on the trust page, which says how far it is",
}
TRIGGER = "pages_public_version"


def watch(using: str) -> None:
    """Give each watched table its trigger; safe to repeat after each migrate."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            """
            SELECT watched FROM unnest(%s::text[]) AS watched
            WHERE to_regclass(watched) IS NOT NULL
              AND to_regproc('pages_bump_public_version') IS NOT NULL
              AND NOT EXISTS (SELECT 1 FROM pg_trigger
                WHERE tgrelid = to_regclass(watched) AND tgname = %s)
            """,
            [list(WATCHED), TRIGGER],
        )
        for (table,) in cursor.fetchall():
            cursor.execute(_trigger(table, WATCHED[table]))


def _trigger(table: str, events: str) -> sql.Composed:
    return sql.SQL(
        "CREATE CONSTRAINT TRIGGER {} AFTER {} ON {} DEFERRABLE INITIALLY DEFERRED "
        "FOR EACH ROW EXECUTE FUNCTION pages_bump_public_version()"
    ).format(sql.Identifier(TRIGGER), sql.SQL(events), sql.Identifier(table))

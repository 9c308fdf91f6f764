"""What the application's database role may do: everything but rewrite evidence."""

from django.apps import apps
from django.conf import settings
from django.db import connections
from psycopg import sql

from ledger import Evidence

OWNER = "owner"


def evidence_tables() -> list[str]:
    """Tables that take INSERT and SELECT, and nothing else, for ever."""
    return [
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if issubclass(model, Evidence)
    ]


def grant_application_role(using: str) -> None:
    """Give the application's role its rights; safe to repeat after each migrate.

    Nothing happens when the tables' owner is the application itself: then there is
    nobody to grant to, and `twitchsite.E001` says so.
    """
    role = settings.DATABASES["default"]["USER"]
    connection = connections[using]
    if using != OWNER or connection.settings_dict["USER"] == role:
        return
    to = sql.Identifier(role)
    every_table = sql.SQL("ALL TABLES IN SCHEMA public")
    with connection.cursor() as cursor:
        for statement in (
            sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(to),
            sql.SQL(
                "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {}"
            ).format(to),
            sql.SQL("GRANT SELECT, INSERT, UPDATE, DELETE ON {} TO {}").format(
                every_table, to
            ),
            sql.SQL("REVOKE TRUNCATE, REFERENCES, TRIGGER ON {} FROM {}").format(
                every_table, to
            ),
            sql.SQL(
                "REVOKE INSERT, UPDATE, DELETE ON django_migrations FROM {}"
            ).format(to),
            *(
                sql.SQL("REVOKE UPDATE, DELETE, TRUNCATE ON {} FROM {}").format(
                    sql.Identifier(table), to
                )
                for table in evidence_tables()
            ),
        ):
            cursor.execute(statement)

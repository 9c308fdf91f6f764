from importlib import import_module

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

COUNTS = ["newsletter.view_leavingreason"]
# docs/roles.md: single subscribers, and what everybody may count.
ADDED = {
    "author": COUNTS,
    "editor": COUNTS,
    "clinician": COUNTS,
    "newsletter manager": [*COUNTS, "newsletter.block_subscriber"],
    "operator": [
        *COUNTS,
        "newsletter.block_subscriber",
        "newsletter.lift_block",
        "newsletter.view_subscriberaccess",
    ],
}


def settle(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    permission = import_module("twitchsite.migrations.0001_roles")._permission
    groups = apps.get_model("auth", "Group").objects.using(alias)
    for role, names in ADDED.items():
        given = [permission(apps, alias, name) for name in names]
        groups.get(name=role).permissions.add(*given)


class Migration(migrations.Migration):
    """Who looks at single subscribers, and who at counts."""

    dependencies = [
        ("twitchsite", "0003_corrections"),
        ("newsletter", "0014_looks_at_subscribers"),
    ]

    # Backwards the groups keep what they have: nobody loses work for it.
    operations = [migrations.RunPython(settle, migrations.RunPython.noop)]

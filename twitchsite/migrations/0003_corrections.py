from importlib import import_module

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# docs/roles.md: whoever sees issues sees what corrected them.
ROLES = ("clinician", "newsletter manager", "operator")


def let_see(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    permission = import_module("twitchsite.migrations.0001_roles")._permission
    seen = permission(apps, alias, "newsletter.view_correction")
    groups = apps.get_model("auth", "Group").objects.using(alias)
    for group in groups.filter(name__in=ROLES):
        group.permissions.add(seen)


class Migration(migrations.Migration):
    """Who sees corrections."""

    dependencies = [
        ("twitchsite", "0002_desk_roles"),
        ("newsletter", "0008_corrections"),
    ]

    operations = [migrations.RunPython(let_see, migrations.RunPython.noop)]

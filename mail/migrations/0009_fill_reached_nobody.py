from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.models import Exists, OuterRef


def fill(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
    got = apps.get_model("mail", "Delivery").objects.filter(
        batch=OuterRef("pk"), state__in=["accepted", "uncertain"]
    )
    batches = apps.get_model("mail", "Batch").objects.using(editor.connection.alias)
    ended = batches.filter(finished_at__isnull=False)
    ended.filter(~Exists(got)).update(reached_nobody=True)


class Migration(migrations.Migration):
    dependencies = [("mail", "0008_batch_reached_nobody")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]

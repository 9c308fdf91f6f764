"""What waited before these columns came gets the times it would have had."""

from datetime import timedelta

from django.db import migrations
from django.db.models import F, Min


def fill(apps, schema_editor):
    alias = schema_editor.connection.alias
    deliveries = apps.get_model("mail", "Delivery").objects.using(alias)
    # Until now `dated_at` was the first `due_at`.
    deliveries.filter(finished_at__isnull=True).update(
        expires_at=F("dated_at") + timedelta(hours=24)
    )
    batches = apps.get_model("mail", "Batch").objects.using(alias)
    running = batches.filter(state="running").annotate(due_at=Min("deliveries__due_at"))
    for batch in running.filter(due_at__isnull=False):
        batch.overdue_at = batch.due_at + timedelta(hours=1)
        batch.save(update_fields=["overdue_at"])


class Migration(migrations.Migration):
    dependencies = [("mail", "0004_overdue_and_expiry")]

    # Going back, the columns go.
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]

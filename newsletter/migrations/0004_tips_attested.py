from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from ledger import attest_existing


def attest(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    attest_existing(
        apps,
        schema_editor,
        model="newsletter.Wording",
        kind="newsletter.wording",
        facts=(
            "digest",
            "locale",
            "text",
            "created_at",
        ),
    )
    attest_existing(
        apps,
        schema_editor,
        model="newsletter.TipRevision",
        kind="newsletter.tip_revision",
        facts=(
            "tip_id",
            "number",
            "digest",
            "cites",
            "author_ids",
            "created_at",
        ),
    )
    attest_existing(
        apps,
        schema_editor,
        model="newsletter.ConsentEvent",
        kind="newsletter.consent_event",
        facts=(
            "subscriber_key",
            "matter",
            "act",
            "wording_id",
            "terms_id",
            "occurred_at",
            "context_commitment",
        ),
    )


class Migration(migrations.Migration):
    """Wordings, tips and consents get an entry over all their columns."""

    dependencies = [("newsletter", "0003_entry_added")]

    # Backwards there is nothing to undo: a committed entry stays in the chain.
    operations = [migrations.RunPython(attest, migrations.RunPython.noop)]

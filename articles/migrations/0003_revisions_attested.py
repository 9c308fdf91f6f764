from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from ledger import attest_existing


def attest(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    attest_existing(
        apps,
        schema_editor,
        model="articles.Picture",
        kind="articles.picture",
        facts=(
            "digest",
            "media_type",
            "width",
            "height",
            "rendition_of_id",
            "uploaded_by_id",
            "uploaded_at",
        ),
    )
    attest_existing(
        apps,
        schema_editor,
        model="articles.Revision",
        kind="articles.revision",
        facts=(
            "article_id",
            "number",
            "digest",
            "author_ids",
            "byline",
            "machine_assisted",
            "note",
            "created_by_id",
            "created_at",
        ),
    )


class Migration(migrations.Migration):
    """Texts and pictures from before the ledger committed to them."""

    dependencies = [("articles", "0002_publishing")]

    # Backwards there is nothing to undo: a committed entry stays in the chain.
    operations = [migrations.RunPython(attest, migrations.RunPython.noop)]

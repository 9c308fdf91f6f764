from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from ledger import attest_existing


def attest(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    attest_existing(
        apps,
        schema_editor,
        model="review.SignOff",
        kind="review.sign_off",
        facts=(
            "subject",
            "digest",
            "verdict",
            "comment",
            "conflicts_of_interest",
            "signed_at",
            "valid_until",
            "clinician_id",
            "signer_user_id",
            "signer_name",
            "signer_credentials",
            "credential_expires_at",
            "author_ids",
            "demonstration",
        ),
    )


class Migration(migrations.Migration):
    """Sign-offs get an entry over all their columns, not over some."""

    dependencies = [("review", "0002_requests_and_texts_in_use")]

    # Backwards there is nothing to undo: a committed entry stays in the chain.
    operations = [migrations.RunPython(attest, migrations.RunPython.noop)]

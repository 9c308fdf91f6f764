"""For migrations: evidence that was written before the ledger committed to it."""

from django.apps.registry import Apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from ledger.models import plain
from ledger.recording import commitment, new_salt


def attest_existing(
    apps: Apps,
    schema_editor: BaseDatabaseSchemaEditor,
    *,
    model: str,
    kind: str,
    facts: tuple[str, ...],
) -> None:
    """Give every row of `model` (app.Model) an entry of `kind` over `facts`.

    The rows are evidence: their triggers rest until the transaction has filled them,
    which only the tables' owner can order.
    """
    alias = schema_editor.connection.alias
    rows = apps.get_model(model)._default_manager.using(alias)
    entries = apps.get_model("ledger.Entry")._default_manager.using(alias)
    unsealed = apps.get_model("ledger.Unsealed")._default_manager.using(alias)
    table = schema_editor.quote_name(rows.model._meta.db_table)
    schema_editor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for row in rows.order_by("pk").iterator():
        salt = new_salt()
        said = {name: plain(getattr(row, name)) for name in facts}
        entry = entries.create(kind=kind, salt=salt, commitment=commitment(salt, said))
        unsealed.create(entry=entry)
        rows.filter(pk=row.pk).update(entry=entry)
    # A table with checks still to make can't be altered.
    schema_editor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    schema_editor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")

from importlib import import_module

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

SEE_REQUESTS = ["review.view_reviewrequest", "review.view_signoff"]
SEE_HISTORY = ["articles.view_publishingevent", "articles.view_picture"]
# docs/roles.md, for the verbs that came with the desk.
ADDED = {
    "author": [*SEE_REQUESTS, *SEE_HISTORY],
    "editor": [
        *SEE_REQUESTS,
        *SEE_HISTORY,
        "articles.change_others",
        "articles.submit",
        "review.assign",
        "newsletter.view_healthtip",
        "newsletter.view_tiprevision",
    ],
    "clinician": [*SEE_REQUESTS, *SEE_HISTORY],
    "moderator": [],
    "newsletter manager": [
        *SEE_REQUESTS,
        "articles.view_article",
        "articles.view_revision",
        "review.assign_tip",
        "newsletter.add_tiprevision",
    ],
    "operator": [
        *SEE_REQUESTS,
        *SEE_HISTORY,
        "articles.add_article",
        "ledger.view_redaction",
        "review.delete_clinician",
    ],
}
# What these roles had and need for nothing that they do.
TAKEN = {
    # Drafts are the writers' own; clinicians read what is submitted.
    "clinician": ["articles.view_draft"],
    # Comments bring what moderators need.
    "moderator": ["articles.view_article"],
}


def settle(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    alias = schema_editor.connection.alias
    permission = import_module("twitchsite.migrations.0001_roles")._permission
    for role, names in ADDED.items():
        group = apps.get_model("auth", "Group").objects.using(alias).get(name=role)
        group.permissions.add(*(permission(apps, alias, name) for name in names))
        taken = TAKEN.get(role, [])
        group.permissions.remove(*(permission(apps, alias, name) for name in taken))


class Migration(migrations.Migration):
    """Requests, drafts of others, histories: who may do what at the desk."""

    dependencies = [
        ("twitchsite", "0001_roles"),
        ("ledger", "0002_redactions"),
        ("review", "0002_requests_and_texts_in_use"),
        ("articles", "0002_publishing"),
    ]

    # Backwards the groups keep what they have: nobody loses work for it.
    operations = [migrations.RunPython(settle, migrations.RunPython.noop)]

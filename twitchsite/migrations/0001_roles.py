from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

VIEW_ARTICLES = [
    "articles.view_article",
    "articles.view_revision",
    "articles.view_section",
    "articles.view_draft",
]
WRITE_ARTICLES = [
    *VIEW_ARTICLES,
    "articles.add_draft",
    "articles.change_draft",
    "articles.add_picture",
    "articles.view_picture",
]
VIEW_TIPS = [
    "newsletter.view_healthtip",
    "newsletter.view_tiprevision",
    "newsletter.view_schedule",
    "newsletter.view_issue",
]
VIEW_MAIL = ["mail.view_batch", "mail.view_delivery"]
# DESIGN section 9. A later verb brings its permission in a migration of its own.
ROLES = {
    "author": WRITE_ARTICLES,
    "editor": [
        *WRITE_ARTICLES,
        "articles.add_article",
        "articles.change_article",
        "articles.publish",
        "articles.add_section",
        "articles.change_section",
        "review.view_signoff",
        "review.view_clinician",
    ],
    "clinician": [
        *VIEW_ARTICLES,
        *VIEW_TIPS,
        "review.sign",
        "review.view_signoff",
    ],
    "moderator": ["articles.view_article"],
    "newsletter manager": [
        *VIEW_TIPS,
        *VIEW_MAIL,
        "newsletter.add_healthtip",
        "newsletter.change_healthtip",
        "newsletter.add_schedule",
        "newsletter.change_schedule",
        "newsletter.run_schedule",
        "newsletter.view_subscriber",
        "mail.control_batch",
        "mail.settle_delivery",
        "review.view_signoff",
    ],
    "operator": [
        *VIEW_ARTICLES,
        *VIEW_TIPS,
        *VIEW_MAIL,
        "articles.manage_policies",
        "newsletter.view_subscriber",
        "newsletter.view_consentevent",
        "newsletter.view_wording",
        "newsletter.prove_consent",
        "mail.settle_delivery",
        "ledger.view_entry",
        "ledger.view_seal",
        "review.view_signoff",
        "review.view_clinician",
        "review.add_clinician",
        "review.change_clinician",
        "auth.view_user",
        "auth.add_user",
        "auth.change_user",
        "auth.view_group",
    ],
}


def _permission(apps: Apps, alias: str, name: str) -> object:
    """The permission, made here if Django's own step after migrating comes later."""
    app_label, _, codename = name.partition(".")
    content_type_of = apps.get_model("contenttypes", "ContentType")
    permission_of = apps.get_model("auth", "Permission")
    model, label = _subject(apps, app_label, codename)
    content_type, _ = content_type_of.objects.using(alias).get_or_create(
        app_label=app_label, model=model
    )
    permission, _ = permission_of.objects.using(alias).get_or_create(
        content_type=content_type, codename=codename, defaults={"name": label}
    )
    return permission


def _subject(apps: Apps, app_label: str, codename: str) -> tuple[str, str]:
    """The model a permission is about and the words Django would give it."""
    action, _, rest = codename.partition("_")
    for model in apps.get_app_config(app_label).get_models():
        for own, words in model._meta.permissions:
            if own == codename:
                return model._meta.model_name, words
        if action in model._meta.default_permissions and model._meta.model_name == rest:
            return rest, f"Can {action} {model._meta.verbose_name}"
    raise LookupError(f"{app_label}.{codename} belongs to no model")


def make_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    # The tables belong to the connection that migrates, not to the default one.
    alias = schema_editor.connection.alias
    group_of = apps.get_model("auth", "Group")
    for role, names in ROLES.items():
        group, _ = group_of.objects.using(alias).get_or_create(name=role)
        group.permissions.set([_permission(apps, alias, name) for name in names])


def drop_roles(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    groups = apps.get_model("auth", "Group").objects
    groups.using(schema_editor.connection.alias).filter(name__in=ROLES).delete()


class Migration(migrations.Migration):
    """The roles as groups; who is in them is the operator's business."""

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("ledger", "0001_evidence"),
        ("mail", "0001_deliveries"),
        ("review", "0001_sign_offs"),
        ("articles", "0001_revisions"),
        ("newsletter", "0002_issue_refers_to_its_sign_off"),
    ]

    operations = [migrations.RunPython(make_roles, drop_roles)]

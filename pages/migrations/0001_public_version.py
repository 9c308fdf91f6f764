from django.db import migrations, models

# Only at the end of a transaction, when it holds all its other locks, and once: who
# publishes waits for another publisher's commit, not for the work before it.
FUNCTION = """
CREATE FUNCTION pages_bump_public_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('pages.bumped', true) IS DISTINCT FROM 'yes' THEN
        UPDATE pages_publicversion SET number = number + 1;
        PERFORM set_config('pages.bumped', 'yes', true);
    END IF;
    RETURN NULL;
END
$$
"""


class Migration(migrations.Migration):
    """Its triggers come from `pages.public_version.WATCHED`, after each migrate."""

    initial = True
    dependencies = []

    operations = [
        migrations.CreateModel(
            name="PublicVersion",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("number", models.BigIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(pk=1), name="pages_publicversion_one_row"
                    )
                ]
            },
        ),
        migrations.RunSQL(
            "INSERT INTO pages_publicversion (id, number) VALUES (1, 1)",
            migrations.RunSQL.noop,
        ),
        migrations.RunSQL(FUNCTION, "DROP FUNCTION pages_bump_public_version CASCADE"),
    ]

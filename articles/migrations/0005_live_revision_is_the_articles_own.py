from django.db import migrations, models


class Migration(migrations.Migration):
    """Django knows no foreign key over several columns; PostgreSQL does."""

    dependencies = [("articles", "0004_entry_required")]

    operations = [
        migrations.AddConstraint(
            model_name="revision",
            constraint=models.UniqueConstraint(
                fields=("article", "id"), name="articles_revision_as_referred_to"
            ),
        ),
        migrations.RunSQL(
            sql="""
                ALTER TABLE articles_article
                ADD CONSTRAINT articles_article_live_revision_is_its_own
                FOREIGN KEY (id, live_revision_id)
                REFERENCES articles_revision (article_id, id)
            """,
            reverse_sql="""
                ALTER TABLE articles_article
                DROP CONSTRAINT articles_article_live_revision_is_its_own
            """,
        ),
    ]

from django.db import migrations


class Migration(migrations.Migration):
    """Django knows no foreign key over several columns; PostgreSQL does."""

    dependencies = [
        ("newsletter", "0001_consent_and_tips"),
        ("review", "0001_sign_offs"),
    ]

    operations = [
        migrations.RunSQL(
            sql="""
                ALTER TABLE newsletter_issue
                ADD CONSTRAINT newsletter_issue_sign_off_as_given
                FOREIGN KEY (sign_off_id, digest, verdict, valid_until)
                REFERENCES review_signoff (id, digest, verdict, valid_until)
            """,
            reverse_sql="""
                ALTER TABLE newsletter_issue
                DROP CONSTRAINT newsletter_issue_sign_off_as_given
            """,
        )
    ]

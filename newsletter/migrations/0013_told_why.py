from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("newsletter", "0012_moved_from"),
    ]

    operations = [
        migrations.AddField(
            model_name="subscriber",
            name="told_why",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="Whether they said why they left last. What they said is only counted.",
            ),
        ),
    ]

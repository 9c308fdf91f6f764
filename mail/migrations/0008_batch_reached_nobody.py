from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("mail", "0007_batch_history")]

    operations = [
        migrations.AddField(
            "batch",
            "reached_nobody",
            models.BooleanField(
                default=False,
                db_default=False,
                help_text="It has ended and no server took any of it, nor may have.",
            ),
        ),
    ]

from django.db import migrations, models

CHOICES = [(10, "urgent"), (20, "normal"), (30, "bulk")]


class Migration(migrations.Migration):
    """Messages have a priority. Those that are there already are normal ones.

    The index that finds due rows is built anew, which takes a while where the send log is long.
    """

    dependencies = [("wechat_notify", "0004_base_managers")]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="priority",
            field=models.SmallIntegerField(
                choices=CHOICES,
                db_default=20,
                default=20,
                help_text="What is more urgent is sent first.",
                verbose_name="priority",
            ),
        ),
        migrations.AddField(
            model_name="sendlog",
            name="priority",
            field=models.SmallIntegerField(
                choices=CHOICES, db_default=20, default=20, verbose_name="priority"
            ),
        ),
        migrations.RemoveIndex(model_name="sendlog", name="wechat_notify_log_due"),
        migrations.AddIndex(
            model_name="sendlog",
            index=models.Index(
                fields=["status", "account", "priority", "due_at", "notification"],
                name="wechat_notify_log_due",
            ),
        ),
    ]

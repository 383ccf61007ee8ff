from django.db import migrations, models


class Migration(migrations.Migration):
    """Titles of notifications, the text that they are found by, and when a message ended.

    It reads and writes no row. Notifications from before have no title: they are named by their
    first values, and found by their number and their template. Messages that ended before have no
    end.
    """

    dependencies = [
        ("wechat_notify", "0007_trigger_failures"),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="title",
            field=models.CharField(
                blank=True,
                db_default="",
                default="",
                help_text="For lists and links of this site. Recipients do not see it.",
                max_length=100,
                verbose_name="title",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="search_text",
            field=models.TextField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name="sendlog",
            name="finished_at",
            field=models.DateTimeField(blank=True, null=True, verbose_name="finished at"),
        ),
    ]

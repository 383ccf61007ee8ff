from django.db import migrations, models


class Migration(migrations.Migration):
    """Marks tests, which statistics leave out. It reads and writes no row: what was sent before
    counts as no test.
    """

    dependencies = [
        ("wechat_notify", "0010_approvals"),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="is_test",
            field=models.BooleanField(
                db_default=False,
                default=False,
                editable=False,
                help_text="Statistics do not count it.",
                verbose_name="test message",
            ),
        ),
    ]

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Drafts, and which notification replaces which.

    It reads and writes no row: the new column is empty in the notifications that are there.
    """

    dependencies = [
        ("wechat_notify", "0012_alerts"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="notification",
            name="replaces",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                editable=False,
                help_text=(
                    "What had not left of that one was cancelled, and its people got this one."
                ),
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="replaced_by",
                to="wechat_notify.notification",
                verbose_name="replaces",
            ),
        ),
        migrations.CreateModel(
            name="Draft",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("account", models.CharField(max_length=64, verbose_name="account")),
                (
                    "title",
                    models.CharField(blank=True, default="", max_length=100, verbose_name="title"),
                ),
                ("inputs", models.JSONField(default=dict, verbose_name="inputs")),
                (
                    "created_at",
                    models.DateTimeField(auto_now_add=True, verbose_name="created at"),
                ),
                (
                    "updated_at",
                    models.DateTimeField(auto_now=True, db_index=True, verbose_name="saved at"),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="created by",
                    ),
                ),
                (
                    "template",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="wechat_notify.messagetemplate",
                        verbose_name="template",
                    ),
                ),
            ],
            options={
                "verbose_name": "draft",
                "verbose_name_plural": "drafts",
                "base_manager_name": "objects",
            },
        ),
    ]

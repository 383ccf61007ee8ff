import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

import wechat_notify.models.exact


def revise_templates(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """A first revision of each template."""
    using = editor.connection.alias
    revisions = apps.get_model("wechat_notify", "TemplateRevision").objects.using(using)
    for template in apps.get_model("wechat_notify", "MessageTemplate").objects.using(using):
        template.revision = revisions.create(
            template_id=template.template_id, title=template.title, content=template.content
        )
        template.save(using=using, update_fields=["revision"])


def name_keys(apps: StateApps, editor: BaseDatabaseSchemaEditor) -> None:
    """Keys belong to the account and name of the template that they were used with."""
    using = editor.connection.alias
    notifications = apps.get_model("wechat_notify", "Notification").objects.using(using)
    for template in apps.get_model("wechat_notify", "MessageTemplate").objects.using(using):
        notifications.filter(template=template, key__isnull=False).update(
            account=template.account, template_name=template.name
        )


class Migration(migrations.Migration):
    """Field names, stand-ins, and revisions of templates.

    It reads no row of the send log. Rows that wait have no revision, so they are checked once more
    before they leave.
    """

    dependencies = [
        ("wechat_notify", "0005_priority"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="TemplateRevision",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "template_id",
                    wechat_notify.models.exact.ExactCharField(
                        max_length=128, verbose_name="template ID"
                    ),
                ),
                (
                    "title",
                    models.CharField(blank=True, default="", max_length=200, verbose_name="title"),
                ),
                ("content", models.TextField(blank=True, default="", verbose_name="content")),
                (
                    "field_names",
                    models.JSONField(blank=True, default=dict, verbose_name="field names"),
                ),
                ("created_at", models.DateTimeField(auto_now_add=True, verbose_name="created at")),
            ],
            options={
                "verbose_name": "template revision",
                "verbose_name_plural": "template revisions",
                "default_permissions": (),
                "base_manager_name": "objects",
            },
        ),
        migrations.RemoveConstraint(
            model_name="notification",
            name="wechat_notify_notification_key",
        ),
        migrations.AddField(
            model_name="messagetemplate",
            name="field_names",
            field=models.JSONField(
                blank=True,
                default=dict,
                help_text="The site’s own word for each of WeChat’s keys: {word: key}.",
                verbose_name="field names",
            ),
        ),
        migrations.AddField(
            model_name="messagetemplate",
            name="listed_as",
            field=models.CharField(
                blank=True,
                choices=[
                    ("template", "template message"),
                    ("subscription", "subscription notice"),
                    ("nowhere", "in no list"),
                ],
                default="",
                editable=False,
                max_length=16,
                verbose_name="listed as",
            ),
        ),
        migrations.AddField(
            model_name="messagetemplate",
            name="stand_in",
            field=models.ForeignKey(
                blank=True,
                help_text="Used while this template is banned or gone from WeChat. Its own stand-in is not used.",
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="stands_in_for",
                to="wechat_notify.messagetemplate",
                verbose_name="stand-in",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="account",
            field=wechat_notify.models.exact.ExactCharField(
                blank=True, editable=False, max_length=64, null=True, verbose_name="account"
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="template_name",
            field=wechat_notify.models.exact.ExactCharField(
                blank=True, editable=False, max_length=100, null=True, verbose_name="template name"
            ),
        ),
        migrations.AddField(
            model_name="messagetemplate",
            name="revision",
            field=models.ForeignKey(
                blank=True,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="wechat_notify.templaterevision",
                verbose_name="revision",
            ),
        ),
        migrations.AddField(
            model_name="notification",
            name="revision",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="wechat_notify.templaterevision",
                verbose_name="revision",
            ),
        ),
        migrations.AddField(
            model_name="sendlog",
            name="revision",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                editable=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="wechat_notify.templaterevision",
                verbose_name="revision",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                fields=("account", "template_name", "key"),
                name="wechat_notify_notification_account_name_key",
            ),
        ),
        # Last: PostgreSQL alters no table of which rows have changed in the same transaction.
        migrations.RunPython(revise_templates, migrations.RunPython.noop),
        migrations.RunPython(name_keys, migrations.RunPython.noop),
    ]

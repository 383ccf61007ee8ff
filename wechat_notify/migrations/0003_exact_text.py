from django.db import migrations

import wechat_notify.models.exact


class Migration(migrations.Migration):
    """Openids, keys and template ids are equal only to themselves, on MariaDB and MySQL too.

    There it writes each of these tables anew, the send log among them, which takes a while where
    that is long. PostgreSQL has nothing to do.
    """

    dependencies = [("wechat_notify", "0002_saved_recipients")]

    operations = [
        migrations.AlterField(
            model_name="bindingchange",
            name="openid",
            field=wechat_notify.models.exact.ExactCharField(max_length=64, verbose_name="openid"),
        ),
        migrations.AlterField(
            model_name="messagetemplate",
            name="template_id",
            field=wechat_notify.models.exact.ExactCharField(
                max_length=128, verbose_name="template ID"
            ),
        ),
        migrations.AlterField(
            model_name="notification",
            name="key",
            field=wechat_notify.models.exact.ExactCharField(
                blank=True,
                help_text="A second call with the same key and template sends nothing new.",
                max_length=200,
                null=True,
                verbose_name="key",
            ),
        ),
        migrations.AlterField(
            model_name="openidbinding",
            name="openid",
            field=wechat_notify.models.exact.ExactCharField(max_length=64, verbose_name="openid"),
        ),
        migrations.AlterField(
            model_name="openidbinding",
            name="unionid",
            field=wechat_notify.models.exact.ExactCharField(
                blank=True, default="", max_length=64, verbose_name="unionid"
            ),
        ),
        migrations.AlterField(
            model_name="receipt",
            name="openid",
            field=wechat_notify.models.exact.ExactCharField(max_length=64, verbose_name="openid"),
        ),
        migrations.AlterField(
            model_name="sendlog",
            name="openid",
            field=wechat_notify.models.exact.ExactCharField(
                blank=True, default="", max_length=64, verbose_name="openid"
            ),
        ),
    ]

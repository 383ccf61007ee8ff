from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class WeChatNotifyConfig(AppConfig):
    name = "wechat_notify"
    verbose_name = _("WeChat notifications")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .checks import check_declarations, check_deployment, check_settings
        from .triggers import connect

        checks.register(check_settings, "wechat_notify")
        checks.register(check_deployment, "wechat_notify", deploy=True)
        # The second tag keeps Django from running it in commands that did not ask for a database.
        checks.register(check_declarations, "wechat_notify", checks.Tags.database)
        connect()

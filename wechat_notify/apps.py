from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class WeChatNotifyConfig(AppConfig):
    name = "wechat_notify"
    verbose_name = _("WeChat notifications")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import approving
        from .alerts import telling
        from .checks import check_declarations, check_deployment, check_settings
        from .dispatchers.background import serve_requests
        from .project_checks import check_character_set, check_time_zone, check_transactions
        from .triggers import on_signal, reminding

        checks.register(check_settings, "wechat_notify")
        checks.register(check_deployment, "wechat_notify", deploy=True)
        # The second tag keeps Django from running it in commands that did not ask for a database.
        checks.register(check_declarations, "wechat_notify", checks.Tags.database)
        checks.register(check_time_zone, "wechat_notify")
        checks.register(check_transactions, "wechat_notify", deploy=True)
        checks.register(check_character_set, "wechat_notify", checks.Tags.database)
        on_signal.connect()
        reminding.connect()
        approving.connect()
        telling.connect()
        serve_requests()

from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class RulesConfig(AppConfig):
    name = "wechat_notify.rules"
    label = "wechat_notify_rules"
    verbose_name = _("WeChat notification rules")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from .. import retention
        from ..diagnosis import examination
        from . import active_rules, allowed, stopped_rules, triggering
        from .models import Firing

        allowed.resolve_waiting()
        active_rules.connect()
        triggering.connect()
        checks.register(stopped_rules.check_rules, "wechat_notify", checks.Tags.database)
        examination.others.append(stopped_rules.look_at_rules)
        retention.others["firings of rules"] = Firing.older_than

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Any

from django.apps import AppConfig
from django.core import checks
from django.core.signals import request_started
from django.utils.module_loading import import_string
from django.utils.translation import gettext_lazy as _


class WeChatNotifyConfig(AppConfig):
    name = "wechat_notify"
    verbose_name = _("WeChat notifications")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import duties
        from .signals import notify_requested

        checks.register(_later("checks.check_settings"), "wechat_notify")
        checks.register(_later("checks.check_deployment"), "wechat_notify", deploy=True)
        checks.register(_later("project_checks.check_time_zone"), "wechat_notify")
        checks.register(_later("project_checks.check_transactions"), "wechat_notify", deploy=True)
        # The second tag keeps Django from running it in commands that did not ask for a database.
        for check in ("checks.check_declarations", "project_checks.check_character_set"):
            checks.register(_later(check), "wechat_notify", checks.Tags.database)

        notify_requested.connect(
            _later("triggers.on_signal.notify_as_requested"),
            weak=False,
            dispatch_uid="wechat_notify.triggers",
        )
        request_started.connect(
            _later("dispatchers.background.on_request"),
            weak=False,
            dispatch_uid="wechat_notify.background",
        )

        minute, hour = timedelta(minutes=1), timedelta(hours=1)
        duties.register("approvals", _later("approving.expire_in_use"), every=minute)
        # Where nothing is held any more: what was held before the setting was taken back ends, too.
        duties.register("approvals left", _later("approving.expire_held"), every=hour)
        duties.register("alerts", _later("alerts.telling.begin"), every=minute, where_served=True)


@cache
def _later(name: str) -> Callable[..., Any]:
    """What calls the function of this name, and imports its module only then.

    Otherwise every process of the site, and every command, would load half of the app when Django
    starts. The same object for the same name, so that connecting it again changes nothing.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        return import_string(f"{__package__}.{name}")(*args, **kwargs)

    return call

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LeaveConfig(AppConfig):
    name = "demo_project.leave"
    verbose_name = _("Leave")

    def ready(self) -> None:
        from . import rules, triggers  # noqa: F401 - connects its functions to the signals

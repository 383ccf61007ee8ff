"""Ways in: from the list of notifications, a template's page, and any list of users."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from ...models import Notification
from ..access import allowed_accounts
from ..base import BaseAdmin, Button
from .people import may_compose

TITLE = _("Compose and send")


def compose_url(site: AdminSite) -> str:
    """Where composing begins."""
    return reverse("admin:wechat_notify_notification_compose", current_app=site.name)


def can_compose_here(site: AdminSite, request: HttpRequest) -> bool:
    """Whether this site has the page, and this member of staff may use it."""
    return site.is_registered(Notification) and may_compose(site, request)


class ComposeLinkMixin(BaseAdmin):
    """On the templates: a button that begins with this one."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        buttons = super().object_buttons(request, obj)
        usable = obj.is_active and obj.account in allowed_accounts(self.admin_site, request)
        if not usable or not can_compose_here(self.admin_site, request):
            return buttons
        return [Button(TITLE, f"{compose_url(self.admin_site)}?template={obj.pk}"), *buttons]

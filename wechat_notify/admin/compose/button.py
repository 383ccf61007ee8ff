"""The button that leads to composing, and where it leads."""

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from ...models import MessageTemplate
from ..base import BaseAdmin, Button
from ..permissions import allowed_accounts, can_compose_here

TITLE = _("Compose and send")


def compose_url(site: AdminSite) -> str:
    """Where composing begins."""
    return reverse("admin:wechat_notify_notification_compose", current_app=site.name)


def compose_buttons(site: AdminSite, request: HttpRequest, query: str = "") -> list[Button]:
    """The button, for those who may compose; ``query`` fills in some of the form."""
    allowed = can_compose_here(site, request)
    return [Button(TITLE, compose_url(site) + query)] if allowed else []


def use_buttons(site: AdminSite, request: HttpRequest, template: MessageTemplate) -> list[Button]:
    """The button that composes with this template; none where it cannot be sent with."""
    usable = template.is_active and template.account in allowed_accounts(site, request)
    return compose_buttons(site, request, f"?template={template.pk}") if usable else []


class ComposeLinkMixin(BaseAdmin):
    """On a template's page: a button to compose with this template."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        own = use_buttons(self.admin_site, request, obj)
        return [*own, *super().object_buttons(request, obj)]

"""Entries of the admin's index and menus: composing a message, what is to be approved, and the
dashboard.
"""

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path

from ...conf import settings
from ...models import Notification, SendLog
from ..compose.button import compose_url
from ..permissions import can_compose_here, may_approve
from .approval_pages import to_approve_url
from .dashboard import dashboard_url


class MenuEntry(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """Leads to a page of another model's admin. Shown to those who may see that page."""

    def address(self) -> str:
        """The page."""
        raise NotImplementedError

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_changelist"
        return [path("", self.admin_site.admin_view(self.changelist_view), name=name)]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(self.address())


class ComposePageAdmin(MenuEntry):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return can_compose_here(self.admin_site, request)

    def address(self) -> str:
        return compose_url(self.admin_site)


class ApprovalsPageAdmin(MenuEntry):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if settings.APPROVAL_ABOVE is None or not may_approve(request):
            return False
        if not self.admin_site.is_registered(Notification):
            return False
        return self.admin_site.get_model_admin(Notification).has_view_permission(request)

    def address(self) -> str:
        return to_approve_url(self.admin_site)


class DashboardPageAdmin(MenuEntry):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if not self.admin_site.is_registered(SendLog):
            return False
        return self.admin_site.get_model_admin(SendLog).has_view_permission(request)

    def address(self) -> str:
        return dashboard_url(self.admin_site)

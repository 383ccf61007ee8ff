"""What the app's admin pages have in common."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from ..wechat.errors import Words
from .access import narrowed
from .actions import ActionForm

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:  # generic in its stubs only
    _ModelAdmin = admin.ModelAdmin

GUARDED_FIELDS = frozenset({"openid", "unionid"})


@dataclass(frozen=True, slots=True)
class Button:
    """A link at the top of a page. It leads to a page that asks, and never does anything itself."""

    label: Words
    url: str


class BaseAdmin(_ModelAdmin):
    """Style, buttons, rows of allowed accounts only, and openids kept from those who may not see
    them.
    """

    account_lookup = "account"
    """The way from a row to the alias of its account."""

    change_list_template = "wechat_notify/admin/change_list.html"
    change_form_template = "wechat_notify/admin/change_form.html"
    action_form = ActionForm
    list_per_page = 100
    show_full_result_count = False
    show_add_link = True
    """Read by django-unfold, which else offers no way to add."""

    class Media:
        css = {
            "all": ("wechat_notify/card.css", "wechat_notify/admin.css", "wechat_notify/themes.css")
        }
        js = ("wechat_notify/admin.js",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return narrowed(self.admin_site, request, rows, self.account_lookup)

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        """Buttons of the list page, for this user."""
        return []

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        """Buttons of one object's page, for this user."""
        return []

    def url(self, name: str, *args: Any) -> str:
        """The address of one of this model's own pages, such as ``changelist``."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def require(self, request: HttpRequest, *permissions: str) -> None:
        """Raises ``PermissionDenied`` unless this user may see the model and has these besides."""
        if not (self.has_view_permission(request) and request.user.has_perms(permissions)):
            raise PermissionDenied

    def find(self, request: HttpRequest, object_id: str, *permissions: str) -> Any:
        """The object, for somebody who may see it and has ``permissions`` besides.

        Raises ``PermissionDenied`` or ``Http404``.
        """
        self.require(request, *permissions)
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        return obj

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Nobody finds out an openid letter by letter with ``?openid__startswith=`` either."""
        if GUARDED_FIELDS.intersection(lookup.split("__")) and not may_see_openids(request):
            return False
        return super().lookup_allowed(lookup, value, request)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {"buttons": self.list_buttons(request), **(extra_context or {})}
        return super().changelist_view(request, context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = context.get("original")
        context["buttons"] = self.object_buttons(request, obj) if obj is not None else []
        return super().render_change_form(request, context, *args, **kwargs)


class ReadOnlyMixin(BaseAdmin):
    """Rows that the app writes and nobody edits."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def may_see_openids(request: HttpRequest) -> bool:
    """Whether this user sees whole openids; everybody else sees them masked."""
    return request.user.has_perm("wechat_notify.view_openid")

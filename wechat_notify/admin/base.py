"""What the app's admin pages have in common."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext_lazy as _

from ..names import account_name
from ..wechat.errors import Words
from .parts.actions import ActionForm
from .permissions import may_see_openids, narrowed

View = TypeVar("View", bound=Callable[..., Any])

GUARDED_FIELDS = frozenset({"openid", "unionid"})


@dataclass(frozen=True, slots=True)
class Button:
    """A link at the top of a page. It only opens a page, and changes nothing by itself."""

    label: Words
    url: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page of an admin's own: its route below the model's list, its name, and its view.

    The URL name is Django's own pattern, ``admin:wechat_notify_<model>_<name>``.
    """

    route: str
    name: str
    view: Callable[..., Any]


def page(route: str, name: str) -> Callable[[View], View]:
    """Makes a method the view of a page: ``@page("<path:object_id>/csv/", "csv")``.

    Only members of staff reach it; the view checks any other permission itself.
    """

    def mark(view: Any) -> Any:
        view.wechat_page = (route, name)
        return view

    return mark


class BaseAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """What all admins of the app share: style, buttons, pages of their own, only rows of allowed
    accounts, and no openids for those who may not see them.
    """

    account_lookup = "account"
    """The lookup from a row to the alias of its account."""

    change_list_template = "wechat_notify/admin/change_list.html"
    change_form_template = "wechat_notify/admin/change_form.html"
    action_form = ActionForm
    list_per_page = 100
    show_full_result_count = False
    empty_text: Words = ""
    """What an empty list says, above ``first_steps``."""
    show_add_link = True
    """django-unfold reads it, and shows no "Add" button without it."""

    class Media:
        css = {
            "all": (
                "wechat_notify/card.css",
                "wechat_notify/admin.css",
                "wechat_notify/lists.css",
                "wechat_notify/themes.css",
            )
        }
        js = ("wechat_notify/admin.js", "wechat_notify/focus.js", "wechat_notify/lists.js")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return narrowed(self.admin_site, request, rows, self.account_lookup)

    def pages(self) -> Iterator[Page]:
        """The pages of this admin beside Django's own: every method with ``@page``."""
        names = dict.fromkeys(name for kind in type(self).__mro__ for name in vars(kind))
        for name in names:
            declared: Any = getattr(type(self), name, None)
            if hasattr(declared, "wechat_page"):
                route, page_name = declared.wechat_page
                yield Page(route, page_name, getattr(self, name))

    def get_urls(self) -> list[URLPattern]:
        wrap, prefix = self.admin_site.admin_view, f"{self.opts.app_label}_{self.opts.model_name}"
        own = [
            path(page.route, wrap(page.view), name=f"{prefix}_{page.name}") for page in self.pages()
        ]
        return own + super().get_urls()

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        """Buttons of the list page, for this user."""
        return []

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        """Buttons of one object's page, for this user."""
        return []

    def first_steps(self, request: HttpRequest) -> list[Button]:
        """Buttons of an empty list: what this user can do to get a first row."""
        return []

    def url(self, name: str, *args: Any) -> str:
        """The address of one of this model's own pages, such as ``changelist``."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{name}"
        return reverse(name, args=args, current_app=self.admin_site.name)

    def require(self, request: HttpRequest, *, allowed: bool = True) -> None:
        """Raises ``PermissionDenied`` unless this user may see the model and is ``allowed``."""
        if not (self.has_view_permission(request) and allowed):
            raise PermissionDenied

    def find(self, request: HttpRequest, object_id: str, *, allowed: bool = True) -> Any:
        """The object, for a user who may see it and is ``allowed`` to do what the page does.

        Raises ``PermissionDenied`` or ``Http404``.
        """
        self.require(request, allowed=allowed)
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        return obj

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Refuses ``?openid__startswith=``, which would tell an openid letter by letter."""
        if GUARDED_FIELDS.intersection(lookup.split("__")) and not may_see_openids(request):
            return False
        return super().lookup_allowed(lookup, value, request)

    @admin.display(description=_("account"), ordering="account")
    def account_name(self, obj: Any) -> str:
        """A column, or a field of one object's page: the account by its NAME."""
        return account_name(obj.account)

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        context = {
            "buttons": self.list_buttons(request),
            "empty_text": self.empty_text,
            "ways": self.first_steps(request),
            **(extra_context or {}),
        }
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

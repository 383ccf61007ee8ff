"""Recipients chosen on a list of the admin: ticked rows, or all rows that its filters leave."""

import copy
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin import AdminSite
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ALL_VAR, ERROR_FLAG, PAGE_VAR
from django.contrib.auth import get_user_model
from django.core.exceptions import (
    FieldError,
    ImproperlyConfigured,
    SuspiciousOperation,
    ValidationError,
)
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

# SuspiciousOperation: the list refuses the filter.
UNREADABLE = (IncorrectLookupParameters, SuspiciousOperation, ValidationError, ValueError)

# Parameters of the page that was shown, which do not change the rows.
OF_THE_PAGE = (ALL_VAR, ERROR_FLAG, PAGE_VAR)


class UserList(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in its stubs only
    """An admin whose rows are users, or lead to users."""

    wechat_user_field = "user"

    def get_wechat_users(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """The users that ``queryset``, rows of this admin, leads to.

        Rows of the user model are users themselves; others lead to users by ``wechat_user_field``,
        a lookup such as "guardian__user". Override it for anything else.
        """
        model = get_user_model()
        if issubclass(self.model, model):
            return queryset
        try:
            users = queryset.order_by().values(self.wechat_user_field)
        except FieldError as error:
            raise ImproperlyConfigured(
                f"{type(self).__name__}: {self.wechat_user_field!r} does not lead from "
                f"{self.model.__name__} to a user. Set wechat_user_field or define "
                f"get_wechat_users()."
            ) from error
        return model._default_manager.filter(pk__in=users)


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows of one list: the model's label, the list's query string, and which rows.

    Without ``ids`` all rows that the query string leaves. The rows are read again each time, with
    the permissions and filters of that list.
    """

    label: str
    query: str = ""
    ids: tuple[str, ...] = ()

    def rows(self, site: AdminSite, request: HttpRequest) -> QuerySet[Any]:
        """The rows. Raises ``LookupError`` if this user has no such list."""
        model_admin = self._model_admin(site, request)
        if "%00" in self.query:  # PostgreSQL refuses NUL
            raise LookupError(self.query)
        asked = copy.copy(request)
        asked.GET = QueryDict(_without_page(self.query))
        try:
            rows = model_admin.get_changelist_instance(asked).get_queryset(asked)
            return rows.filter(pk__in=self.ids) if self.ids else rows
        except UNREADABLE as error:
            raise LookupError(self.query) from error

    def users(self, site: AdminSite, request: HttpRequest) -> QuerySet[Any]:
        """The users that they lead to. Raises ``LookupError`` like ``rows``."""
        model_admin = self._model_admin(site, request)
        return model_admin.get_wechat_users(request, self.rows(site, request)).order_by()

    def name(self) -> str:
        """The name of the rows, such as "students"; "?" if there is no such list."""
        try:
            return str(apps.get_model(self.label)._meta.verbose_name_plural)
        except (LookupError, ValueError):  # ValueError: a label without a dot
            return "?"

    def described(self) -> str:
        """The rows in a few words, such as "Chosen on a list: students (3)"."""
        if self.ids:
            return f"{_('Chosen on a list:')} {self.name()} ({len(self.ids)})"
        return f"{_('All of a list:')} {self.name()}"

    def _model_admin(self, site: AdminSite, request: HttpRequest) -> UserList:
        try:
            model = apps.get_model(self.label)
        except ValueError as error:  # a label without a dot
            raise LookupError(self.label) from error
        model_admin = site.get_model_admin(model) if site.is_registered(model) else None
        if not isinstance(model_admin, UserList) or not model_admin.has_view_permission(request):
            raise LookupError(self.label)
        return model_admin


def _without_page(query: str) -> str:
    """The query string without the page number: that page may no longer exist."""
    found = QueryDict(query, mutable=True)
    for name in OF_THE_PAGE:
        found.pop(name, None)
    return found.urlencode()

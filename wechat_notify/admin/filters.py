"""List filters that stay cheap on a large send log."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..conf import settings
from ..models import MessageTemplate, Notification, OpenIDBinding

Choices = Iterable[tuple[str, Any]]


class AccountFilter(admin.SimpleListFilter):
    """By account: the configured ones, without asking the database which there are."""

    title = _("account")
    parameter_name = "account"
    lookup = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(alias, alias) for alias in settings.aliases]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.lookup: self.value()}) if self.value() else queryset


class TemplateAccountFilter(AccountFilter):
    """By the account of the row's template."""

    lookup = "template__account"


class ErrcodeFilter(admin.SimpleListFilter):
    """Whether WeChat answered with an error."""

    title = _("error code")
    parameter_name = "error"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("yes", _("With an error code")), ("no", _("Without an error code"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        without = Q(errcode=None) | Q(errcode=0)  # 0 is WeChat's "ok"
        if self.value() == "yes":
            return queryset.exclude(without)
        return queryset.filter(without) if self.value() == "no" else queryset


class StateFilter(admin.SimpleListFilter):
    """Whether a template can be used, and why not."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            ("usable", _("Usable")),
            ("inactive", _("Inactive")),
            ("paused", _("Paused")),
            ("changed", _("Content changed")),
        ]

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[MessageTemplate]
    ) -> QuerySet[MessageTemplate]:
        conditions: dict[str | None, dict[str, Any]] = {
            "usable": {"is_active": True, "paused_at": None},
            "inactive": {"is_active": False},
            "paused": {"paused_at__isnull": False},
            "changed": {"content_changed_at__isnull": False},
        }
        return queryset.filter(**conditions.get(self.value(), {}))


class ChosenFilter(admin.SimpleListFilter):
    """Shows which one object the list is narrowed to. There is nothing to choose from here.

    Links on other pages set it; a menu of every notification would be of no use to anybody.
    """

    chosen: type[Model]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.value()
        if value is None:
            return []
        found = self._queryset(value).first()
        return [(value, str(found) if found is not None else value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # Never asked without a value: a filter without lookups is left out by Django.
        chosen = self._queryset(self.value() or "")
        return queryset.filter(**{f"{self.parameter_name}__in": chosen})

    def _queryset(self, value: str) -> QuerySet[Any]:
        every = self.chosen._default_manager.all()
        return every.filter(pk=value) if value.isdecimal() else every.none()


class NotificationFilter(ChosenFilter):
    title = _("notification")
    parameter_name = "notification"
    chosen = Notification


class BindingFilter(ChosenFilter):
    title = _("binding")
    parameter_name = "binding"
    chosen = OpenIDBinding

"""List filters that stay cheap on a large send log."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import MessageTemplate, Notification, OpenIDBinding
from .access import allowed_accounts, narrowed

Choices = Iterable[tuple[str, Any]]


class AccountFilter(admin.SimpleListFilter):
    """By account: the allowed ones, without asking the database which there are."""

    title = _("account")
    parameter_name = "account"
    lookup = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [(alias, alias) for alias in allowed_accounts(model_admin.admin_site, request)]

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


class TemplateFilter(admin.RelatedFieldListFilter):
    """By template, those of allowed accounts."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: Any
    ) -> list[tuple[str, str]]:
        every = MessageTemplate.objects.order_by("account", "name")
        return [
            (str(template.pk), str(template))
            for template in narrowed(model_admin.admin_site, request, every)
        ]


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
    account_lookup = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.value()
        if value is None:
            return []
        every = self.chosen._default_manager.all()
        self._allowed = narrowed(model_admin.admin_site, request, every, self.account_lookup)
        found = self._queryset(value).first()
        return [(value, str(found) if found is not None else value)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # Never asked without a value: a filter without lookups is left out by Django.
        chosen = self._queryset(self.value() or "")
        return queryset.filter(**{f"{self.parameter_name}__in": chosen})

    def _queryset(self, value: str) -> QuerySet[Any]:
        return self._allowed.filter(pk=value) if value.isdecimal() else self._allowed.none()


class NotificationFilter(ChosenFilter):
    title = _("notification")
    parameter_name = "notification"
    chosen = Notification
    account_lookup = "template__account"


class BindingFilter(ChosenFilter):
    title = _("binding")
    parameter_name = "binding"
    chosen = OpenIDBinding

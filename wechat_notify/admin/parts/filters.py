"""List filters that stay cheap on a large send log."""

import re
from collections.abc import Iterable
from typing import Any, TypeGuard

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...models import MessageTemplate, Notification, OpenIDBinding, SendLog
from ...names import account_name
from ...notification_state import Situation, State, in_state
from ...wechat.errors import describe
from ..permissions import allowed_accounts, narrowed

ACCEPTED = (SendLog.Status.SENT, SendLog.Status.DELIVERED)
REFUSED = [status for status in SendLog.Status if status not in ACCEPTED]

NUMBER = re.compile("[0-9]{1,18}")
"""What a primary key or a count can be: Python refuses to read thousands of digits."""

Choices = Iterable[tuple[str, Any]]


class AccountFilter(admin.SimpleListFilter):
    """By account. Offers the allowed accounts, without a query."""

    title = _("account")
    parameter_name = "account"
    lookup = "account"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        aliases = allowed_accounts(model_admin.admin_site, request)
        return [(alias, account_name(alias)) for alias in aliases]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(**{self.lookup: self.value()}) if self.value() else queryset


class TemplateAccountFilter(AccountFilter):
    """By the account of the row's template."""

    lookup = "template__account"


class TestFilter(admin.SimpleListFilter):
    """Test messages, or none of them. The list has them unless it is narrowed: whoever has sent a
    test looks for it there.
    """

    title = _("test messages")
    parameter_name = "test"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [("no", _("Without test messages")), ("yes", _("Test messages only"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if value not in ("no", "yes"):
            return queryset
        rows: QuerySet[Any] = self.narrowed(queryset, value == "yes")
        return rows

    def narrowed(self, queryset: Any, is_test: bool) -> Any:
        return queryset.filter(is_test=is_test)


class LogTestFilter(TestFilter):
    """The same for the send log."""

    def narrowed(self, queryset: Any, is_test: bool) -> Any:
        if not is_test:
            return queryset.without_tests()
        # There are few, and the rows of each are found by the index on the notification.
        return queryset.filter(notification__in=Notification.objects.filter(is_test=True))


WITHOUT_TESTS = {TestFilter.parameter_name: "no"}
"""For links from counts without tests to the list of what they count."""


class ErrcodeFilter(admin.SimpleListFilter):
    """By WeChat's errcode. Offers the codes of the newest failures."""

    title = _("error code")
    parameter_name = "error"
    LOOKED_AT = 1000

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        yield "yes", _("With an error code")
        yield "no", _("Without an error code")
        failed = model_admin.get_queryset(request).filter(status=SendLog.Status.FAILED)
        newest = failed.order_by("-pk").values_list("errcode", flat=True)[: self.LOOKED_AT]
        codes = {str(code) for code in newest if code}
        if _is_errcode(chosen := self.used_parameters.get(self.parameter_name)):
            codes.add(str(chosen))
        for code in sorted(codes, key=int):
            yield code, f"{code} · {describe(int(code)).cause}"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        without = Q(errcode=None) | Q(errcode=0)  # 0 is WeChat's "ok"
        value = self.value()
        if value == "no":
            return queryset.filter(without)
        # The status is indexed; and a message that WeChat took in the end has no error.
        refused = queryset.filter(status__in=REFUSED)
        if value == "yes":
            return refused.exclude(without)
        return refused.filter(errcode=int(value)) if _is_errcode(value) else queryset


def _is_errcode(value: Any) -> TypeGuard[str]:
    """Whether this is the number of an errcode that the column can hold."""
    return re.fullmatch(r"-?[0-9]{1,9}", str(value)) is not None


class ReasonFilter(admin.SimpleListFilter):
    """By our own reason, or by what the receipt said. It offers no choices: only links of causes on
    other pages set it.
    """

    title = _("reason")
    parameter_name = "reason"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        value = self.used_parameters.get(self.parameter_name)
        return [] if value is None else [(value, gettext(value) if value else "-")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        words = self.value() or ""
        if "\0" in words:  # PostgreSQL takes no such text
            return queryset.none()
        undelivered = Q(status=SendLog.Status.UNDELIVERED)
        return queryset.filter(
            (undelivered & Q(receipt_status=words)) | (~undelivered & Q(errmsg=words))
        )


class TemplateFilter(admin.RelatedFieldListFilter):
    """By template. Offers the templates of allowed accounts."""

    def field_choices(
        self, field: Any, request: HttpRequest, model_admin: Any
    ) -> list[tuple[str, Any]]:
        every = MessageTemplate.objects.order_by("account", "name")
        return [
            (str(template.pk), str(template))
            for template in narrowed(model_admin.admin_site, request, every)
        ]


class NotificationStateFilter(admin.SimpleListFilter):
    """By the state of a notification."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        self._allowed = allowed_accounts(model_admin.admin_site, request)
        return State.choices

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[Notification]
    ) -> QuerySet[Notification]:
        value = self.value()
        if value is None or value not in State.values:
            return queryset
        return in_state(queryset, State(value), Situation.of(self._allowed))


class StateFilter(admin.SimpleListFilter):
    """Whether a template can be used, and why not."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            ("usable", _("Active")),
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


class ReachFilter(admin.SimpleListFilter):
    """Whether a person can be reached, and if not, how that is known."""

    title = _("can be reached")
    parameter_name = "reach"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            ("yes", _("Yes")),
            ("no", _("No")),
            ("unfollowed", _("No: does not follow")),
            ("refused", _("No: found out by a message")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        conditions: dict[str | None, dict[str, Any]] = {
            "yes": {"subscribed": True},
            "no": {"subscribed": False},
            "unfollowed": {"subscribed": False, "unreachable_errcode": None},
            "refused": {"subscribed": False, "unreachable_errcode__isnull": False},
        }
        return queryset.filter(**conditions.get(self.value(), {}))


class ChosenFilter(admin.SimpleListFilter):
    """Shows the one object that the list is narrowed to. It offers no choices, which would be too
    many: only links on other pages set it.
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
        # Never called without a value: Django leaves out a filter without lookups.
        chosen = self._queryset(self.value() or "")
        return queryset.filter(**{f"{self.parameter_name}__in": chosen})

    def _queryset(self, value: str) -> QuerySet[Any]:
        return self._allowed.filter(pk=value) if NUMBER.fullmatch(value) else self._allowed.none()


class NotificationFilter(ChosenFilter):
    title = _("notification")
    parameter_name = "notification"
    chosen = Notification
    account_lookup = "template__account"


class BindingFilter(ChosenFilter):
    title = _("binding")
    parameter_name = "binding"
    chosen = OpenIDBinding

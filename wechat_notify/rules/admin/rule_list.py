"""The list of rules: what each does, whether it is on, and when it fired."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, Max, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...admin.parts.filters import TemplateAccountFilter
from ...admin.parts.links import link, list_url
from ..models import Firing, SwitchRequest
from ..sentence import names_in, sentence
from .rule_page import WriteMixin
from .states import (
    DRY_RUN,
    LABELS,
    OFF,
    ON,
    STOPPED,
    WAITING_LABEL,
    WAITS,
    state_badge,
    waits_badge,
)
from .switch_approving import SwitchApprovalMixin
from .switching import SwitchMixin
from .trying import TryMixin
from .who_may import may_change_rule, may_write_rules

RECENT = timedelta(days=30)


class RuleChangeList(ChangeList):
    """Reads the names and the firings of all rules on the page in four queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        names = names_in(self.result_list)
        since = timezone.now() - RECENT
        found_keys = [row.pk for row in self.result_list]
        fired = Firing.objects.filter(rule__in=found_keys)
        counted = (
            fired.order_by()
            .values_list("rule")
            .annotate(last=Max("fired_at"), recent=Count("pk", filter=Q(fired_at__gte=since)))
        )
        found = {pk: (last, recent) for pk, last, recent in counted}
        open_requests = SwitchRequest.objects.filter(rule__in=found_keys, decision="")
        waiting = set(open_requests.values_list("rule_id", flat=True))
        for row in self.result_list:
            row.waits = row.pk in waiting
            row.listed_names = names
            row.last_fired, row.fired_recently = found.get(row.pk, (None, 0))


class StateFilter(admin.SimpleListFilter):
    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [*LABELS.items(), (WAITS, WAITING_LABEL)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        running = queryset.filter(is_active=True, stopped_because="")
        return {
            ON: running.filter(dry_run=False),
            DRY_RUN: running.filter(dry_run=True),
            OFF: queryset.filter(is_active=False),
            WAITS: queryset.filter(switch_requests__decision=""),
            STOPPED: queryset.filter(is_active=True).exclude(stopped_because=""),
        }.get(self.value() or "", queryset)


class RuleAdmin(WriteMixin, TryMixin, SwitchApprovalMixin, SwitchMixin):
    account_lookup = "template__account"
    list_display = ("name", "said", "state", "last_firing", "recent_firings")
    list_filter = (StateFilter, TemplateAccountFilter)
    list_select_related = ("template",)
    list_per_page = 50
    search_fields = ("name",)
    ordering = ("name",)

    class Media:
        css = {"all": ("wechat_notify_rules/rules.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        allowed = may_write_rules(self.admin_site, request)
        return allowed and super().has_add_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        allowed = may_write_rules(self.admin_site, request)
        if obj is not None:
            allowed = allowed and may_change_rule(self.admin_site, request, obj)
        return allowed and super().has_change_permission(request, obj)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RuleChangeList

    @admin.display(description=_("what it does"))
    def said(self, obj: Any) -> str:
        return sentence(obj, obj.listed_names)

    @admin.display(description=_("state"))
    def state(self, obj: Any) -> SafeString:
        if obj.waits:
            return format_html("{} {}", state_badge(obj), waits_badge())
        if obj.is_active and obj.stopped_because:
            return format_html("{}<br>{}", state_badge(obj), obj.stopped_because)
        return state_badge(obj)

    @admin.display(description=_("last firing"))
    def last_firing(self, obj: Any) -> str:
        if obj.last_fired is None:
            return "-"
        return date_format(timezone.localtime(obj.last_fired), "DATETIME_FORMAT")

    @admin.display(description=_("fired in 30 days"))
    def recent_firings(self, obj: Any) -> SafeString:
        if not obj.fired_recently:
            return format_html("{}", 0)
        return link(list_url(self.admin_site, Firing, rule__id__exact=obj.pk), obj.fired_recently)

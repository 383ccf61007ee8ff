"""The dashboard: today and thirty days, what failed, which accounts rest, and today's quotas."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from django.contrib.admin import AdminSite
from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from ...account_state import quota_today
from ...conf import settings
from ...diagnosis.machine import look_at_threads
from ...dry_run import NOT_BOUND
from ...models import MessageTemplate, SendLog, TriggerFailure, last_of_each
from ...names import account_name
from ...statistics import Cause, Counts, Overview, causes, count_by_day, overview, since
from ...wechat.shared_cache import cache_key
from ..base import BaseAdmin, Button, page
from ..compose.button import compose_url
from ..parts.account_rests import AccountRest, why_at_rest, why_overdue
from ..parts.badges import status_badge
from ..parts.causes import cause_row
from ..parts.charts import COLUMN, GAP, HEIGHT, columns, segments, share
from ..parts.explanations import stand_in_used, why_paused
from ..parts.filters import WITHOUT_TESTS
from ..parts.frame import admin_page
from ..parts.links import list_url, object_link
from ..parts.remedies import resume_template, to_poster, try_again_url
from ..permissions import allowed_accounts, can_compose_here, narrowed

TITLE = gettext_lazy("Dashboard")
DAYS = 30
TEMPLATES = 12
CAUSES = 10
KEPT_SECONDS = 60
"""Counting reads every message of thirty days, and a minute old is fresh enough."""


def dashboard_url(site: AdminSite) -> str:
    """Where the dashboard is."""
    return reverse("admin:wechat_notify_sendlog_dashboard", current_app=site.name)


class DashboardMixin(BaseAdmin):
    """On the send log, for every user who may see it."""

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [Button(TITLE, self.url("dashboard")), *super().list_buttons(request)]

    @page("dashboard/", "dashboard")
    def _dashboard_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request)
        found, why = self._counted(request)
        allowed = allowed_accounts(self.admin_site, request)
        return admin_page(
            self,
            request,
            "dashboard.html",
            title=TITLE,
            compose_url=self._compose_url(request),
            overview=found,
            today=_badges(found.today),
            month=_badges(found.total),
            chart=_chart(found),
            templates=self._templates(found),
            causes=self._causes(request, why),
            rests=list(self._rests(request, allowed)),
            failures=self._failures(request),
            paused=[
                (
                    object_link(self.admin_site, row),
                    f"{why_paused(row)} {stand_in_used(row)}",
                    list(resume_template(self.admin_site, request, row)),
                )
                for row in self._paused(request)
            ],
            servers=list(look_at_threads()),
            quota_url=self.url("quota"),
            quota=self._quota(request) if "quota" in request.GET else "",
        )

    def _rests(self, request: HttpRequest, accounts: list[str]) -> Iterator[AccountRest]:
        """Why nothing leaves, for each account that sends nothing."""
        for account in accounts:
            if rest := why_at_rest(account):
                yield replace(rest, url=try_again_url(self.admin_site, request, account))
            elif overdue := why_overdue(account):
                yield overdue

    def _causes(self, request: HttpRequest, why: list[Cause]) -> list[dict[str, Any]]:
        """The table of causes, with the poster that invites those who have not bound."""
        invite = to_poster(self.admin_site, request)
        return [
            {
                **cause_row(self.admin_site, cause, **_recent()),
                "ways": invite if cause.errcode is None and cause.words == NOT_BOUND else [],
            }
            for cause in why
        ]

    def _compose_url(self, request: HttpRequest) -> str:
        allowed = can_compose_here(self.admin_site, request)
        return compose_url(self.admin_site) if allowed else ""

    def _counted(self, request: HttpRequest) -> tuple[Overview, list[Cause]]:
        allowed = ",".join(allowed_accounts(self.admin_site, request))
        key = cache_key("dashboard", f"{since(DAYS):%Y%m%d%z}", allowed)
        cache = caches[settings.CACHE]
        kept: Any = cache.get(key)
        if kept is None:
            rows: Any = self.get_queryset(request)
            logs = rows.without_tests()
            recent = logs.filter(notification__created_at__gte=since(DAYS))
            why = [
                [cause.status.value, cause.errcode, cause.words, cause.count]
                for cause in causes(recent, most=CAUSES)
            ]
            kept = [count_by_day(logs, DAYS), why]
            cache.set(key, kept, KEPT_SECONDS)
        rows, why = kept
        found = [Cause(SendLog.Status(status), *rest) for status, *rest in why]
        return overview(rows, DAYS), found

    def _templates(self, found: Overview) -> list[dict[str, Any]]:
        shown = found.templates[:TEMPLATES]
        most = max((sum(counts.values()) for _row, counts in shown), default=0)
        return [
            {
                "template": template,
                "total": sum(counts.values()),
                "segments": segments(counts, most),
                "url": list_url(
                    self.admin_site,
                    SendLog,
                    notification__template__id__exact=template.pk,
                    **_recent(),
                ),
            }
            for template, counts in shown
        ]

    def _failures(self, request: HttpRequest) -> list[TriggerFailure]:
        failures = TriggerFailure.objects.all()
        return last_of_each(narrowed(self.admin_site, request, failures), since(DAYS))

    def _paused(self, request: HttpRequest) -> Any:
        paused = MessageTemplate.objects.filter(paused_at__isnull=False)
        paused = paused.select_related("stand_in").order_by("account", "name")
        return narrowed(self.admin_site, request, paused)

    # -- quotas -------------------------------------------------------------------------------

    @page("quota/", "quota")
    def _quota_view(self, request: HttpRequest) -> HttpResponse:
        """A request of its own, because WeChat may be slow to answer."""
        self.require(request)
        return JsonResponse({"html": self._quota(request), "again": None})

    def _quota(self, request: HttpRequest) -> SafeString:
        accounts = allowed_accounts(self.admin_site, request)
        context = {"quotas": [_account_quota(account) for account in accounts]}
        return render_to_string("wechat_notify/admin/quota.html", context)


def _recent() -> dict[str, str]:
    """The send log's filter for the messages that are counted here."""
    return {"notification__created_at__gte": since(DAYS).isoformat(), **WITHOUT_TESTS}


def _badges(counts: Counts) -> list[tuple[SafeString, int]]:
    return [(status_badge(status), counts[status]) for status in SendLog.Status if status in counts]


def _chart(found: Overview) -> dict[str, Any]:
    drawn = columns(found.days)
    return {
        "columns": drawn,
        "width": len(drawn) * (COLUMN + GAP) - GAP,
        "height": HEIGHT,
        "column": COLUMN,
        "most": max(column.total for column in drawn),
        "table": [(day, sum(counts.values()), _badges(counts)) for day, counts in found.days],
    }


def _account_quota(account: str) -> dict[str, Any]:
    known, bar = quota_today(account), []
    if known.quota is not None:
        used, limit = known.quota.used, known.quota.daily_limit
        bar = share(used, limit, "bad" if 10 * used >= 9 * limit else "accepted")
    return {
        "account": account_name(account),
        "quota": known.quota,
        "trouble": known.trouble,
        "segments": bar,
    }

"""The dashboard: today and thirty days, what went wrong, what rests, and what is left of quotas."""

from dataclasses import dataclass
from typing import Any

from django.core.cache import caches
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from ..backends.registry import get_backend
from ..conf import settings
from ..exceptions import ConfigurationError, WeChatNotifyError
from ..models import MessageTemplate, SendLog
from ..statistics import Cause, Counts, Overview, causes, overview, since
from ..wechat.client import Quota
from .access import allowed_accounts, narrowed
from .badges import status_badge
from .base import BaseAdmin, Button
from .causes import cause_row
from .charts import COLUMN, GAP, HEIGHT, columns, segments
from .compose.links import can_compose_here, compose_url
from .explanations import why_paused
from .links import list_url, object_link
from .pages import admin_page
from .rests import why_at_rest

TITLE = gettext_lazy("Dashboard")
DAYS = 30
TEMPLATES = 12
CAUSES = 10
KEPT_SECONDS = 60
"""The counting reads every message of thirty days; nobody needs them fresher than a minute."""


class DashboardMixin(BaseAdmin):
    """On the send log, for everybody who may see it."""

    def get_urls(self) -> list[URLPattern]:
        own = {"dashboard": self._dashboard_view, "quota": self._quota_view}
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(f"{name}/", self.admin_site.admin_view(view), name=f"{prefix}_{name}")
            for name, view in own.items()
        ] + super().get_urls()

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [Button(TITLE, self.url("dashboard")), *super().list_buttons(request)]

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
            causes=[cause_row(self.admin_site, cause, **_recent()) for cause in why],
            rests=[rest for account in allowed if (rest := why_at_rest(account)) is not None],
            paused=[
                (object_link(self.admin_site, row), why_paused(row))
                for row in self._paused(request)
            ],
            quota_url=self.url("quota"),
            quota=self._quota(request) if "quota" in request.GET else "",
        )

    def _compose_url(self, request: HttpRequest) -> str:
        allowed = can_compose_here(self.admin_site, request)
        return compose_url(self.admin_site) if allowed else ""

    def _counted(self, request: HttpRequest) -> tuple[Overview, list[Cause]]:
        allowed = ",".join(allowed_accounts(self.admin_site, request))
        key = f"wechat_notify:dashboard:{since(DAYS):%Y%m%d%z}:{allowed}"
        cache = caches[settings.CACHE]
        found: tuple[Overview, list[Cause]] | None = cache.get(key)
        if found is None:
            logs: Any = self.get_queryset(request)
            recent = logs.filter(notification__created_at__gte=since(DAYS))
            found = overview(logs, DAYS), causes(recent, most=CAUSES)
            cache.set(key, found, KEPT_SECONDS)
        return found

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

    def _paused(self, request: HttpRequest) -> Any:
        paused = MessageTemplate.objects.filter(paused_at__isnull=False).order_by("account", "name")
        return narrowed(self.admin_site, request, paused)

    # -- quotas -------------------------------------------------------------------------------

    def _quota_view(self, request: HttpRequest) -> HttpResponse:
        """Apart from the page, because it asks WeChat, who may be slow."""
        self.require(request)
        return JsonResponse({"html": self._quota(request), "again": None})

    def _quota(self, request: HttpRequest) -> SafeString:
        accounts = allowed_accounts(self.admin_site, request)
        context = {"quotas": [_account_quota(account) for account in accounts]}
        return render_to_string("wechat_notify/admin/quota.html", context)


def _recent() -> dict[str, str]:
    """The send log's own filter for what is counted here."""
    return {"notification__created_at__gte": since(DAYS).isoformat()}


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


@dataclass(frozen=True, slots=True)
class AccountQuota:
    """What is left today, for a bar that is 100 wide; or why that is not known."""

    account: str
    quota: Quota | None = None
    trouble: str = ""

    @property
    def percent(self) -> int:
        limit = self.quota.daily_limit if self.quota else 0
        return min(100, 100 * self.quota.used // limit) if self.quota and limit else 0


def _account_quota(account: str) -> AccountQuota:
    app_id = settings.account(account).app_id
    key = f"wechat_notify:quota:{app_id}:{account}:{get_language()}"
    cache = caches[settings.CACHE]
    known: AccountQuota | None = cache.get(key)
    if known is None:
        known = _asked_quota(account)
        cache.set(key, known, KEPT_SECONDS)
    return known


def _asked_quota(account: str) -> AccountQuota:
    try:
        backend = get_backend(account)
        if not backend.supports_diagnosis:
            return AccountQuota(account, trouble=_("This account's backend knows no quota."))
        return AccountQuota(account, backend.get_quota())
    except (WeChatNotifyError, ConfigurationError) as error:
        return AccountQuota(account, trouble=str(error))

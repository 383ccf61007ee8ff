"""The send log: what happened to each message, and why."""

from datetime import datetime
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import SendLog, SendLogQuerySet
from .actions import list_action
from .badges import status_badge
from .base import Button, ReadOnlyMixin, may_see_openids
from .dashboard import DashboardMixin
from .diagnosing import DiagnosisMixin
from .explanations import explain, in_short
from .filters import (
    AccountFilter,
    BindingFilter,
    ErrcodeFilter,
    NotificationFilter,
    ReasonFilter,
    TemplateFilter,
)
from .links import link, object_link
from .paging import CappedPaginator, EndlessChangeList
from .people import WHO, about, who
from .previews import log_card
from .resending import SEND_AGAIN, ResendMixin
from .rests import RestsMixin

MOST_MSGID = 2**63


@admin.register(SendLog)
class SendLogAdmin(DashboardMixin, RestsMixin, ResendMixin, DiagnosisMixin, ReadOnlyMixin):
    """Read-only: rows are written by the app alone."""

    actions = ("resend",)
    list_filter = (
        "status",
        NotificationFilter,
        BindingFilter,
        ("notification__template", TemplateFilter),
        AccountFilter,
        ErrcodeFilter,
        ReasonFilter,
        "notification__created_at",
    )
    list_select_related = ("user", "notification__template")
    # A count for each choice of each filter would read the whole table.
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("openid",)
    search_help_text = _("A name, a whole openid, or a whole msgid")
    ordering = ("-pk",)
    # By any other column the database would sort the whole table.
    sortable_by = ()
    paginator = CappedPaginator

    # -- the list -----------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EndlessChangeList

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        return (self._who(request), "state", "explanation", "template", "when")

    def _who(self, request: HttpRequest) -> str:
        return "who_with_openid" if may_see_openids(request) else "who_masked"

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        found = about(search_term)
        if search_term.isascii() and search_term.isdigit() and int(search_term) < MOST_MSGID:
            found |= Q(msgid=int(search_term))
        return queryset.filter(found), False

    # -- one row ------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: SendLog | None = None) -> Any:
        times = ("due_at", "sent_at", "receipt_at")
        numbers = ("account", "message_id", "answer", "rid", "attempts", *times)
        return (
            (None, {"fields": (self._who(request), "template_link", "notification_link")}),
            (_("What happened"), {"fields": ("state", "why", "timeline", "chain")}),
            (_("Message"), {"fields": ("card",)}),
            (_("Details"), {"fields": numbers}),
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: SendLog | None = None
    ) -> tuple[str, ...]:
        links = ("template_link", "notification_link")
        shown = ("state", "why", "timeline", "chain", "card", "message_id", "answer")
        return (self._who(request), *links, *shown)

    def object_buttons(self, request: HttpRequest, obj: SendLog) -> list[Button]:
        allowed = self.has_resend_permission(request) and obj.status not in SendLog.OPEN
        own = [Button(_("Resend"), self.url("resend", obj.pk))] if allowed else []
        return own + super().object_buttons(request, obj)

    # -- resending ----------------------------------------------------------------------------

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Asked by Django for the action, and by the page of one row."""
        return request.user.has_perms(SEND_AGAIN)

    @list_action(_("Resend selected messages"), permission="resend")
    def resend(self, request: HttpRequest, queryset: SendLogQuerySet) -> HttpResponse:
        return self.resend_confirmed(request, queryset, back=request.get_full_path())

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._resend_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_resend"
        return [path("<path:object_id>/resend/", view, name=name), *super().get_urls()]

    def _resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        log = self.find(request, object_id, *SEND_AGAIN)
        only = SendLog.objects.filter(pk=log.pk)
        return self.resend_confirmed(request, only, back=self.url("change", log.pk))

    # -- columns and fields -------------------------------------------------------------------

    @admin.display(description=WHO, ordering="user")
    def who_with_openid(self, obj: SendLog) -> SafeString:
        return who(obj, whole=True)

    @admin.display(description=WHO, ordering="user")
    def who_masked(self, obj: SendLog) -> SafeString:
        return who(obj, whole=False)

    @admin.display(description=_("template"))
    def template(self, obj: SendLog) -> str:
        return str(obj.notification.template)

    @admin.display(description=_("status"))
    def state(self, obj: SendLog) -> SafeString:
        return status_badge(obj.status)

    @admin.display(description=_("explanation"))
    def explanation(self, obj: SendLog) -> str:
        return in_short(obj)

    @admin.display(description=_("sent or due at"))
    def when(self, obj: SendLog) -> datetime | None:
        return obj.sent_at or obj.due_at

    @admin.display(description="msgid")
    def message_id(self, obj: SendLog) -> str:
        """As WeChat gave it and the search takes it, without separators between thousands."""
        return "-" if obj.msgid is None else str(obj.msgid)

    @admin.display(description="errcode")
    def answer(self, obj: SendLog) -> str:
        return str(obj.errcode) if obj.errcode else "-"

    @admin.display(description=_("template"))
    def template_link(self, obj: SendLog) -> SafeString:
        return object_link(self.admin_site, obj.notification.template)

    @admin.display(description=_("notification"))
    def notification_link(self, obj: SendLog) -> SafeString:
        return object_link(self.admin_site, obj.notification)

    @admin.display(description=_("explanation"))
    def why(self, obj: SendLog) -> SafeString:
        context = {"explanation": explain(obj)}
        return render_to_string("wechat_notify/admin/explanation.html", context)

    @admin.display(description=_("time line"))
    def timeline(self, obj: SendLog) -> SafeString:
        moments = [
            (obj.notification.created_at, _("asked for")),
            (obj.due_at, _("due")),
            (obj.claimed_at, _("last taken by a worker")),
            (obj.in_doubt_since, _("in doubt since")),
            (obj.sent_at, _("accepted by WeChat")),
            (obj.receipt_at, _("receipt came")),
        ]
        known = sorted((when, what) for when, what in moments if when is not None)
        return render_to_string("wechat_notify/admin/timeline.html", {"moments": known})

    @admin.display(description=_("resends"))
    def chain(self, obj: SendLog) -> SafeString:
        rows = [(_("resend of"), obj.resend_of)] if obj.resend_of else []
        rows += [(_("resent as"), log) for log in obj.resends.select_related("user").order_by("pk")]
        parts = ((what, self._numbered(log), status_badge(log.status)) for what, log in rows)
        return format_html_join("", "<div>{}: {} {}</div>", parts) or SafeString("-")

    def _numbered(self, log: SendLog) -> SafeString:
        return link(self.url("change", log.pk), f"#{log.pk}")

    @admin.display(description=_("card"))
    def card(self, obj: SendLog) -> SafeString:
        return log_card(obj)

"""Notifications: what was asked, how far it got, and stopping what still waits."""

import json
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import services
from ..models import Notification, SendLog
from .badges import TONES, badge
from .base import ReadOnlyMixin
from .compose.views import ComposeMixin
from .export import ExportMixin
from .filters import TemplateAccountFilter, TemplateFilter
from .links import link, list_url, object_link
from .previews import notification_card
from .progress import ProgressMixin
from .rests import RestsMixin
from .verbs import Verb, VerbsMixin

Status = SendLog.Status

SEND = "wechat_notify.send_notification"


def _has_waiting(notification: Notification) -> bool:
    return SendLog.objects.waiting().filter(notification=notification).exists()


def _cancel(notification: Notification) -> str:
    count = services.cancel(notification)
    message = ngettext("%d message was called off.", "%d messages were called off.", count)
    return message % count


def _pause(notification: Notification) -> str:
    count = services.pause(notification)
    return ngettext("%d message is held.", "%d messages are held.", count) % count


def _resume(notification: Notification) -> str:
    count = services.resume(notification)
    message = ngettext("%d message goes on.", "%d messages go on.", count)
    return message % count


VERBS = (
    Verb(
        "pause",
        SEND,
        label=_("Pause"),
        question=_("Messages still waiting are held until somebody resumes this notification."),
        applies=lambda row: row.paused_at is None and _has_waiting(row),
        carry_out=_pause,
    ),
    Verb(
        "resume",
        SEND,
        label=_("Resume"),
        question=_("Messages that are held go out."),
        applies=lambda row: row.paused_at is not None,
        carry_out=_resume,
    ),
    Verb(
        "cancel",
        SEND,
        label=_("Cancel sending"),
        question=_(
            "Messages still waiting are called off for good. One that is being sent at this "
            "moment cannot be called back."
        ),
        applies=_has_waiting,
        carry_out=_cancel,
    ),
)


class NotificationChangeList(ChangeList):
    """Counts of all notifications on the page with one query."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        found: dict[int, dict[str, int]] = {}
        rows = SendLog.objects.filter(notification__in=[row.pk for row in self.result_list])
        grouped = rows.order_by().values_list("notification_id", "status").annotate(n=Count("pk"))
        for pk, status, count in grouped:
            found.setdefault(pk, {})[status] = count
        for row in self.result_list:
            row.listed_counts = found.get(row.pk, {})


@admin.register(Notification)
class NotificationAdmin(
    ComposeMixin, RestsMixin, ExportMixin, VerbsMixin, ProgressMixin, ReadOnlyMixin
):
    account_lookup = "template__account"
    verbs = VERBS
    list_display = ("__str__", "progress", "state", "source", "created_by", "created_at")
    list_filter = (TemplateAccountFilter, "source", ("template", TemplateFilter), "created_at")
    list_select_related = ("template", "created_by")
    list_per_page = 50
    search_fields = ("=key", "template__name", "template__title")
    search_help_text = _("A template's name or title, or a whole key")
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("template_link", "state")}),
        (_("Message"), {"fields": ("card", "url", "miniprogram", "shared_data")}),
        (
            _("Details"),
            {
                "fields": (
                    "source",
                    "created_by",
                    "created_at",
                    "send_at",
                    "expires_at",
                    "paused_at",
                    "key",
                )
            },
        ),
    )
    readonly_fields = ("template_link", "state", "card", "shared_data")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NotificationChangeList

    @admin.display(description=_("messages"))
    def progress(self, obj: Any) -> SafeString:
        counts: dict[str, int] = obj.listed_counts
        shown = (
            (badge(f"{Status(status).label} {counts[status]}", TONES[Status(status)]),)
            for status in Status.values
            if status in counts
        )
        return format_html_join(" ", "{}", shown) or format_html("{}", _("no recipients"))

    @admin.display(description=_("state"))
    def state(self, obj: Notification) -> SafeString:
        if obj.paused_at is not None:
            return badge(_("Paused"), "doubt")
        if obj.template.paused_at is not None:
            return badge(_("The template is paused."), "doubt")
        return format_html("{}", "-")

    @admin.display(description=_("template"))
    def template_link(self, obj: Notification) -> SafeString:
        return object_link(self.admin_site, obj.template)

    @admin.display(description=_("card"))
    def card(self, obj: Notification) -> SafeString:
        if obj.data:
            return notification_card(obj)
        each = _("It differs for each recipient: see the send log.")
        return link(list_url(self.admin_site, SendLog, notification=obj.pk), each)

    @admin.display(description=_("data"))
    def shared_data(self, obj: Notification) -> SafeString:
        text = json.dumps(obj.data, ensure_ascii=False, indent=2)
        return format_html('<pre class="wechat-data">{}</pre>', text)

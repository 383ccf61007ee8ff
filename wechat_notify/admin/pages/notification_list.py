"""Notifications: what was asked for, how far it is, and pausing or cancelling it."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ... import services
from ...models import Notification, SendLog
from ...notification_state import State, states_of
from ..base import ReadOnlyMixin
from ..compose.again import DUPLICATE, AgainMixin, again_url
from ..compose.earlier import Outcome
from ..compose.views import ComposeMixin
from ..parts.badges import TONES, badge, state_badge, with_test_mark
from ..parts.cards import notification_card
from ..parts.filters import (
    NotificationStateFilter,
    TemplateAccountFilter,
    TemplateFilter,
    TestFilter,
)
from ..parts.links import link, list_url, object_link
from ..parts.notification_search import search
from ..parts.origins import OriginsMixin
from ..parts.paging import CappedPaginator, EndlessChangeList
from ..parts.people import CreatorMixin, shown_name
from ..parts.verbs import Verb, VerbsMixin
from ..permissions import can_compose_here, may_send
from .approval_pages import ApprovalMixin
from .csv_export import ExportMixin
from .not_reached import NotReachedMixin
from .notification_progress import ProgressMixin
from .rescheduling import RescheduleMixin
from .trying_again import RestsMixin

Status = SendLog.Status

ROWS_SHOWN = 3
"""So many of the first fields stand in the list."""


def _has_waiting(notification: Notification) -> bool:
    return SendLog.objects.waiting().filter(notification=notification).exists()


def _cancel(notification: Notification) -> str:
    count = services.cancel(notification)
    message = ngettext("%d message was cancelled.", "%d messages were cancelled.", count)
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
        may_send,
        label=_("Pause"),
        question=_("Messages still waiting are held until somebody resumes this notification."),
        applies=lambda row: row.paused_at is None and _has_waiting(row),
        carry_out=_pause,
    ),
    Verb(
        "resume",
        may_send,
        label=_("Resume"),
        question=_("Messages that are held go out."),
        applies=lambda row: row.paused_at is not None,
        carry_out=_resume,
    ),
    Verb(
        "cancel",
        may_send,
        label=_("Cancel sending"),
        question=_(
            "Messages still waiting are cancelled for good. One that is being sent at this moment "
            "cannot be stopped."
        ),
        applies=_has_waiting,
        carry_out=_cancel,
    ),
)


class NotificationChangeList(EndlessChangeList):
    """Counts the messages of all notifications on the page with one query, and says their states
    with at most one more.
    """

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        found: dict[int, dict[str, int]] = {}
        rows = SendLog.objects.filter(notification__in=[row.pk for row in self.result_list])
        grouped = rows.order_by().values_list("notification_id", "status").annotate(n=Count("pk"))
        for pk, status, count in grouped:
            found.setdefault(pk, {})[status] = count
        states = states_of(self.result_list, found)
        may_compose = can_compose_here(self.model_admin.admin_site, request)
        for row in self.result_list:
            row.may_be_duplicated = may_compose
            row.listed_counts, row.listed_state = found.get(row.pk, {}), states[row.pk]


class NotificationAdmin(
    ComposeMixin,
    RestsMixin,
    ExportMixin,
    AgainMixin,
    RescheduleMixin,
    VerbsMixin,
    ProgressMixin,
    NotReachedMixin,
    OriginsMixin,
    ApprovalMixin,
    CreatorMixin,
    ReadOnlyMixin,
):
    account_lookup = "template__account"
    verbs = VERBS
    empty_text = _("No notifications yet. Compose one, or send from code with notify().")
    list_display = ("__str__", "content", "state", "progress", "created")
    list_filter = (
        NotificationStateFilter,
        TemplateAccountFilter,
        "source",
        "priority",
        ("template", TemplateFilter),
        TestFilter,
        "created_at",
    )
    list_select_related = ("template__stand_in", "created_by", "revision")
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER  # counting each choice would read the whole table
    paginator = CappedPaginator
    # Any other order would make the database sort the whole table.
    sortable_by = ()
    search_fields = ("search_text",)  # for Django to show the input; see get_search_results()
    search_help_text = _(
        "The title, words of the content, a number such as #9, a template's name or title, or a "
        "whole key. What differs for each recipient is not searched."
    )
    ordering = ("-pk",)
    fieldsets = (
        (None, {"fields": ("template_link",)}),
        (_("Message"), {"fields": ("card", "url", "mini_program", "shared_data")}),
        (
            _("Details"),
            {
                "fields": (
                    "source",
                    "creator",
                    "priority",
                    "created_at",
                    "send_at",
                    "expires_at",
                    "paused_at",
                    "cancelled_at",
                    "key",
                )
            },
        ),
    )
    readonly_fields = ("template_link", "card", "mini_program", "shared_data")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return NotificationChangeList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return (search(queryset, search_term) if search_term else queryset), False

    @admin.display(description=_("content"))
    def content(self, obj: Notification) -> SafeString:
        """The template, and the first fields that all recipients share."""
        rows = [row for row in obj.card.rows if row.value] if obj.data else []
        said = format_html_join("", "<div><small>{}</small> {}</div>", rows[:ROWS_SHOWN])
        each = "" if rows else _("differs for each recipient")
        return format_html(
            '<div class="wechat-listed wechat-listed--wide"><b>{}</b>{}{}</div>',
            obj.template,
            said,
            each,
        )

    @admin.display(description=_("progress"))
    def progress(self, obj: Any) -> SafeString:
        """To how many, and what became of their messages."""
        counts: dict[str, int] = obj.listed_counts
        total = sum(counts.values())
        if not total:
            return format_html("{}", _("no recipients"))
        shown = (
            (badge(f"{Status(status).label} {counts[status]}", TONES[Status(status)]),)
            for status in Status.values
            if status in counts
        )
        text = ngettext("%(total)s recipient", "%(total)s recipients", total) % {"total": total}
        return format_html("<div>{}</div>{}", text, format_html_join(" ", "{}", shown))

    @admin.display(description=_("state"))
    def state(self, obj: Any) -> SafeString:
        shown = with_test_mark(state_badge(obj.listed_state), obj)
        if obj.listed_state is not State.SCHEDULED:
            return shown
        when = date_format(timezone.localtime(obj.send_at), "SHORT_DATETIME_FORMAT")
        return format_html("{}<br><small>{}</small>", shown, when)

    @admin.display(description=_("created"))
    def created(self, obj: Any) -> SafeString:
        """When, and by whom where that is known; and where it is composed once more."""
        when = date_format(timezone.localtime(obj.created_at), "DATETIME_FORMAT")
        by = "" if obj.created_by is None else shown_name(obj.created_by)
        again = ""
        if obj.may_be_duplicated:
            url = again_url(self.admin_site, obj.pk, Outcome.ALL)
            label = _("Duplicate “%s”") % obj
            again = format_html('<a href="{}" aria-label="{}">{}</a>', url, label, DUPLICATE)
        return format_html('{}<div class="wechat-listed">{}</div>{}', when, by, again)

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
        """Each value that all recipients share, with the label of its field."""
        labels = {field.name: field.label for field in obj.template.fields}
        keys: dict[str, str] = obj.template.field_names
        rows = [
            (labels.get(keys.get(name, name)) or name, given["value"])
            for name, given in obj.data.items()
        ]
        return render_to_string("wechat_notify/admin/shared_data.html", {"rows": rows})

    @admin.display(description=_("mini program"))
    def mini_program(self, obj: Notification) -> str:
        """Its AppID and its page, if a tap opens one."""
        given = obj.miniprogram or {}
        return " ".join(filter(None, (given.get("appid"), given.get("pagepath")))) or "-"

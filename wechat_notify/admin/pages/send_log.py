"""The send log: what happened to each message, and why."""

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from ...models import SendLog, SendLogQuerySet
from ..base import Button, ReadOnlyMixin, page
from ..compose.again import MessageAgainMixin
from ..compose.button import compose_buttons
from ..parts.actions import list_action
from ..parts.explanations import needs_invitation
from ..parts.filters import (
    AccountFilter,
    BindingFilter,
    ErrcodeFilter,
    LogTestFilter,
    NotificationFilter,
    ReasonFilter,
    TemplateFilter,
)
from ..parts.paging import CappedPaginator, EndlessChangeList
from ..parts.people import about
from ..parts.remedies import for_notification, to_invite
from ..parts.send_log_columns import COLUMNS, columns, fieldsets
from ..permissions import may_resend, may_see_openids
from .dashboard import DashboardMixin
from .recorded_request import ExplainFailureMixin
from .resending import ResendMixin
from .reviewed import ReviewedMixin
from .trying_again import RestsMixin

MSGID = re.compile("[0-9]{1,19}")
MOST_MSGID = 2**63


class SendLogAdmin(
    DashboardMixin,
    RestsMixin,
    ResendMixin,
    MessageAgainMixin,
    ReviewedMixin,
    ExplainFailureMixin,
    ReadOnlyMixin,
):
    """Read-only: only the app writes rows."""

    empty_text = _("No messages yet. Every message that is sent gets a row here.")

    actions = ("resend",)
    list_filter = (
        "status",
        NotificationFilter,
        BindingFilter,
        ("notification__template", TemplateFilter),
        AccountFilter,
        ErrcodeFilter,
        ReasonFilter,
        LogTestFilter,
        "notification__created_at",
    )
    list_select_related = ("user", "notification__template")
    # Counting each choice of each filter would read the whole table.
    show_facets = admin.ShowFacets.NEVER
    search_fields = ("openid",)
    search_help_text = _("A name, a whole openid, or a whole msgid")
    ordering = ("-pk",)
    # Any other order would make the database sort the whole table.
    sortable_by = ()
    paginator = CappedPaginator

    def __init__(self, model: type[SendLog], admin_site: admin.AdminSite) -> None:
        super().__init__(model, admin_site)
        for column in COLUMNS:
            if column.html is not None:
                setattr(self, column.name, column.method(admin_site))

    def first_steps(self, request: HttpRequest) -> list[Button]:
        return compose_buttons(self.admin_site, request)

    # -- the list -----------------------------------------------------------------------------

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return EndlessChangeList

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        shown = columns(whole=may_see_openids(request))
        return tuple(column.name for column in shown if column.on_list)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        found = about(search_term, self.admin_site, request)
        if MSGID.fullmatch(search_term) and int(search_term) < MOST_MSGID:
            found |= Q(msgid=int(search_term))
        return queryset.filter(found), False

    # -- one row ------------------------------------------------------------------------------

    def get_fieldsets(self, request: HttpRequest, obj: SendLog | None = None) -> Any:
        return fieldsets(whole=may_see_openids(request))

    def object_buttons(self, request: HttpRequest, obj: SendLog) -> list[Button]:
        allowed = self.has_resend_permission(request) and obj.status not in SendLog.OPEN
        own = [Button(_("Resend"), self.url("resend", obj.pk))] if allowed else []
        if obj.status == SendLog.Status.PENDING:
            own = for_notification(self.admin_site, request, obj.notification)
        if obj.user_id is not None and needs_invitation(obj.errcode, obj.errmsg):
            own += to_invite(self.admin_site, request, obj.account, [obj.user_id])
        return own + super().object_buttons(request, obj)

    # -- resending ----------------------------------------------------------------------------

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Called by Django for the action, and by the page of one row."""
        return may_resend(request)

    @list_action(_("Resend selected messages"), permission="resend")
    def resend(self, request: HttpRequest, queryset: SendLogQuerySet) -> HttpResponse:
        return self.resend_confirmed(request, queryset, back=request.get_full_path())

    @page("<path:object_id>/resend/", "resend")
    def _resend_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        log = self.find(request, object_id, allowed=may_resend(request))
        only = SendLog.objects.filter(pk=log.pk)
        return self.resend_confirmed(request, only, back=self.url("change", log.pk))

"""Alerts: the list of those that are open and were, and a page for each."""

from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...alerts.staff import chosen
from ...alerts.wording import heading, in_words
from ...models import Alert
from ...names import name_of
from ..base import Button, ReadOnlyMixin
from ..parts.badges import badge
from ..parts.filters import AccountFilter
from ..parts.links import object_link
from ..parts.open_alerts import INDEX_TEMPLATE, OpenAlerts, open_alerts
from ..parts.remedies import for_account, resume_template


class OpenFilter(admin.SimpleListFilter):
    """Whether an alert is open, or over."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("Open")), ("over", _("Over"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alert]) -> QuerySet[Alert]:
        conditions = {"open": {"closed_at__isnull": True}, "over": {"closed_at__isnull": False}}
        return queryset.filter(**conditions.get(str(self.value()), {}))


class AlertAdmin(ReadOnlyMixin):
    empty_text = _("No alerts yet. One is given when something keeps messages from being sent.")
    list_display = ("what", "state", "account_name", "began_at", "closed_at")
    list_display_links = ("what",)
    list_filter = (OpenFilter, AccountFilter, "kind")
    list_select_related = ("template__stand_in",)
    search_fields = ("subject", "=errcode")
    fields = (
        "what",
        "state",
        "explanation",
        "quoted",
        "account_name",
        "template_link",
        "began_at",
        "opened_at",
        "closed_at",
        "told",
    )
    readonly_fields = fields

    def __init__(self, model: type[Alert], admin_site: AdminSite) -> None:
        super().__init__(model, admin_site)
        # A site that has an index of its own shows the alerts there by {% wechat_open_alerts %}.
        if admin_site.index_template is None:
            admin_site.index_template = INDEX_TEMPLATE

    def open_alerts(self, request: HttpRequest) -> OpenAlerts | None:
        """What ``{% wechat_open_alerts %}`` shows to this user; None: nothing."""
        return open_alerts(self.admin_site, request)

    def object_buttons(self, request: HttpRequest, obj: Alert) -> list[Button]:
        """What ends it, for whoever may do that."""
        own = super().object_buttons(request, obj)
        if not obj.is_open:
            return own
        if obj.template is not None:
            return [*own, *resume_template(self.admin_site, request, obj.template)]
        return [*own, *for_account(self.admin_site, request, obj.account)]

    @admin.display(description=_("what"), ordering="kind")
    def what(self, obj: Alert) -> str:
        return heading(obj)

    @admin.display(description=_("state"), ordering="closed_at")
    def state(self, obj: Alert) -> SafeString:
        return badge(_("Open"), "bad") if obj.is_open else badge(_("Over"), "quiet")

    @admin.display(description=_("explanation"))
    def explanation(self, obj: Alert) -> str:
        return in_words(obj).explanation or "-"

    @admin.display(description=_("in its own words"))
    def quoted(self, obj: Alert) -> str:
        return in_words(obj).quoted or "-"

    @admin.display(description=_("template"))
    def template_link(self, obj: Alert) -> SafeString | str:
        return object_link(self.admin_site, obj.template) if obj.template is not None else "-"

    @admin.display(description=_("told by e-mail"))
    def told(self, obj: Alert) -> SafeString:
        mails = obj.mails.select_related("user").order_by("is_end", "pk")
        rows = [(name_of(mail.user), mail) for mail in mails]
        context = {"mails": rows, "nobody": not (rows or chosen(obj.account))}
        return render_to_string("wechat_notify/admin/alert_mails.html", context)

"""The admin's pages, imported by Django's ``admin.autodiscover()``; and what a site's own admin
declares for them."""

from ..alerts.staff import restrictions
from ..models import (
    Alert,
    ApprovalsPage,
    ComposePage,
    DashboardPage,
    Draft,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from ..site_recipients import Segment, WeChatRecipients
from .permissions import may_be_told
from .registration import register

__all__ = ["Segment", "WeChatRecipients"]

for model, name in {
    Alert: "alert_list.AlertAdmin",
    ApprovalsPage: "menu.ApprovalsPageAdmin",
    ComposePage: "menu.ComposePageAdmin",
    DashboardPage: "menu.DashboardPageAdmin",
    Draft: "draft_list.DraftAdmin",
    MessageTemplate: "template_list.MessageTemplateAdmin",
    Notification: "notification_list.NotificationAdmin",
    OpenIDBinding: "openid_bindings.OpenIDBindingAdmin",
    RecipientFilter: "saved_recipients.RecipientFilterAdmin",
    SendLog: "send_log.SendLogAdmin",
}.items():
    register(model, f"{__name__}.pages.{name}")

# Who may work with an account is told of its alerts, and nobody else.
restrictions.append(may_be_told)

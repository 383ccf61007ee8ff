"""The admin's pages, imported by Django's ``admin.autodiscover()``; and what a site's own admin
declares for them."""

from ..alerts.staff import restrictions
from ..site_recipients import Segment, WeChatRecipients
from .pages import (
    alert_list,
    draft_list,
    menu,
    notification_list,
    openid_bindings,
    saved_recipients,
    send_log,
    template_list,
)
from .permissions import may_be_told

__all__ = [
    "Segment",
    "WeChatRecipients",
    "alert_list",
    "draft_list",
    "menu",
    "notification_list",
    "openid_bindings",
    "saved_recipients",
    "send_log",
    "template_list",
]

# Who may work with an account is told of its alerts, and nobody else.
restrictions.append(may_be_told)

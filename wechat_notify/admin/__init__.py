"""The admin's pages, imported by Django's ``admin.autodiscover()``; and what a site's own admin
declares for them."""

from .pages import (
    menu,
    notification_list,
    openid_bindings,
    saved_recipients,
    send_log,
    template_list,
)
from .site_recipients import Segment, WeChatRecipients

__all__ = [
    "Segment",
    "WeChatRecipients",
    "menu",
    "notification_list",
    "openid_bindings",
    "saved_recipients",
    "send_log",
    "template_list",
]

"""Entries of the admin's menus that are pages and not lists.

Django's admin and its themes make their menus of models and of nothing else, so each such page has
a model. It is a proxy, which has no table, and nobody needs permissions for it.
"""

from django.utils.translation import gettext_lazy as _

from .notification import Notification
from .sendlog import SendLog


class ComposePage(Notification):
    """Where a message is composed and sent."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("Compose and send")
        verbose_name_plural = _("Compose and send")


class ApprovalsPage(Notification):
    """What waits for a second person's approval."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("To approve")
        verbose_name_plural = _("To approve")


class DashboardPage(SendLog):
    """The numbers of today and of the last thirty days."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("Dashboard")
        verbose_name_plural = _("Dashboard")

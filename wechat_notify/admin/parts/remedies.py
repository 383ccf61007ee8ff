"""Buttons beside the sentences that say why messages wait: each leads to the page that lets them
go on. Who may not do that, or not see the page, gets no button.
"""

from collections.abc import Iterator

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from ...approving import why_not
from ...conf import settings
from ...models import Approval, MessageTemplate, Notification, SendLog
from ..base import Button
from ..permissions import may_approve, may_send
from .account_rests import why_at_rest
from .explanations import why_waits

# Each of their lists has a page that ends the rest of an account.
LISTS: tuple[type[Model], ...] = (SendLog, Notification, MessageTemplate)


def for_notification(
    site: AdminSite, request: HttpRequest, notification: Notification
) -> list[Button]:
    """What lets this notification's waiting messages go."""
    label = _("Resume this notification")
    paused = notification.paused_at is not None
    own = list(_resume(site, request, notification, label)) if paused else []
    approve = _approve(site, request, notification)
    return [*approve, *own, *for_template(site, request, notification.template)]


def _approve(site: AdminSite, request: HttpRequest, notification: Notification) -> Iterator[Button]:
    """The button for whoever can approve what is held; nothing else."""
    if notification.held_at is None or not may_approve(request):
        return
    if not _sees(site, request, Notification):
        return
    for approval in Approval.objects.filter(notification=notification):
        if not why_not(approval, request.user):
            yield Button(
                _("Look at it and approve"),
                _address(site, Notification, "approve", notification.pk),
            )


def for_template(site: AdminSite, request: HttpRequest, template: MessageTemplate) -> list[Button]:
    """What lets the waiting messages of this template go."""
    resume = list(resume_template(site, request, template)) if why_waits(template) else []
    return [*resume, *for_account(site, request, template.account)]


def for_account(site: AdminSite, request: HttpRequest, account: str) -> list[Button]:
    """What ends the rest of this account, if it rests."""
    rests = account in settings.aliases and why_at_rest(account) is not None
    url = try_again_url(site, request, account) if rests else ""
    return [Button(_("Try again now"), url)] if url else []


def resume_template(
    site: AdminSite, request: HttpRequest, template: MessageTemplate
) -> Iterator[Button]:
    """The button for a paused template; nothing for another."""
    if template.paused_at is not None:
        yield from _resume(site, request, template, _("Resume this template"))


def try_again_url(site: AdminSite, request: HttpRequest, account: str) -> str:
    """The page that ends the rest of this account; "" for those who may not."""
    for model in LISTS:
        if _may_see(site, request, model):
            return _address(site, model, "try_again", account)
    return ""


def _resume(
    site: AdminSite, request: HttpRequest, row: Notification | MessageTemplate, label: str
) -> Iterator[Button]:
    if _may_see(site, request, type(row)):
        yield Button(label, _address(site, type(row), "resume", row.pk))


def _may_see(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Whether this user may send, and see the pages of this model."""
    return may_send(request) and _sees(site, request, model)


def _sees(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    if not site.is_registered(model):
        return False
    return site.get_model_admin(model).has_view_permission(request)


def _address(site: AdminSite, model: type[Model], page: str, argument: object) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[argument], current_app=site.name)

"""Buttons beside the sentences that say why messages wait or did not arrive: each leads to the page
where something can be done about it. Who may not do that, or not see the page, gets no button.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from ...approving import why_not
from ...conf import settings
from ...models import (
    Approval,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from ..base import Button
from ..permissions import (
    allowed_accounts,
    may_approve,
    may_invite,
    may_see_who_was_not_reached,
    may_send,
)
from .account_rests import why_at_rest
from .explanations import why_waits

# Each of their lists has a page that ends the rest of an account.
LISTS: tuple[type[Model], ...] = (SendLog, Notification, MessageTemplate)
MOST_CHOSEN = 100
"""So many people stand in the address of the page that invites them."""


def for_notification(
    site: AdminSite, request: HttpRequest, notification: Notification
) -> list[Button]:
    """What lets this notification's waiting messages go."""
    approve = _approve(site, request, notification)
    return [*approve, *for_approved(site, request, notification)]


def for_approved(site: AdminSite, request: HttpRequest, notification: Notification) -> list[Button]:
    """What lets them go once they are approved."""
    label = _("Resume this notification")
    paused = notification.paused_at is not None
    own = list(_resume(site, request, notification, label)) if paused else []
    return [*own, *for_template(site, request, notification.template)]


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


def to_poster(site: AdminSite, request: HttpRequest) -> list[Button]:
    """The button to the poster that invites everybody to bind, on any of this user's accounts."""
    aliases = allowed_accounts(site, request)
    if not any(leads_to_binding(site, request, account) for account in aliases):
        return []
    name = "admin:wechat_notify_openidbinding_poster"
    return [Button(_("Poster to bind WeChat"), reverse(name, current_app=site.name))]


def leads_to_binding(site: AdminSite, request: HttpRequest, account: str) -> bool:
    """Whether this user may see the bindings of this account, and the site includes the app's own
    addresses, to which a poster or an invitation leads."""
    if account not in allowed_accounts(site, request) or not _sees(site, request, OpenIDBinding):
        return False
    try:
        return bool(reverse("wechat_notify:bind", args=[account]))
    except NoReverseMatch:
        return False


def to_invite(
    site: AdminSite, request: HttpRequest, account: str, users: Iterable[Any]
) -> list[Button]:
    """The button that invites these users, given by primary key: the first ``MOST_CHOSEN``."""
    whom = [("user", str(pk)) for pk in islice(users, MOST_CHOSEN)]
    return _to_invite(site, request, account, whom, _("Invite")) if whom else []


def to_invite_all(
    site: AdminSite, request: HttpRequest, notification: Notification
) -> list[Button]:
    """The button that invites everybody who was not reached by this notification and still cannot
    be."""
    if not may_see_who_was_not_reached(site, request):
        return []
    account = notification.template.account
    whom = [("notification", str(notification.pk))]
    return _to_invite(site, request, account, whom, _("Invite all who cannot be reached"))


def to_invite_saved(site: AdminSite, request: HttpRequest, saved: RecipientFilter) -> list[Button]:
    """The button that invites everybody among these recipients who cannot be reached."""
    whom = [("recipients", str(saved.pk))]
    return _to_invite(site, request, saved.account, whom, _("Invite all who cannot be reached"))


def to_who_was_not_reached(
    site: AdminSite, request: HttpRequest, notification: Notification
) -> list[Button]:
    """The button that shows the people whom this notification did not reach."""
    if not may_see_who_was_not_reached(site, request):
        return []
    url = _address(site, Notification, "not_reached", notification.pk)
    return [Button(_("People not reached"), url)]


def _to_invite(
    site: AdminSite, request: HttpRequest, account: str, whom: list[tuple[str, str]], label: str
) -> list[Button]:
    if not (may_invite(site, request) and leads_to_binding(site, request, account)):
        return []
    url = _address(site, OpenIDBinding, "invite", account)
    return [Button(label, f"{url}?{urlencode(whom)}")]


def _resume(
    site: AdminSite, request: HttpRequest, row: Notification | MessageTemplate, label: str
) -> Iterator[Button]:
    if _may_see(site, request, type(row)):
        yield Button(label, _address(site, type(row), "resume", row.pk))


def _may_see(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Whether this user may send, and see the pages of this model."""
    return may_send(request) and _sees(site, request, model)


def _sees(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """Whether this site has the pages of this model, and this user may see them."""
    return site.is_registered(model) and site.get_model_admin(model).has_view_permission(request)


def _address(site: AdminSite, model: type[Model], page: str, argument: object) -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[argument], current_app=site.name)

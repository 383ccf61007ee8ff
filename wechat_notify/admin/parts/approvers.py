"""Who can approve what somebody asks for: said before and after it is asked for."""

from collections.abc import Iterator
from copy import copy
from itertools import islice
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_backends, get_user_model
from django.contrib.auth.models import PermissionsMixin
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from ...conf import settings
from ...models import Notification
from ..permissions import may_approve, may_use_account
from .people import shown_name

PERMISSION = "wechat_notify.approve_notification"
NAMED = 5
LOOKED_AT = 20
"""So many users with the permission are asked whether they may use the account."""


def needs_approval(messages: int) -> bool:
    """Whether so many messages are held until a second person approves them."""
    limit = settings.APPROVAL_ABOVE
    return limit is not None and messages > limit


def above_limit() -> str:
    """That it is held, said before it is asked for."""
    text = ngettext(
        "Above %d recipient a second person approves it. Nothing leaves before that.",
        "Above %d recipients a second person approves it. Nothing leaves before that.",
        settings.APPROVAL_ABOVE or 0,
    )
    return text % (settings.APPROVAL_ABOVE or 0)


def who_can_approve(site: AdminSite, request: HttpRequest, account: str) -> str:
    """A sentence that names those who can approve what this user asks for now."""
    if not issubclass(get_user_model(), PermissionsMixin):
        return _("It takes somebody with the permission “Can approve messages to many people”.")
    names = [shown_name(user) for user in islice(_approvers(site, request, account), NAMED)]
    if not names:
        return _(
            "At present nobody else can approve it: somebody needs the permission “Can approve "
            "messages to many people”."
        )
    return _("Can approve it: %s.") % pgettext("between people", ", ").join(names)


def _approvers(site: AdminSite, request: HttpRequest, account: str) -> Iterator[Any]:
    """Others who may approve for this account, and see the pages on which they do so."""
    if not site.is_registered(Notification):
        return
    notifications = site.get_model_admin(Notification)
    for user in _with_permission():
        theirs = copy(request)
        theirs.user = user
        sees = site.has_permission(theirs) and notifications.has_view_permission(theirs)
        is_other = user.pk != request.user.pk
        if is_other and sees and may_approve(theirs) and may_use_account(site, theirs, account):
            yield user


def _with_permission() -> Iterator[Any]:
    """Users whom a backend gives the permission, each once."""
    seen = set()
    for backend in get_backends():
        if hasattr(backend, "with_perm"):
            for user in backend.with_perm(PERMISSION).order_by("pk")[:LOOKED_AT]:
                if user.pk not in seen:
                    seen.add(user.pk)
                    yield user

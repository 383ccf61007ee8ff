"""Who is told about an alert: staff who were chosen by a permission."""

import logging
from collections.abc import Callable
from typing import Any

from django.contrib import auth
from django.core.exceptions import FieldDoesNotExist, FieldError

logger = logging.getLogger(__name__)

PERMISSION = "wechat_notify.receive_alerts"

restrictions: list[Callable[[Any, str], bool]] = []
"""Each says whether a user may know of an account; the admin adds its own."""


def chosen(account: str) -> list[Any]:
    """The active users who were given the permission, themselves or by a group, who have an e-mail
    address, and who may know of this account.

    A superuser is not among them by being one: nobody gets e-mails whom nobody has chosen.
    """
    found = {user.pk: user for user in _holders()}
    return [found[pk] for pk in sorted(found) if is_told(found[pk], account)]


def is_told(user: Any, account: str) -> bool:
    """Whether this user, who has the permission, is told about the account."""
    return bool(user.is_active and address_of(user) and _may_know(user, account))


def address_of(user: Any) -> str:
    """The user's e-mail address, or ""."""
    get_name = getattr(user, "get_email_field_name", None)
    return str(getattr(user, get_name() if get_name else "email", "") or "").strip()


def _holders() -> list[Any]:
    """Who has the permission, as each authentication backend says that can list them."""
    found: list[Any] = []
    for backend in auth.get_backends():
        # Asked by hand: a site's own manager of users may lack Django's with_perm().
        list_holders = getattr(backend, "with_perm", None)
        if list_holders is None:
            continue
        try:
            found += list_holders(PERMISSION, is_active=_active(), include_superusers=False)
        except FieldError:
            logger.debug("The site's users have no permissions of Django's.", exc_info=True)
    return found


def _active() -> bool | None:
    """What to ask for; None where the site's users have no such column."""
    try:
        auth.get_user_model()._meta.get_field("is_active")
    except FieldDoesNotExist:
        return None
    return True


def _may_know(user: Any, account: str) -> bool:
    try:
        return all(may_know(user, account) for may_know in restrictions)
    except Exception:
        # Of the site's own code, which is asked outside of a request.
        logger.exception("It is not known whether user %s may know of %r.", user.pk, account)
        return False

"""Invitations: a signed link by which one person binds WeChat on one account, without signing in.

    tokens([user, …], "default")          # {user.pk: token}
    invitation = read("default", token)   # None for what is no invitation, or not any more

A token is good for ``LIFETIME``, and until the person is bound or, bound already, follows the
account. It is in no table: it holds the user, and what was the newest binding of this user. So it
ends with the next one, whoever made that, and does not come back to life when it is undone.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.signing import BadSignature, TimestampSigner
from django.db.models import Max
from django.utils.http import urlsafe_base64_decode, urlsafe_base64_encode

from ..models import BindingChange, OpenIDBinding

LIFETIME = timedelta(days=14)
# No binding yet. No row has this number.
NEVER = 0


@dataclass(frozen=True, slots=True)
class Invitation:
    """Who is invited. ``is_open``: it can still be used to bind."""

    user: Any
    is_open: bool


def tokens(users: Iterable[Any], account: str) -> dict[Any, str]:
    """A token for each of ``users``, by primary key. One query. Writes nothing."""
    pks = [user.pk for user in users]
    newest = _newest_bindings(account, pks)
    signer = _signer(account)
    return {pk: signer.sign(_value(pk, newest.get(pk, NEVER))) for pk in pks}


def read(account: str, token: str) -> Invitation | None:
    """What a token means; None for one that was changed, is of another account, is older than
    ``LIFETIME``, or invites a user who is gone or may not sign in any more."""
    try:
        value = _signer(account).unsign(token, max_age=LIFETIME)
    except BadSignature:
        return None
    newest, _dot, pk = urlsafe_base64_decode(value).decode().partition(".")
    user = get_user_model()._default_manager.filter(pk=pk).first()
    if user is None or not user.is_active:
        return None
    return Invitation(user, _is_open(account, user, int(newest)))


def _is_open(account: str, user: Any, newest: int) -> bool:
    follows = OpenIDBinding.objects.filter(account=account, user=user.pk).reachable().exists()
    return not follows and _newest_bindings(account, [user.pk]).get(user.pk, NEVER) == newest


def _newest_bindings(account: str, pks: list[Any]) -> dict[Any, int]:
    """The number of each user's newest change to "bound"; those never bound are missing."""
    bound = BindingChange.objects.filter(
        account=account, user__in=pks, change=BindingChange.Change.BOUND
    )
    return dict(bound.order_by().values_list("user_id").annotate(Max("pk")))


def _value(pk: Any, newest: int) -> str:
    # A site's own primary keys may hold any character; an address takes these.
    return urlsafe_base64_encode(f"{newest}.{pk}".encode())


def _signer(account: str) -> TimestampSigner:
    # The account is part of the salt: an invitation of one account says nothing to another.
    return TimestampSigner(salt=f"wechat_notify.invitation.{account}", sep=".")

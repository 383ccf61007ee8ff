"""Who has which openid: binding and unbinding. Called by its names in ``services``."""

from typing import Any

from django.db import IntegrityError, transaction

from .conf import DEFAULT_ACCOUNT, settings
from .delivery.recipients import is_openid
from .exceptions import BindingConflict, InvalidData, Problem
from .models import OpenIDBinding
from .signals import binding_changed
from .wechat.masking import mask_openid


def bind(
    user: Any,
    openid: str,
    *,
    account: str = DEFAULT_ACCOUNT,
    unionid: str = "",
    source: str = OpenIDBinding.Source.CODE,
    subscribed: bool = True,
) -> OpenIDBinding:
    """Record that ``openid`` on ``account`` belongs to ``user``. Doing it again changes nothing.

    ``subscribed`` says whether the person follows the account, as far as is known; it is taken
    for a new binding only. Raises ``BindingConflict`` where the openid belongs to somebody else,
    ``InvalidData`` for what cannot be an openid, ``AccountNotConfigured`` for an unknown account.
    """
    settings.account(account)
    if not is_openid(openid):
        raise InvalidData([Problem("openid", "is not an openid", given=mask_openid(str(openid)))])
    with transaction.atomic():
        binding, created = _get_or_create(
            user, openid, account, unionid=unionid, source=source, subscribed=subscribed
        )
        if binding.user_id != user.pk:
            raise BindingConflict(
                f"Openid {mask_openid(openid)} on account {account!r} belongs to another user."
            )
        if unionid and binding.unionid != unionid:
            binding.unionid = unionid
            binding.save(update_fields=["unionid"])
    if created:
        binding_changed.send_robust(OpenIDBinding, binding=binding, change="bound")
    return binding


def _get_or_create(
    user: Any, openid: str, account: str, **defaults: Any
) -> tuple[OpenIDBinding, bool]:
    try:
        return OpenIDBinding.objects.select_related("user").get_or_create(
            account=account, openid=openid, defaults={"user": user, **defaults}
        )
    except IntegrityError:
        # Bound by another transaction that this one's snapshot cannot see: a locking read can.
        locked = OpenIDBinding.objects.select_for_update()
        return locked.get(account=account, openid=openid), False


def unbind(user: Any, openid: str = "", *, account: str = DEFAULT_ACCOUNT) -> int:
    """Forget the user's openids on ``account``, or only ``openid``. Returns how many.

    The send log keeps its rows.
    """
    bindings = OpenIDBinding.objects.filter(user=user, account=account)
    if openid:
        bindings = bindings.filter(openid=openid)
    gone = list(bindings)
    for binding in gone:
        pk = binding.pk
        binding.delete()
        binding.pk = pk  # so that receivers can tell which one it was
        binding_changed.send_robust(OpenIDBinding, binding=binding, change="unbound")
    return len(gone)

"""Who has which openid: binding and unbinding, as ``services`` offers them.

Each change is written down as a ``BindingChange`` in the same transaction, and
``binding_changed`` is sent after the commit.
"""

import copy
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import Any

from django.db import IntegrityError, router, transaction

from ..conf import DEFAULT_ACCOUNT, settings
from ..exceptions import BindingConflict, InvalidData, Problem
from ..models import BindingChange, OpenIDBinding, read_past_snapshot, repeats_on_conflict
from ..signals import binding_changed
from ..wechat.masking import mask_openid
from ..wechat.openids import is_openid

Change = BindingChange.Change
Source = OpenIDBinding.Source

# Here the person has shown by their own WeChat that the openid is theirs. Only then may it move
# from another user, if BINDING_CONFLICT says so: code, an import or the admin may be mistaken.
SHOWN_BY_THE_PERSON = (Source.OAUTH, Source.QR)
MOVE = "move"

# How often others may unbind a row just after an INSERT has met it, before this gives up.
ATTEMPTS = 50


@repeats_on_conflict
def bind(
    user: Any,
    openid: str,
    *,
    account: str = DEFAULT_ACCOUNT,
    unionid: str = "",
    source: str = Source.CODE,
    subscribed: bool = True,
    known_at: datetime | None = None,
) -> OpenIDBinding:
    """Record that ``openid`` on ``account`` belongs to ``user``. Doing it again changes nothing.

    ``subscribed`` says whether the person follows the account, as far as is known, and
    ``known_at`` since when that is known; both are taken for a new binding only.
    Raises ``BindingConflict`` where the openid belongs to somebody else, ``InvalidData`` for what
    cannot be an openid or a unionid, ``AccountNotConfigured`` for an unknown account. With
    ``BINDING_CONFLICT = "move"``, an openid whose person came by web authorisation or QR code
    moves to ``user`` instead.
    """
    settings.account(account)
    if not is_openid(openid):
        raise InvalidData([Problem("openid", "is not an openid", given=openid)])
    if unionid and not is_openid(unionid):
        raise InvalidData([Problem("unionid", "is not a unionid", given=unionid)])
    may_move = source in SHOWN_BY_THE_PERSON and settings.BINDING_CONFLICT == MOVE
    defaults = {"source": source, "subscribed": subscribed, "follow_changed_at": known_at}
    with transaction.atomic(using=_database()):
        binding, created = _get_or_create(
            user, openid, account, unionid=unionid, may_move=may_move, **defaults
        )
        refused = binding.user_id != user.pk and not may_move
        if created:
            _record(binding, Change.BOUND, source)
        elif refused:
            # The user in this row is the one who tried, not the one who has the openid.
            BindingChange.objects.create(
                account=account, openid=openid, user=user, change=Change.REFUSED, source=source
            )
        else:
            _keep(binding, user, source=source, unionid=unionid)
    if refused:
        raise BindingConflict(
            f"Openid {mask_openid(openid)} on account {account!r} belongs to another user."
        )
    return binding


@repeats_on_conflict
def unbind(user: Any, openid: str = "", *, account: str = DEFAULT_ACCOUNT) -> int:
    """Forget the user's openids on ``account``, or only ``openid``. Returns how many.

    The send log keeps its rows.
    """
    with transaction.atomic(using=_database()):
        bindings = OpenIDBinding.objects.select_for_update().filter(user=user.pk, account=account)
        if openid:
            bindings = bindings.filter(openid=openid)
        gone = list(bindings.order_by("pk"))
        for binding in gone:
            pk = binding.pk
            binding.delete()
            binding.pk = pk  # so that receivers can tell which one it was
            _record(binding, Change.UNBOUND, binding.source)
    return len(gone)


# -- pieces -----------------------------------------------------------------------------------


def _database() -> str:
    return router.db_for_write(OpenIDBinding)


def _get_or_create(
    user: Any, openid: str, account: str, *, unionid: str, may_move: bool, **defaults: Any
) -> tuple[OpenIDBinding, bool]:
    """The binding, and whether it is new. It is locked if binding it again changes it."""
    rows = OpenIDBinding.objects.filter(account=account, openid=openid)
    new = {"account": account, "openid": openid, "user": user, "unionid": unionid, **defaults}
    # The first look takes no lock: where there is no row yet, MySQL would lock the gap, and two
    # transactions that bind at the same time would deadlock.
    found = rows.first()
    for _ in range(ATTEMPTS):
        if found is None:
            with suppress(IntegrityError), transaction.atomic(using=_database()):
                return OpenIDBinding.objects.create(**new), True
            found = read_past_snapshot(rows)
        if found is not None and _changes(found, user, unionid=unionid, may_move=may_move):
            found = rows.select_for_update().first()
        if found is not None:
            return found, False
        # Unbound meanwhile, by another transaction.
    return OpenIDBinding.objects.create(**new), True  # refused for another reason: this raises it


def _changes(binding: OpenIDBinding, user: Any, *, unionid: str, may_move: bool) -> bool:
    """Whether this binding changes when it is bound again."""
    if binding.user_id != user.pk:
        return may_move
    return unionid not in ("", binding.unionid)


def _keep(binding: OpenIDBinding, user: Any, *, source: str, unionid: str) -> None:
    """Bring a binding that was there before up to date, and to ``user`` if it was another's."""
    changed = []
    if binding.user_id != user.pk:
        _record(copy.copy(binding), Change.UNBOUND, source)
        binding.user, binding.source = user, source
        changed += ["user", "source"]
        _record(binding, Change.BOUND, source)
    if unionid and binding.unionid != unionid:
        binding.unionid = unionid
        changed.append("unionid")
    if changed:
        binding.save(update_fields=changed)


def _record(binding: OpenIDBinding, change: str, source: str) -> None:
    """Write a change down, and tell listeners of it after the commit."""
    BindingChange.objects.create(
        account=binding.account,
        openid=binding.openid,
        user_id=binding.user_id,
        change=change,
        source=source,
    )
    transaction.on_commit(
        partial(binding_changed.send_robust, OpenIDBinding, binding=binding, change=str(change)),
        using=_database(),
    )

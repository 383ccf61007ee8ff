"""Writing down who follows the account.

This is learned from events, from refused messages and from WeChat's own lists. Each piece of news
has a time, and older news never overwrites newer.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db import router, transaction
from django.db.models import Q

from ..models import BindingChange, OpenIDBinding, repeats_on_conflict
from ..signals import binding_changed

Change = BindingChange.Change

SOURCE_EVENT = "event"
SOURCE_SEND = "send"
SOURCE_SYNC = "sync"


@repeats_on_conflict
def note(
    account: str,
    openids: Sequence[str],
    *,
    subscribed: bool,
    known_at: datetime,
    source: str,
    errcode: int | None = None,
) -> list[OpenIDBinding]:
    """Write down that these people follow, or do not, as of ``known_at``.

    Bindings about which something newer is known stay as they are. Returns those that changed;
    each gets its ``BindingChange``, and ``binding_changed`` is sent after the commit.
    """
    if not openids:
        return []
    using = router.db_for_write(OpenIDBinding)
    older = Q(follow_changed_at__isnull=True) | Q(follow_changed_at__lt=known_at)
    known = OpenIDBinding.objects.filter(older, account=account, openid__in=openids)
    new = {"subscribed": subscribed, "follow_changed_at": known_at, "unreachable_errcode": errcode}
    with transaction.atomic(using=using):
        # Write before reading: in SQLite a transaction that has read cannot write any more once
        # another one has written.
        known.filter(subscribed=subscribed).update(**new)
        changed = list(known.select_for_update().order_by("pk"))
        OpenIDBinding.objects.filter(pk__in=[b.pk for b in changed]).update(**new)
        change = Change.SUBSCRIBED if subscribed else Change.UNSUBSCRIBED
        _record(changed, change, source)
        for binding in changed:
            for name, value in new.items():
                setattr(binding, name, value)
        _tell_on_commit(changed, change, using)
    return changed


def mark_refused(account: str, openids: Iterable[str], *, known_at: datetime, errcode: int) -> None:
    """Write down with which errcode WeChat refused a message to these followers.

    The next news that they follow removes it.
    """
    older = Q(follow_changed_at__isnull=True) | Q(follow_changed_at__lt=known_at)
    OpenIDBinding.objects.filter(
        older, account=account, openid__in=openids, subscribed=True
    ).update(unreachable_errcode=errcode)


def _record(bindings: list[OpenIDBinding], change: str, source: str) -> None:
    BindingChange.objects.bulk_create(
        BindingChange(
            account=binding.account,
            openid=binding.openid,
            user_id=binding.user_id,
            change=change,
            source=source,
        )
        for binding in bindings
    )


def _tell_on_commit(bindings: list[OpenIDBinding], change: str, using: str) -> None:
    def tell() -> None:  # a partial has no name for Django to log when it fails
        for binding in bindings:
            binding_changed.send_robust(OpenIDBinding, binding=binding, change=str(change))

    transaction.on_commit(tell, using=using, robust=True)

"""Who follows the account: news from events, from refused messages and from WeChat's own lists.

Each piece of news has its moment, and older news never overwrites newer.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone

from .backends.base import BaseBackend
from .backends.registry import get_backend
from .exceptions import WeChatError
from .models import BindingChange, OpenIDBinding
from .signals import binding_changed
from .types import Follower

Change = BindingChange.Change

SOURCE_EVENT = "event"
SOURCE_SEND = "send"
SOURCE_SYNC = "sync"

BATCH = 100
INVALID_OPENID = 40003

# CreateTime counts whole seconds. Where somebody leaves and comes back inside one, taking them
# for a follower is the harmless mistake: the next message finds out.
_REST_OF_THE_SECOND = timedelta(seconds=1) - timedelta(microseconds=1)


def subscribed(account: str, openid: str, *, happened_at: datetime) -> None:
    """An event says that this person follows."""
    known_at = happened_at + _REST_OF_THE_SECOND
    note(account, [openid], subscribed=True, known_at=known_at, source=SOURCE_EVENT)


def unsubscribed(account: str, openid: str, *, happened_at: datetime) -> None:
    """An event says that this person does not follow any more."""
    note(account, [openid], subscribed=False, known_at=happened_at, source=SOURCE_EVENT)


def note(
    account: str,
    openids: Iterable[str],
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
    using = router.db_for_write(OpenIDBinding)
    older = Q(follow_changed_at__isnull=True) | Q(follow_changed_at__lt=known_at)
    known = OpenIDBinding.objects.using(using).filter(older, account=account, openid__in=openids)
    new = {"subscribed": subscribed, "follow_changed_at": known_at, "unreachable_errcode": errcode}
    with transaction.atomic(using=using):
        # First the write, then the read: SQLite does not let a reader become a writer after
        # somebody else has written.
        known.filter(subscribed=subscribed).update(**new)
        changed = list(known.select_for_update(of=("self",)).select_related("user").order_by("pk"))
        OpenIDBinding.objects.using(using).filter(pk__in=[b.pk for b in changed]).update(**new)
        change = Change.SUBSCRIBED if subscribed else Change.UNSUBSCRIBED
        _record(changed, change, source, using)
        for binding in changed:
            for name, value in new.items():
                setattr(binding, name, value)
        transaction.on_commit(partial(_tell, changed, change), using=using, robust=True)
    return changed


def _record(bindings: list[OpenIDBinding], change: str, source: str, using: str) -> None:
    BindingChange.objects.using(using).bulk_create(
        BindingChange(
            account=binding.account,
            openid=binding.openid,
            user_id=binding.user_id,
            change=change,
            source=source,
        )
        for binding in bindings
    )


def _tell(bindings: list[OpenIDBinding], change: str) -> None:
    for binding in bindings:
        binding_changed.send_robust(OpenIDBinding, binding=binding, change=str(change))


@dataclass
class RecheckReport:
    """What asking WeChat about bindings has found: how many asked about, and who changed."""

    checked: int = 0
    subscribed: int = 0
    unsubscribed: int = 0

    def add(self, other: "RecheckReport") -> None:
        self.checked += other.checked
        self.subscribed += other.subscribed
        self.unsubscribed += other.unsubscribed


def recheck(bindings: Iterable[OpenIDBinding]) -> RecheckReport:
    """Ask WeChat whether these people follow, a hundred at a time, and write it down.

    An openid that WeChat does not know counts as not following, with its errcode. Raises
    ``WeChatError`` or ``TransportError`` where WeChat cannot be asked, ``ConfigurationError``
    where the account's backend cannot ask; what was found before stays written.
    """
    by_account: dict[str, list[str]] = {}
    for binding in bindings:
        by_account.setdefault(binding.account, []).append(binding.openid)
    report = RecheckReport()
    for account, openids in by_account.items():
        backend = get_backend(account)
        for start in range(0, len(openids), BATCH):
            report.add(_recheck_batch(backend, account, openids[start : start + BATCH]))
    return report


def _recheck_batch(backend: BaseBackend, account: str, openids: list[str]) -> RecheckReport:
    asked_at = timezone.now()
    known, unknown = ask(backend, openids)
    found = {True: [f.openid for f in known if f.subscribed]}
    found[False] = [f.openid for f in known if not f.subscribed]
    changed = {
        state: note(account, who, subscribed=state, known_at=asked_at, source=SOURCE_SYNC)
        for state, who in found.items()
    }
    lost = note(
        account,
        unknown,
        subscribed=False,
        known_at=asked_at,
        source=SOURCE_SYNC,
        errcode=INVALID_OPENID,
    )
    return RecheckReport(len(openids), len(changed[True]), len(changed[False]) + len(lost))


def ask(backend: BaseBackend, openids: Sequence[str]) -> tuple[list[Follower], list[str]]:
    """What WeChat says about up to a hundred openids, and those it does not know.

    One unknown openid spoils the answer for all, so the list is halved until it is found.
    """
    if not openids:
        return [], []
    try:
        return backend.get_users(openids), []
    except WeChatError as error:
        if error.errcode != INVALID_OPENID:
            raise
    if len(openids) == 1:
        return [], list(openids)
    middle = len(openids) // 2
    known, unknown = ask(backend, openids[:middle])
    more_known, more_unknown = ask(backend, openids[middle:])
    return known + more_known, unknown + more_unknown

"""Who follows the account: what events say, and what WeChat says when it is asked."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..delivery.following import SOURCE_EVENT, SOURCE_SYNC, note
from ..exceptions import WeChatError
from ..models import OpenIDBinding
from ..types import Follower

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

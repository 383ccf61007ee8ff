"""Who follows the account: what events say, and what WeChat says when it is asked."""

import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..exceptions import TransportError, WeChatError
from ..models import OpenIDBinding
from ..types import Follower
from .following import SOURCE_EVENT, SOURCE_SEND, SOURCE_SYNC, note

logger = logging.getLogger(__name__)

BATCH = 100
# One unknown openid makes WeChat refuse the list, and the list is halved until it is found.
CONFIRMED_AT_ONCE = 20
INVALID_OPENID = 40003

# CreateTime counts whole seconds. If a person leaves and comes back within one second, it is safer
# to believe that they follow: the next message shows whether they do.
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


def confirm(account: str, openids: Sequence[str], *, seconds: float) -> None:
    """Ask WeChat about people whose openid it refused with a code that may pass.

    A follower keeps getting messages; anybody else is marked as not following. What cannot be
    asked within ``seconds`` stays as it is: the next refusal asks again.
    """
    backend = get_backend(account)
    if not backend.supports_users:
        known_at = timezone.now()
        note(account, openids, subscribed=False, known_at=known_at, source=SOURCE_SEND)
        return
    ends = time.monotonic() + seconds
    try:
        for start in range(0, len(openids), CONFIRMED_AT_ONCE):
            if time.monotonic() < ends:
                _recheck_batch(backend, account, openids[start : start + CONFIRMED_AT_ONCE])
    except (WeChatError, TransportError) as error:
        logger.warning("Account %r could not be asked who follows it: %s", account, error)


def _recheck_batch(backend: BaseBackend, account: str, openids: Sequence[str]) -> RecheckReport:
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

    WeChat refuses a list that holds one unknown openid, so the list is halved until it is found.
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

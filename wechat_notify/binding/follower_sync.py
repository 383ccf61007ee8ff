"""Comparing all bindings of an account with WeChat's list of followers, page by page.

First everybody on the list is a follower; then those bindings that were on no page are asked about
one by one, a hundred at a time, because somebody may have come while the pages were read. An
interrupted run goes on where it stopped: the place in the list stands in the cache, and what was
compared carries its date.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.cache import caches
from django.db.models import Q
from django.utils import timezone

from ..backends.registry import get_backend
from ..conf import settings
from ..delivery.following import SOURCE_SYNC, note
from ..models import OpenIDBinding
from .follow_state import BATCH, RecheckReport, recheck

# The list is not in an order that anybody vouches for across days.
RESUMABLE_SECONDS = 24 * 3600
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run has come. ``next_openid`` is None once the whole list is read."""

    started_at: datetime
    next_openid: str | None = ""
    listed: int = 0


@dataclass
class SyncReport:
    """What a run has found so far.

    ``followers`` is how many WeChat says there are, ``listed`` how many of them have been read,
    ``changes`` what became of our bindings. ``resumed``: an earlier run had begun it.
    """

    followers: int = 0
    listed: int = 0
    resumed: bool = False
    changes: RecheckReport = field(default_factory=RecheckReport)


Progress = Callable[[SyncReport], None]


def sync_followers(
    account: str, *, restart: bool = False, progress: Progress | None = None
) -> SyncReport:
    """Bring ``subscribed`` of the account's bindings up to date, in both directions.

    ``restart`` forgets an interrupted run. ``progress`` is called after each page and each
    hundred. Raises ``WeChatError`` or ``TransportError`` where WeChat cannot be asked, and
    ``ConfigurationError`` where the backend cannot ask; the next call goes on from there.
    """
    run = _Run(account, restart=restart, progress=progress)
    return run.carry_out()


class _Run:
    def __init__(self, account: str, *, restart: bool, progress: Progress | None) -> None:
        self._account = account
        self._backend = get_backend(account)
        self._cache = caches[settings.CACHE]
        self._key = f"wechat_notify:followers:{account}"
        self._progress = progress
        self._place = Place(timezone.now())
        place = None if restart else self._cache.get(self._key)
        if isinstance(place, Place):
            self._place = place
        self._report = SyncReport(listed=self._place.listed, resumed=place is not None)

    def carry_out(self) -> SyncReport:
        while self._place.next_openid is not None:
            self._page(self._place.next_openid)
        for batch in self._unlisted():
            self._report.changes.add(recheck(batch))
            self._tell()
        self._cache.delete(self._key)
        return self._report

    def _page(self, next_openid: str) -> None:
        asked_at = timezone.now()
        page = self._backend.get_followers(next_openid)
        for start in range(0, len(page.openids), CHUNK):
            changed = note(
                self._account,
                page.openids[start : start + CHUNK],
                subscribed=True,
                known_at=asked_at,
                source=SOURCE_SYNC,
            )
            self._report.changes.subscribed += len(changed)
        self._report.followers = page.total
        self._report.listed += len(page.openids)
        self._place = Place(self._place.started_at, page.next_openid or None, self._report.listed)
        self._cache.set(self._key, self._place, RESUMABLE_SECONDS)
        self._tell()

    def _unlisted(self) -> Iterator[list[OpenIDBinding]]:
        """Those taken for followers that were on no page, in batches."""
        old = Q(follow_changed_at__isnull=True)
        old |= Q(follow_changed_at__lt=self._place.started_at)
        rest = OpenIDBinding.objects.filter(old, account=self._account, subscribed=True)
        last: Any = None
        while True:
            after = rest if last is None else rest.filter(pk__gt=last)
            batch = list(after.order_by("pk")[:BATCH])
            if not batch:
                return
            last = batch[-1].pk
            yield batch

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._report)

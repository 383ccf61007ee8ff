"""Comparing all bindings of an account with WeChat's list of followers, page by page.

First everybody on the list is a follower. Then WeChat is asked about the bindings that were on no
page, a hundred at a time, because somebody may have followed while the pages were read. An
interrupted run goes on where it stopped: the place in the list stands in the cache, and each
binding has the time at which it was compared.
"""

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.cache import caches
from django.db.models import Q
from django.utils import timezone

from ..backends.registry import get_backend
from ..conf import settings
from ..models import OpenIDBinding, pages_by_key
from ..wechat.shared_cache import cache_key
from .follow_state import BATCH, RecheckReport, recheck
from .following import SOURCE_SYNC, note

logger = logging.getLogger(__name__)

# The order of the list is not documented, so a place in it is not used for longer.
RESUMABLE_SECONDS = 24 * 3600
CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Place:
    """How far a run has come. ``next_openid`` is None once the whole list is read."""

    started_at: datetime
    next_openid: str | None = ""
    listed: int = 0

    def as_json(self) -> list[Any]:
        """As a cache can keep it that takes JSON's own types only."""
        return [self.started_at.isoformat(), self.next_openid, self.listed]

    @classmethod
    def from_json(cls, kept: Any) -> "Place | None":
        """What ``as_json`` gave; None if it is anything else."""
        try:
            started_at, next_openid, listed = kept
            return cls(datetime.fromisoformat(started_at), next_openid, listed)
        except (TypeError, ValueError):
            return None


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
        self._key = cache_key("followers", account)
        self._progress = progress
        self._place = Place(timezone.now())
        place = None if restart else Place.from_json(self._cache.get(self._key))
        if place is not None:
            self._place = place
        self._report = SyncReport(listed=self._place.listed, resumed=place is not None)

    def carry_out(self) -> SyncReport:
        read: set[str] = set()
        while (next_openid := self._place.next_openid) is not None:
            if next_openid in read:
                # Whoever is missing from the list is asked about below.
                logger.warning("WeChat's list of followers repeats a page: taken for its end.")
                break
            read.add(next_openid)
            self._page(next_openid)
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
        self._cache.set(self._key, self._place.as_json(), RESUMABLE_SECONDS)
        self._tell()

    def _unlisted(self) -> Iterator[list[OpenIDBinding]]:
        """Those taken for followers that were on no page, in batches."""
        old = Q(follow_changed_at__isnull=True)
        old |= Q(follow_changed_at__lt=self._place.started_at)
        rest = OpenIDBinding.objects.filter(old, account=self._account, subscribed=True)
        return pages_by_key(rest, BATCH)

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._report)

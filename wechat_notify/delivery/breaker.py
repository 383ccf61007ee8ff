"""The breaker of one account: why nothing is sent for it, and until when. Shared by all workers.

It lives in the cache (``WECHAT_NOTIFY["CACHE"]``). A cache that is flushed forgets it, which costs
one refused call for each worker and no message: rows stay ``pending`` either way.
"""

from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache
from django.utils import timezone as django_timezone

from ..conf import settings
from ..types import Endpoint
from ..wechat.errors import ErrorInfo, Pause, describe

# China has had no daylight saving time since 1991. That the quota resets at midnight there is
# [memory] (WECHAT.md section 10): whoever is refused again then does not rest for another day, but
# is probed, so that a reset that comes late, or a clock that is fast, costs minutes.
BEIJING = timezone(timedelta(hours=8))

# A pause "until somebody mends it" is probed with one message at growing intervals.
PROBE_FIRST = timedelta(minutes=1)
PROBE_MOST = timedelta(minutes=30)
PROBE_TAKES = 60
FORGET_AFTER = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Rest:
    """One account at rest: WeChat's answer that caused it, since when, until when.

    After ``until`` a single message is tried; its fate decides whether the account goes on.
    ``by_hand`` marks a pause that somebody has to mend, such as an address that is not on the
    whitelist. ``trips`` counts the refusals in a row.
    """

    errcode: int
    errmsg: str
    endpoint: Endpoint
    since: datetime
    until: datetime
    by_hand: bool
    trips: int

    @property
    def info(self) -> ErrorInfo:
        """Cause and next step in plain words."""
        return describe(self.errcode, endpoint=self.endpoint)


class Breaker:
    """Read and switch the breaker of one account."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        # By app id, not alias: two projects that share a cache and an account share its rest.
        self._key = f"wechat_notify:breaker:{settings.account(alias).app_id}:{alias}"

    @property
    def _cache(self) -> BaseCache:
        return caches[settings.CACHE]

    def rest(self) -> Rest | None:
        """Why and until when the account rests; None when it does not."""
        return _restored(self._cache.get(self._key))

    def allowance(self) -> int | None:
        """How many messages may be tried now: 0 at rest, 1 as a probe, None as many as you like."""
        rest = self.rest()
        if rest is None:
            return None
        if django_timezone.now() < rest.until:
            return 0
        # One worker probes, the others wait for what it finds.
        return 1 if self._cache.add(f"{self._key}:probe", 1, PROBE_TAKES) else 0

    def trip(self, errcode: int, errmsg: str, *, endpoint: Endpoint = "send") -> Rest:
        """Put the account to rest for as long as this errcode asks."""
        now = django_timezone.now()
        before = self.rest()
        # Workers with requests in flight all report the same refusal: one trip, not many.
        if before is not None and now < before.until and before.errcode == errcode:
            return before
        trips = before.trips + 1 if before is not None and before.errcode == errcode else 1
        pause = describe(errcode, endpoint=endpoint).pause or Pause()
        rest = Rest(
            errcode=errcode,
            errmsg=errmsg,
            endpoint=endpoint,
            since=before.since if before is not None and trips > 1 else now,
            until=_until(pause, now, trips),
            by_hand=pause.seconds is None and not pause.next_day,
            trips=trips,
        )
        self.store(rest)
        self._cache.delete(f"{self._key}:probe")
        return rest

    def store(self, rest: Rest) -> None:
        """Let every worker know of it."""
        # Plain values: caches may be set up to keep nothing but JSON.
        moments = {"since": rest.since.isoformat(), "until": rest.until.isoformat()}
        self._cache.set(self._key, asdict(rest) | moments, FORGET_AFTER)

    def release_probe(self) -> None:
        """Let another worker probe: there was nothing to try."""
        self._cache.delete(f"{self._key}:probe")

    def clear(self) -> None:
        """Let the account send again."""
        self._cache.delete_many([self._key, f"{self._key}:probe"])


def _restored(found: Any) -> Rest | None:
    if not isinstance(found, dict):
        return None
    try:
        moments = {name: datetime.fromisoformat(found[name]) for name in ("since", "until")}
        return Rest(**{**found, **moments})
    except (KeyError, TypeError, ValueError):
        return None  # another version's


def _until(pause: Pause, now: datetime, trips: int) -> datetime:
    if pause.next_day and trips == 1:
        there = now.astimezone(BEIJING)
        midnight = there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return midnight.astimezone(timezone.utc)
    if pause.seconds is not None:
        return now + timedelta(seconds=pause.seconds)
    probe_after: timedelta = min(PROBE_FIRST * 2 ** min(trips - 1, 10), PROBE_MOST)
    return now + probe_after

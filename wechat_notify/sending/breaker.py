"""The breaker of one account: why nothing is sent for it, and until when. Shared by all workers.

It is in the cache (``WECHAT_NOTIFY["CACHE"]``). If the cache loses it, each worker makes one call
that is refused. No message is lost: the rows stay ``pending``.
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
from ..wechat.shared_cache import cache_key

# China has had no daylight saving time since 1991. That the quota resets at midnight there is
# [memory] (docs/wechat-api.md, 10). So an account that is refused again after midnight rests for
# minutes, not for another day: the reset may be late, or this host's clock fast.
BEIJING = timezone(timedelta(hours=8))

# Where somebody must correct something, one message is sent as a probe at growing intervals.
PROBE_FIRST = timedelta(minutes=1)
PROBE_MOST = timedelta(minutes=30)
PROBE_TAKES = 60
FORGET_AFTER = 7 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Rest:
    """One account at rest: WeChat's answer that caused it, since when, until when.

    After ``until`` a single message is sent as a probe; if it is accepted, the rest ends.
    ``by_hand``: somebody must correct the cause, such as a wrong AppSecret. ``trips`` counts the
    refusals in a row.
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
        # By app id: two projects that share a cache and an account share its rest.
        self._key = cache_key("breaker", settings.account(alias).app_id, alias)

    @property
    def _cache(self) -> BaseCache:
        return caches[settings.CACHE]

    def rest(self) -> Rest | None:
        """Why and until when the account rests; None when it does not."""
        return _restored(self._cache.get(self._key))

    def allowance(self) -> int | None:
        """How many messages may be sent now: 0 during a rest, 1 as a probe, None any number."""
        rest = self.rest()
        if rest is None:
            return None
        if django_timezone.now() < rest.until:
            return 0
        # One worker sends the probe, the others wait for its result.
        return 1 if self._cache.add(f"{self._key}:probe", 1, PROBE_TAKES) else 0

    def trip(self, errcode: int, errmsg: str, *, endpoint: Endpoint = "send") -> Rest:
        """Let the account rest for as long as this errcode requires."""
        now = django_timezone.now()
        before = self.rest()
        # Every message in flight brings the same refusal: count it once.
        if before is not None and now < before.until and before.errcode == errcode:
            return before
        trips = before.trips + 1 if before is not None and before.errcode == errcode else 1
        pause = describe(errcode, endpoint=endpoint).pause or Pause()
        rest = Rest(
            errcode=errcode,
            errmsg=errmsg,
            endpoint=endpoint,
            since=before.since if before is not None and trips > 1 else now,
            until=pause_until(pause, now, trips),
            by_hand=pause.seconds is None and not pause.next_day,
            trips=trips,
        )
        self.store(rest)
        self._cache.delete(f"{self._key}:probe")
        return rest

    def store(self, rest: Rest) -> None:
        """Write the rest where every worker reads it."""
        # Plain values: a cache may be configured to store JSON only.
        moments = {"since": rest.since.isoformat(), "until": rest.until.isoformat()}
        self._cache.set(self._key, asdict(rest) | moments, FORGET_AFTER)

    def release_probe(self) -> None:
        """Let another worker send the probe, because this one had no message for it."""
        self._cache.delete(f"{self._key}:probe")

    def clear(self) -> None:
        """End the rest."""
        self._cache.delete_many([self._key, f"{self._key}:probe"])


def _restored(found: Any) -> Rest | None:
    if not isinstance(found, dict):
        return None
    try:
        moments = {name: datetime.fromisoformat(found[name]) for name in ("since", "until")}
        return Rest(**{**found, **moments})
    except (KeyError, TypeError, ValueError):
        return None  # another version's


def pause_until(pause: Pause, now: datetime, trips: int) -> datetime:
    """When a rest ends that begins at ``now``, after so many refusals in a row."""
    if pause.next_day and trips == 1:
        there = now.astimezone(BEIJING)
        midnight = there.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return midnight.astimezone(timezone.utc)
    if pause.seconds is not None:
        return now + timedelta(seconds=pause.seconds)
    probe_after: timedelta = min(PROBE_FIRST * 2 ** min(trips - 1, 10), PROBE_MOST)
    return now + probe_after

"""``RATE``: the most messages of one account in any time window, by all workers together."""

import logging
import time
from typing import Any

from django.core.cache import caches

from ..conf import Rate, settings
from ..wechat.shared_cache import cache_key

logger = logging.getLogger(__name__)

# A window is counted in so many slices and moves on by one slice at a time. With one counter for
# each whole window, twice as many could be sent at the end of one and the start of the next.
SLICES = 10


class RateLimiter:
    """Counts in the shared cache, one key for each slice of the clock.

    Exact on caches whose ``incr`` is atomic (Redis, Memcached, LocMem within a process).
    """

    def __init__(self, alias: str, rate: Rate) -> None:
        self._prefix = cache_key("rate", settings.account(alias).app_id, alias)
        self._rate = rate
        self._slice_seconds = rate.seconds / SLICES
        self._kept = int(rate.seconds * 2) + 1
        self._taken_in = 0

    def take(self, wanted: int) -> int:
        """How many of ``wanted`` messages may be sent now; 0: the window is used up."""
        cache = caches[settings.CACHE]
        number = self._taken_in = self._now()
        key = self._key(number)
        cache.add(key, 0, self._kept)
        try:
            counted: Any = cache.incr(key, wanted)
            if counted is None:
                logger.warning("RATE cannot be counted: the cache is down. Nothing is sent.")
                return 0
            taken = int(counted)
            self._keep(key)
        except ValueError:
            # The slice's key was evicted between the two calls: start it again.
            cache.set(key, wanted, self._kept)
            taken = wanted
        # One slice more than a window has, because the oldest is only partly in the window.
        earlier = cache.get_many([self._key(number - back) for back in range(1, SLICES + 1)])
        used = taken - wanted + sum(int(count) for count in earlier.values())
        granted = max(0, min(wanted, self._rate.count - used))
        self._return(key, wanted - granted)
        return granted

    def give_back(self, unused: int) -> None:
        """Return so many that the last ``take`` granted and that were not used."""
        self._return(self._key(self._taken_in), unused)

    def seconds_left(self) -> float:
        """Seconds until the next slice, in which ``take`` may grant some again."""
        return self._slice_seconds - time.time() % self._slice_seconds

    def _now(self) -> int:
        return int(time.time() // self._slice_seconds)

    def _key(self, number: int) -> str:
        return f"{self._prefix}:{number}"

    def _return(self, key: str, unused: int) -> None:
        if not unused:
            return
        try:
            caches[settings.CACHE].decr(key, unused)
        except ValueError:
            return  # evicted, and the count with it
        self._keep(key)

    def _keep(self, key: str) -> None:
        """Let a slice's count last as long as its window, after it was changed.

        Django's database and file caches keep what they count for their own TIMEOUT, five minutes.
        """
        caches[settings.CACHE].touch(key, self._kept)

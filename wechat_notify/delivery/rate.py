"""``RATE``: at most so many messages of one account in each window, counted across all workers."""

import time

from django.core.cache import caches

from ..conf import Rate, settings


class RateLimiter:
    """Counts in the shared cache, one key for each window of the clock.

    Exact on caches whose ``incr`` is atomic (Redis, Memcached, LocMem within a process).
    """

    def __init__(self, alias: str, rate: Rate) -> None:
        self._prefix = f"wechat_notify:rate:{settings.account(alias).app_id}:{alias}"
        self._rate = rate

    def take(self, wanted: int) -> int:
        """How many of ``wanted`` messages may be sent now; 0: the window is used up."""
        cache = caches[settings.CACHE]
        key = self._key()
        cache.add(key, 0, self._rate.seconds * 2)
        try:
            taken = int(cache.incr(key, wanted))
        except ValueError:
            # The window's key was evicted between the two calls: count from here.
            cache.set(key, wanted, self._rate.seconds * 2)
            taken = wanted
        granted = max(0, min(wanted, self._rate.count - (taken - wanted)))
        if granted < wanted:
            self._give_back(key, wanted - granted)
        return granted

    def give_back(self, unused: int) -> None:
        """Return what was taken and not sent."""
        if unused:
            self._give_back(self._key(), unused)

    def seconds_left(self) -> float:
        """Seconds until the next window."""
        return self._rate.seconds - time.time() % self._rate.seconds

    def _key(self) -> str:
        return f"{self._prefix}:{int(time.time() // self._rate.seconds)}"

    @staticmethod
    def _give_back(key: str, unused: int) -> None:
        try:
            caches[settings.CACHE].decr(key, unused)
        except ValueError:
            return  # the window is over, and what was left of it with it

"""The cache that tests share with nobody, whichever server holds it, and what stands in it."""

import json
from collections.abc import Iterator
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.cache.backends.redis import RedisCache


class OwnRedisCache(RedisCache):
    """Django's, but ``clear()`` forgets the keys under its own prefix only.

    Every test clears the cache first. Django's way empties the whole database, and with it the
    tokens and locks of the tests that run at that moment in xdist's other processes.
    """

    def clear(self) -> bool:
        if names := list(self._names()):
            self._cache.get_client(write=True).delete(*names)
        return True

    def contents(self) -> dict[str, Any]:
        """What stands in it, by key."""
        keys = [name.decode().split(":", 2)[2] for name in self._names()]
        return self.get_many(keys)

    def _names(self) -> Iterator[bytes]:
        found: Iterator[bytes] = self._cache.get_client().scan_iter(self.make_key("*"), 1_000)
        return found


def cache_contents() -> dict[str, Any]:
    """What stands in the default cache, by key."""
    cache = caches["default"]
    if isinstance(cache, OwnRedisCache):
        return cache.contents()
    names = list(cache._cache)  # LocMem's own
    return cache.get_many([name.split(":", 2)[2] for name in names])


class KeepsJSON(LocMemCache):
    """As caches are set up that shall run no code when they are read: JSON's own types alone."""

    def set(self, key: str, value: Any, *args: Any, **kwargs: Any) -> None:
        super().set(key, json.loads(json.dumps(value)), *args, **kwargs)

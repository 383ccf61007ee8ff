"""Caches on a bad day: one that raises, and one that swallows its errors and keeps nothing."""

from typing import Any

from django.core.cache.backends.base import BaseCache


class RaisingCache(BaseCache):
    """As Redis is while nobody answers."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        super().__init__(params)

    def _fail(self, *args: Any, **kwargs: Any) -> Any:
        raise ConnectionError("Error 111 connecting to redis:6379. Connection refused.")

    add = get = set = touch = delete = has_key = clear = _fail


class SilentCache(RaisingCache):
    """The same with django-redis' IGNORE_EXCEPTIONS, or pymemcache's ignore_exc."""

    def _none(self, *args: Any, **kwargs: Any) -> None:
        return None

    def get(self, key: Any, default: Any = None, version: Any = None) -> Any:
        return default

    add = set = touch = delete = has_key = clear = _none

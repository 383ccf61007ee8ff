"""A Django cache that several processes share, its keys, and whether it keeps anything."""

import hashlib
import re
import uuid
from collections.abc import Callable
from typing import Any

from django.core.cache.backends.base import BaseCache

from ..exceptions import TransportError

# Memcached refuses blanks, control characters and keys of more than 250 bytes.
_PLAIN = re.compile(r"[A-Za-z0-9_.+-]{1,64}")


def cache_key(*parts: str) -> str:
    """``wechat_notify:a:b`` for the parts a and b, as a key that every cache takes.

    A part that some cache would refuse (an alias with a blank or a Chinese character, a very long
    one) stands in it as a digest.
    """
    return ":".join(["wechat_notify", *map(_key_part, parts)])


def _key_part(part: str) -> str:
    if _PLAIN.fullmatch(part):
        return part
    return hashlib.sha256(part.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def keeps(cache: Any) -> bool:
    """Whether ``cache`` gives back what was written a moment ago.

    It may be down and set up to hide that (django-redis' IGNORE_EXCEPTIONS, pymemcache's
    ignore_exc). Only a key of one's own proves it: a lock that is gone may have been released.
    Raises whatever the cache raises.
    """
    key = cache_key("probe", uuid.uuid4().hex)
    cache.set(key, 1, 60)
    kept = bool(cache.get(key) == 1)
    cache.delete(key)
    return kept


class SharedCache:
    """The entries of ``cache`` under one prefix. Every failure of the cache is a TransportError.

    That is what it means for a message: there is no token, and nothing has left. ``cache`` may be
    a ``ConnectionProxy``.
    """

    def __init__(self, cache: BaseCache, *prefix: str) -> None:
        self._cache = cache
        self._prefix = prefix

    def get(self, *name: str) -> Any:
        return self._call(self._cache.get, cache_key(*self._prefix, *name))

    def set(self, name: str | tuple[str, ...], value: Any, seconds: float) -> None:
        name = (name,) if isinstance(name, str) else name
        self._call(self._cache.set, cache_key(*self._prefix, *name), value, seconds)

    def add(self, name: str, value: Any, seconds: float) -> bool:
        return bool(self._call(self._cache.add, cache_key(*self._prefix, name), value, seconds))

    def delete(self, name: str) -> None:
        self._call(self._cache.delete, cache_key(*self._prefix, name))

    def require(self) -> None:
        """Raise TransportError where the cache loses what is written into it."""
        if not self._call(keeps, self._cache):
            raise TransportError(
                "No access token: the cache is down, it loses what is written into it.",
                maybe_sent=False,
            )

    def is_a(self, kind: type[BaseCache]) -> bool:
        """Whether the cache is of this class."""
        # A ConnectionProxy hides its cache's class; a bound method knows it.
        return isinstance(getattr(self._cache.add, "__self__", None), kind)

    def _call(self, method: Callable[..., Any], *args: Any) -> Any:
        try:
            return method(*args)
        except Exception as error:  # noqa: BLE001 - each cache library has exceptions of its own
            name = type(error).__name__
        # Outside the except, so that no context shows the token in the cache library's frames.
        raise TransportError(f"No access token: the cache failed ({name}).", maybe_sent=False)

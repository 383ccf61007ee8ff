"""One process at a time sends what nobody has handed over: the caretaker.

What is due later, to be tried again, or left behind by a killed process belongs to no process.
With one caretaker, eight processes do not become eight times as many calls to WeChat.
"""

import os
import socket
import time
from collections.abc import Hashable
from types import TracebackType

from django.core.cache import caches

from ..conf import settings
from ..wechat.forks import has_ended
from ..wechat.shared_cache import cache_key

# Longer than a call to WeChat may take: only after one a run renews its hold.
HELD_SECONDS = 60
RENEWED_SECONDS = 15.0


class Caretaker:
    """The attempt to be the caretaker within the block; ``is_this`` says whether it succeeded.

    Held in the cache: if a cache is of each process alone, or down, there may be two or none. That
    costs connections or a minute, and no message is sent twice.
    """

    def __init__(self, context: Hashable) -> None:
        self._key = cache_key("caretaker", *([] if context is None else [str(context)]))
        self._name = [socket.gethostname(), os.getpid()]
        self._renewed_at = 0.0
        self.is_this = False

    def __enter__(self) -> "Caretaker":
        self._renewed_at = time.monotonic()
        cache = caches[settings.CACHE]
        self.is_this = bool(cache.add(self._key, self._name, HELD_SECONDS))
        if not self.is_this and _has_ended(cache.get(self._key)):
            self.is_this = True
            cache.set(self._key, self._name, HELD_SECONDS)
        return self

    def renew(self) -> None:
        """Keep the hold during a long run. Called often."""
        if self.is_this and time.monotonic() - self._renewed_at >= RENEWED_SECONDS:
            self._renewed_at = time.monotonic()
            caches[settings.CACHE].set(self._key, self._name, HELD_SECONDS)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        cache = caches[settings.CACHE]
        if self.is_this and cache.get(self._key) == self._name:
            cache.delete(self._key)


def _has_ended(holder: object) -> bool:
    """Whether the holder was a process of this host that does not run any more."""
    match holder:
        case [str(host), int(process)] if host == socket.gethostname():
            return has_ended(process)
    return False

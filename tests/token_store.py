"""Token stores to test, with a token endpoint and a cache that can be looked at."""

import threading
import time
from typing import Any

from django.core.cache.backends.base import (
    BaseCache,
)
from django.core.cache.backends.locmem import LocMemCache

from wechat_notify.exceptions import TransportError
from wechat_notify.wechat.tokens import Fetch, Pace, TokenStore

APP_ID = "wx0123456789abcdef"
PREFIX = f"wechat_notify:token:stable:{APP_ID}"
UNREACHABLE = TransportError("No connection.", maybe_sent=False)


class Endpoint:
    """A token endpoint in a list: what it is to answer, in order, the last one for ever."""

    def __init__(self, *answers: Any, seconds: float = 0) -> None:
        self.answers = list(answers)
        self.seconds = seconds
        self.calls: list[bool] = []
        self._lock = threading.Lock()

    def __call__(self, force: bool) -> tuple[str, int]:
        with self._lock:
            self.calls.append(force)
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        time.sleep(self.seconds)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, tuple) else (answer, 7200)


class RememberingCache(LocMemCache):
    """Remembers under which keys something was stored, and for how long."""

    def __init__(self, name: str) -> None:
        super().__init__(name, {})
        self.keys: dict[str, Any] = {}

    @property
    def seconds(self) -> dict[str, Any]:
        """By the key's name: "value", "failure" …"""
        return {key.split(":")[4]: value for key, value in self.keys.items()}

    def set(self, key: str, value: Any, timeout: Any = None, version: Any = None) -> None:
        self.keys[key] = timeout
        super().set(key, value, timeout, version)


# What is tested is the order of the waits, not their length; and no fetch of these is a slow one.
QUICK = Pace(poll=0.005, retry=0.01, quick=60, slack=60)


def new_store_on(cache: BaseCache, fetch: Fetch, **options: Any) -> TokenStore:
    given = {"app_id": APP_ID, "mode": "stable", "fetch": fetch, "pace": QUICK}
    return TokenStore(cache, **{**given, **options})

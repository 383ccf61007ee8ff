"""How many messages failed lately: counted by all processes together, in the cache.

The engine notes each result; a process writes what it has noted every ten seconds at most. So an
account's failures can be watched without a query, however many messages there are. A cache that
loses its entries, or that each process has for itself, loses some of the count and no message.
"""

import logging
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from django.core.cache import caches
from django.core.cache.backends.base import BaseCache

from ..conf import settings
from ..models import SendLog
from ..wechat.forks import PerProcess
from ..wechat.shared_cache import cache_key
from .policy import Decision

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 30 * 60
"""So far back the count goes, and a slice less at times."""
SLICE_SECONDS = 5 * 60
FLUSH_SECONDS = 10.0
STOPS_KEPT_SECONDS = 24 * 3600

DECIDED = (SendLog.Status.SENT, SendLog.Status.FAILED, SendLog.Status.UNCERTAIN)
"""What becomes of a message that was tried. Skipped, expired and cancelled ones were not."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many messages failed, and how many were decided on, these among them."""

    failed: int = 0
    decided: int = 0

    @property
    def share(self) -> float:
        return self.failed / self.decided if self.decided else 0.0


class _Noted:
    """What this process has noted and not written yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._stopped = False
        self._flushed_at = -FLUSH_SECONDS

    def add(self, account: str, decision: Decision) -> None:
        with self._lock:
            if decision.pauses_template:
                self._stopped = True
            if decision.status in DECIDED:
                self._counts[account, decision.status == SendLog.Status.FAILED] += 1

    def is_due(self) -> bool:
        return time.monotonic() - self._flushed_at >= FLUSH_SECONDS

    def has_failures(self) -> bool:
        with self._lock:
            return self._stopped or any(failed for _account, failed in self._counts)

    def take(self) -> tuple[Counter[tuple[str, bool]], bool]:
        with self._lock:
            taken, stopped = self._counts, self._stopped
            self._counts, self._stopped = Counter(), False
            self._flushed_at = time.monotonic()
        return taken, stopped


_noted = PerProcess(_Noted)


def note(account: str, decision: Decision) -> None:
    """Count one message's decision. Costs no call of the cache."""
    _noted.get().add(account, decision)


def flush(*, at_end: bool = False) -> None:
    """Write what this process has noted, if it is time. Never raises.

    ``at_end``: a run has ended, so failures are written at once: no other run may follow soon.
    """
    noted = _noted.get()
    if not (noted.is_due() or (at_end and noted.has_failures())):
        return
    counts, stopped = noted.take()
    try:
        _write(counts)
    except Exception:
        # It only counts; and each cache library has exceptions of its own.
        logger.warning("How many messages failed could not be counted.", exc_info=True)
    if stopped:
        note_templates()


def forget() -> None:
    """Forget what this process has noted and not written; for tests."""
    _noted.forget()


def failures(account: str) -> Count:
    """How many messages of the account failed within the last half an hour. One read."""
    now = int(time.time()) // SLICE_SECONDS
    slices = range(now - WINDOW_SECONDS // SLICE_SECONDS + 1, now + 1)
    keys = {_key(account, one, failed): failed for one in slices for failed in (True, False)}
    found = caches[settings.CACHE].get_many(keys)
    failed = sum(n for key, n in found.items() if keys[key])
    return Count(failed, sum(found.values()))


def note_templates() -> None:
    """Leave word that WeChat has stopped a template, or that a sync no longer found one.

    Never raises. While the cache is down, nobody can read it anyway.
    """
    with suppress(Exception):
        caches[settings.CACHE].set(_templates_key(), uuid.uuid4().hex, STOPS_KEPT_SECONDS)


def word_of_templates() -> str:
    """Another text after each ``note_templates()``."""
    return str(caches[settings.CACHE].get(_templates_key()) or "")


def _write(counts: Counter[tuple[str, bool]]) -> None:
    now, cache = int(time.time()) // SLICE_SECONDS, caches[settings.CACHE]
    for (account, failed), number in counts.items():
        _increase(cache, _key(account, now, failed), number)


def _increase(cache: BaseCache, key: str, number: int) -> None:
    kept = WINDOW_SECONDS + SLICE_SECONDS
    if not cache.add(key, number, kept):
        with suppress(ValueError):  # it has ended just now
            cache.incr(key, number)
            # Django's database and file caches keep what they count for their own TIMEOUT.
            cache.touch(key, kept)


def _key(account: str, number: int, failed: bool) -> str:
    return cache_key("outcomes", account, str(number), "failed" if failed else "other")


def _templates_key() -> str:
    return cache_key("templates_changed")

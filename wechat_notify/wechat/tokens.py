"""The access token: fetched once for everybody who shares the cache, never in a loop.

Each fetch of a classic token invalidates the one before, and an account has as few as 2000
fetches a day (docs/wechat-api.md, 1.1). So however many threads, processes and hosts need a token,
one of them fetches it while the others wait for its result, be it a token or a refusal.
"""

import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeAlias

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache

from ..exceptions import TokenError, TransportError
from ..types import Secret
from .forks import PerProcess
from .refused_tokens import RefusedTokens
from .shared_cache import SharedCache
from .token_failures import SharedFailures, is_transient, refused_token_error

Fetch: TypeAlias = Callable[[bool], tuple[str, int]]
"""``fetch(force)`` asks WeChat: (token, seconds it lives), or a TokenError or TransportError."""

# A token is replaced this long before its end, or at half its life where it has less than twice
# that: a stable token may come with 300 seconds left, and old and new work side by side for the
# five minutes around a change (docs/wechat-api.md, 1.1, 1.2).
MARGIN = 300
# WeChat's tokens live two hours at most. A longer life is an error that not every cache can keep.
LONGEST_LIFE = 24 * 60 * 60
# How long a process trusts its own copy before it looks into the cache again.
MEMO_SECONDS = 1.0
# Django's file-based cache looks and then writes in add(), so that two processes may both think
# that they hold the lock. There the holder waits this long and looks whose name is in it.
SETTLE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """How a TokenStore waits, in seconds.

    ``poll``: between two looks for a token that another process fetches. ``retry``: before a
    second try after a passing failure, unless the first try took longer than ``quick``.
    ``slack``: how much longer than one fetch a lock lasts, so that only a dead holder loses it.
    """

    poll: float = 0.05
    retry: float = 0.5
    quick: float = 2.0
    slack: float = 5


@dataclass(slots=True)
class _Memory:
    """What one process remembers: its copy of the token, and whose turn it is to ask the cache."""

    turn: threading.Lock = field(default_factory=threading.Lock)
    copy: tuple[str, float] = ("", 0.0)


class TokenStore:
    """One account's access token in a shared cache. Thread-safe.

    ``cache`` is a Django cache (or a ``ConnectionProxy`` to one); its keys hold the app id and
    mode, never a secret. ``fetch`` asks WeChat. ``fetch_seconds`` is the longest one fetch can
    take: a holder of the lock that dies is replaced a little after that. ``host`` names this
    machine, whose own failures are not told to others.
    """

    def __init__(
        self,
        cache: BaseCache,
        *,
        app_id: str,
        mode: str,
        fetch: Fetch,
        fetch_seconds: float = 15,
        host: str = "",
        pace: Pace = Pace(),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cache = SharedCache(cache, "token", mode, app_id)
        self._refused = RefusedTokens(self._cache, clock)
        self._failures = SharedFailures(self._cache, host or socket.gethostname())
        self._stable = mode == "stable"
        self._fetch = fetch
        self._pace = pace
        self._lock_seconds = int(fetch_seconds + pace.slack)
        self._memory = PerProcess(_Memory)

    def get(self) -> str:
        """A token that nobody is known to have been refused.

        Raises ``TokenError`` where WeChat refuses to give one (``RefusedTokenError`` where every
        token it gives is refused elsewhere), ``TransportError`` where it cannot be reached or the
        cache fails.
        """
        token, until = self._memory.get().copy
        # A thread may copy a token that it read just before another one dropped it.
        if token and time.monotonic() < until and not self._refused.refused_here(token):
            return token
        return self._stored() or self._wait_or_fetch()

    def drop(self, token: str) -> None:
        """Take ``token``, which a business endpoint refused, out of use.

        Does nothing where another token has taken its place already. After more than two
        different tokens in a minute, ``get`` raises ``RefusedTokenError`` for a while.
        """
        self._refused.refuse_here(token)
        # The refusal is noted and the token left where it is: between a look at the cache and a
        # deletion another process may have put a newer token there.
        if self._cache.get("value") == token and self._refused.refuse_everywhere(token):
            self._failures.share(refused_token_error())

    def _stored(self) -> str:
        """The token in the cache, or "" where there is none or it was refused."""
        token = Secret(self._cache.get("value") or "")
        if not token or token in self._refused:
            return ""
        return self._remembered(token, MEMO_SECONDS)

    def _remembered(self, token: str, seconds: float) -> str:
        self._memory.get().copy = (token, time.monotonic() + min(MEMO_SECONDS, seconds))
        return token

    def _wait_or_fetch(self) -> str:
        """The token that another caller fetches, or this one does."""
        patience = time.monotonic() + 2 * self._lock_seconds
        with self._memory.get().turn:  # One thread of this process asks, the rest wait for it.
            while not (token := self._outcome() or self._fetch_alone()):
                if time.monotonic() > patience:
                    break
                time.sleep(self._pace.poll)
        if token:
            return token
        raise TransportError(
            "No access token in time: another process fetches it.", maybe_sent=False
        )

    def _outcome(self) -> str:
        """The stored token, or "" if there is none. Raises the failure that others met just now."""
        if token := self._stored():
            return token
        self._failures.raise_any()
        return ""

    def _fetch_alone(self) -> str:
        """A new token if nobody else is fetching one, else ""."""
        owner = uuid.uuid4().hex
        added = self._cache.add("lock", owner, self._lock_seconds)
        if added and self._cache.is_a(FileBasedCache):
            time.sleep(SETTLE_SECONDS)
        holder = self._holder()
        # A site may choose the dummy cache, and is warned by a system check.
        keeps_nothing = self._cache.is_a(DummyCache)
        if holder is None and not keeps_nothing:
            # The lock was released meanwhile, or the cache is down.
            self._cache.require()
        if not (added and (holder == owner or keeps_nothing)):
            return ""
        try:
            # Somebody may have finished between our look and our lock.
            return self._outcome() or self._fetch_and_store(owner)
        finally:
            # A lock that cannot be released runs out; the token is good all the same.
            with suppress(TransportError):
                if self._holder() == owner:
                    self._cache.delete("lock")

    def _holder(self) -> str | None:
        """Who holds the lock, if anybody."""
        holder: str | None = self._cache.get("lock")
        return holder

    def _keep_lock(self, owner: str) -> None:
        if self._holder() == owner:
            self._cache.set("lock", owner, self._lock_seconds)

    def _fetch_and_store(self, owner: str) -> str:
        try:
            token, expires_in = self._fetch_good(owner)
        except (TokenError, TransportError) as error:
            with suppress(TransportError):  # The cache may have gone away meanwhile.
                self._failures.share(error)
            raise
        seconds = max(1, min(expires_in, LONGEST_LIFE) - min(MARGIN, expires_in // 2))
        holder = self._holder()
        if holder != owner and (newer := self._stored()):
            return newer  # Too slow: another caller took over and stored it.
        if holder in (owner, None):  # None: the lock ran out, or the cache evicted it.
            self._cache.set("value", token, seconds)
        return self._remembered(token, seconds)

    def _fetch_good(self, owner: str) -> tuple[str, int]:
        """A token that was not refused. Only if the same one comes back is a new one forced."""
        token, expires_in = self._fetch_patiently(owner, force=False)
        if token not in self._refused:
            return token, expires_in
        if not self._stable or not self._refused.may_force():
            raise refused_token_error()
        self._keep_lock(owner)
        token, expires_in = self._fetch_patiently(owner, force=True)
        if token in self._refused:
            raise refused_token_error()
        return token, expires_in

    def _fetch_patiently(self, owner: str, *, force: bool) -> tuple[str, int]:
        """One fetch, and one more if it failed quickly and may well succeed in a moment."""
        begun = time.monotonic()
        try:
            return self._fetch(force)
        except (TokenError, TransportError) as error:
            if not is_transient(error) or time.monotonic() - begun > self._pace.quick:
                raise
        time.sleep(self._pace.retry)
        self._keep_lock(owner)
        return self._fetch(force)

"""The access token: fetched once for everybody who shares the cache, never in a loop.

Each fetch of a classic token invalidates the one before, and an account has as few as 2000
fetches a day (WECHAT.md 1.1), so however many threads, processes and hosts need a token, one
of them fetches it while the others wait for its result, be it a token or a refusal.
"""

import hashlib
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable
from typing import Any, TypeAlias

from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache

from ..exceptions import RefusedTokenError, TokenError, TransportError
from .errors import Treatment, describe, token_error
from .forks import renew_after_fork

Fetch: TypeAlias = Callable[[bool], tuple[str, int]]
"""``fetch(force)`` asks WeChat: (token, seconds it lives), or a TokenError or TransportError."""

# A token is replaced this long before its end, or at half its life where it has less than twice
# that: a stable token may come with 300 seconds left, and old and new work side by side for the
# five minutes around a change (WECHAT.md 1.1, 1.2).
MARGIN = 300
# How long a process trusts its own copy before it looks into the cache again.
MEMO_SECONDS = 1.0
POLL_SECONDS = 0.05
# Django's file-based cache looks and then writes in add(), so that two processes may both think
# that they hold the lock. There the holder waits this long and looks whose name stands in it.
SETTLE_SECONDS = 0.1
# How much longer than one fetch the lock lasts, so that only a dead holder loses it.
LOCK_SLACK = 5
# A second try after a transient failure, unless the first one has kept everybody waiting already.
RETRY_DELAY = 0.5
QUICK_FAILURE = 2.0
# How long a failure answers for every caller, instead of a fetch of their own each.
TRANSIENT_SECONDS = 2
REFUSAL_SECONDS = 30
# A token that is refused for ever costs three or four fetches, then none for this long. That
# keeps even a caller that never stops asking inside a quota of 2000 a day.
REFUSED_TOKEN_SECONDS = 300
REFUSED_TOKEN_MEMORY = 7200
DROPS_ALLOWED = 2
DROPS_REMEMBERED = 8
DROP_WINDOW = 60
# force_refresh: 20 a day, 30 seconds apart, otherwise WeChat does not refresh (WECHAT.md 1.2).
FORCES_ALLOWED = 20
FORCE_WINDOW = 24 * 60 * 60
FORCE_SPACING = 30
REFUSED_TOKEN_ERRCODE = 40001


def refused_token_error() -> RefusedTokenError:
    """With what is known of why every token is refused."""
    info = describe(REFUSED_TOKEN_ERRCODE)
    return RefusedTokenError(
        REFUSED_TOKEN_ERRCODE,
        "every access token is refused",
        cause=str(info.cause),
        next_step=str(info.next_step),
    )


class TokenStore:
    """One account's access token in a shared cache. Thread-safe.

    ``cache`` is a Django cache (or a ``ConnectionProxy`` to one); its keys hold the app id and
    mode, never a secret. ``fetch`` asks WeChat. ``fetch_seconds`` is the longest one fetch can
    take: a holder of the lock that dies is replaced a little after that.
    """

    def __init__(
        self,
        cache: BaseCache,
        *,
        app_id: str,
        mode: str,
        fetch: Fetch,
        fetch_seconds: float = 15,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._cache = cache
        self._prefix = f"wechat_notify:token:{mode}:{app_id}"
        self._stable = mode == "stable"
        self._fetch = fetch
        self._lock_seconds = int(fetch_seconds) + LOCK_SLACK
        self._clock = clock
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        """Forget what this process remembers; the cache stays as it is."""
        self._turn = threading.Lock()
        self._memo: tuple[str, float] = ("", 0.0)
        # A thread may put a token into the memo that it read just before another one dropped it.
        self._dropped: deque[str] = deque(maxlen=DROPS_REMEMBERED)

    def get(self) -> str:
        """A token that nobody is known to have been refused.

        Raises ``TokenError`` where WeChat refuses to give one (``RefusedTokenError`` where every
        token it gives is refused elsewhere), ``TransportError`` where it cannot be reached.
        """
        token, until = self._memo
        if token and time.monotonic() < until and token not in self._dropped:
            return token
        return self._stored() or self._wait_or_fetch()

    def drop(self, token: str) -> None:
        """Take ``token``, which a business endpoint refused, out of use.

        Does nothing where another token has taken its place already. After more than two
        different tokens in a minute, ``get`` raises ``RefusedTokenError`` for a while.
        """
        self._dropped.append(token)
        if self._cache.get(self._key("value")) != token:
            return
        # The refusal is noted and the token left where it is: between a look at the cache and a
        # deletion another process may have put a newer token there.
        refused = {**self._refused(), _digest(token): self._clock()}
        self._cache.set(self._key("refused"), refused, REFUSED_TOKEN_MEMORY)
        lately = [moment for moment in refused.values() if moment > self._clock() - DROP_WINDOW]
        if len(lately) > DROPS_ALLOWED:
            self._share_failure(refused_token_error())

    def _key(self, name: str) -> str:
        return f"{self._prefix}:{name}"

    def _stored(self) -> str:
        """The token in the cache, or "" where there is none or it was refused."""
        token = self._cache.get(self._key("value"))
        if not token or self._was_refused(token):
            return ""
        self._memo = (token, time.monotonic() + MEMO_SECONDS)
        return str(token)

    def _wait_or_fetch(self) -> str:
        """The token that another caller fetches, or this one does."""
        patience = time.monotonic() + 2 * self._lock_seconds
        with self._turn:  # One thread of this process asks the cache, the rest wait for it.
            while not (token := self._outcome() or self._fetch_alone()):
                if time.monotonic() > patience:
                    break
                time.sleep(POLL_SECONDS)
        if token:
            return token
        raise TransportError(
            "No access token in time: another process fetches it.", maybe_sent=False
        )

    def _outcome(self) -> str:
        """The stored token, or "" if there is none. Raises the failure that others met just now."""
        if token := self._stored():
            return token
        failure = self._cache.get(self._key("failure"))
        if failure:
            raise _as_error(failure)
        return ""

    def _fetch_alone(self) -> str:
        """A new token if nobody else is fetching one, else ""."""
        owner = uuid.uuid4().hex
        if not self._cache.add(self._key("lock"), owner, self._lock_seconds):
            return ""
        try:
            if not self._settled(owner):
                return ""
            # Somebody may have finished between our look and our lock.
            return self._outcome() or self._fetch_and_store(owner)
        finally:
            if self._holds_lock(owner):
                self._cache.delete(self._key("lock"))

    def _settled(self, owner: str) -> bool:
        # A ConnectionProxy hides its cache's class; a bound method knows it.
        if not isinstance(getattr(self._cache.add, "__self__", None), FileBasedCache):
            return True
        time.sleep(SETTLE_SECONDS)
        return self._holds_lock(owner)

    def _holds_lock(self, owner: str) -> bool:
        return bool(self._cache.get(self._key("lock")) == owner)

    def _keep_lock(self, owner: str) -> None:
        if self._holds_lock(owner):
            self._cache.set(self._key("lock"), owner, self._lock_seconds)

    def _fetch_and_store(self, owner: str) -> str:
        try:
            token, expires_in = self._fetch_good(owner)
        except (TokenError, TransportError) as error:
            self._share_failure(error)
            raise
        if not self._holds_lock(owner):
            # Too slow: another caller took over, and what it stored is newer than ours.
            return self._stored() or token
        seconds = max(1, expires_in - min(MARGIN, expires_in // 2))
        self._cache.set(self._key("value"), token, seconds)
        self._memo = (token, time.monotonic() + min(MEMO_SECONDS, seconds))
        return token

    def _fetch_good(self, owner: str) -> tuple[str, int]:
        """A token that was not refused. Only if the same one comes back is a new one forced."""
        token, expires_in = self._fetch_patiently(owner, force=False)
        if not self._was_refused(token):
            return token, expires_in
        self._claim_force()
        self._keep_lock(owner)
        token, expires_in = self._fetch_patiently(owner, force=True)
        if self._was_refused(token):
            raise refused_token_error()
        return token, expires_in

    def _was_refused(self, token: str) -> bool:
        return token in self._dropped or _digest(token) in self._refused()

    def _refused(self) -> dict[str, float]:
        """Digests of the tokens refused lately, with the moment of each. Never the tokens."""
        since = self._clock() - REFUSED_TOKEN_MEMORY
        refused = self._cache.get(self._key("refused")) or {}
        return {digest: moment for digest, moment in refused.items() if moment > since}

    def _claim_force(self) -> None:
        now = self._clock()
        forced = [
            at for at in self._cache.get(self._key("forced")) or [] if at > now - FORCE_WINDOW
        ]
        too_soon = bool(forced) and now - forced[-1] < FORCE_SPACING
        if not self._stable or len(forced) >= FORCES_ALLOWED or too_soon:
            raise refused_token_error()
        self._cache.set(self._key("forced"), [*forced, now], FORCE_WINDOW)

    def _fetch_patiently(self, owner: str, *, force: bool) -> tuple[str, int]:
        """One fetch, and one more if it failed quickly and may well succeed in a moment."""
        begun = time.monotonic()
        try:
            return self._fetch(force)
        except (TokenError, TransportError) as error:
            if not _is_transient(error) or time.monotonic() - begun > QUICK_FAILURE:
                raise
        time.sleep(RETRY_DELAY)
        self._keep_lock(owner)
        return self._fetch(force)

    def _share_failure(self, error: TokenError | TransportError) -> None:
        if isinstance(error, RefusedTokenError):
            seconds = REFUSED_TOKEN_SECONDS
        else:
            seconds = TRANSIENT_SECONDS if _is_transient(error) else REFUSAL_SECONDS
        self._cache.set(self._key("failure"), _as_dict(error), seconds)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _is_transient(error: TokenError | TransportError) -> bool:
    if isinstance(error, TransportError):
        return True
    return describe(error.errcode, endpoint="token").treatment is Treatment.RETRY


def _as_dict(error: TokenError | TransportError) -> dict[str, Any]:
    """A failure in a form that any cache can keep."""
    if isinstance(error, RefusedTokenError):
        return {"kind": "refused"}
    if isinstance(error, TokenError):
        return {"kind": "token", "errcode": error.errcode, "errmsg": error.errmsg}
    return {"kind": "transport", "message": str(error), "status": error.status}


def _as_error(failure: dict[str, Any]) -> TokenError | TransportError:
    if failure["kind"] == "refused":
        return refused_token_error()
    if failure["kind"] == "token":
        return token_error(failure["errcode"], failure["errmsg"])
    return TransportError(failure["message"], maybe_sent=False, status=failure["status"])

"""Access tokens as WeChat issues them, classic and stable (docs/wechat-api.md, 1)."""

import secrets
import threading
from dataclasses import dataclass

from .clock import Clock

STABLE = "stable"
CLASSIC = "classic"

LIFETIME = 7200
# An old token goes on working this long after a new one was issued, and a stable token that has
# less than this left is replaced at the next call (docs/wechat-api.md, 1.1, 1.2).
GRACE = 300
# Forced refreshes of a stable token: 20 a day, 30 seconds apart, else nothing is refreshed.
FORCED_A_DAY = 20
FORCED_APART = 30

INVALID = 40001
EXPIRED = 42001


@dataclass(slots=True)
class Token:
    """One token. ``revoked`` ones are refused at once, whatever their age."""

    value: str
    kind: str
    expires_at: float
    replaced_at: float | None = None
    revoked: bool = False


class Tokens:
    """Issues and judges the tokens of one account. Safe to share between threads.

    Tokens of the two kinds live apart: neither invalidates the other (docs/wechat-api.md, 1.2).
    """

    def __init__(self, clock: Clock, *, lifetime: float = LIFETIME, grace: float = GRACE) -> None:
        self.lifetime = lifetime
        self.grace = grace
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, Token] = {}
        self._current: dict[str, Token] = {}
        self._forced: list[tuple[str, float]] = []

    def classic(self) -> tuple[str, int]:
        """A new token and its seconds; the one before it works for ``grace`` seconds more."""
        with self._lock:
            self._replace(CLASSIC)
            return self._issue(CLASSIC)

    def stable(self, *, force: bool = False) -> tuple[str, int]:
        """The current token with the seconds it has left, or a new one near the end of its life.

        ``force`` replaces it at once, and is ignored more than 20 times a day or within
        30 seconds of the last time.
        """
        with self._lock:
            now = self._clock.time()
            token = self._current.get(STABLE)
            if token is not None and force and self._may_force(now):
                token.revoked = True
                self._forced.append((self._clock.today(), now))
                return self._issue(STABLE)
            if token is None or token.expires_at - now < min(self.grace, self.lifetime / 2):
                return self._issue(STABLE)
            return token.value, int(token.expires_at - now)

    def refusal(self, value: str) -> int:
        """0 where the token is good, else the errcode that a business call with it gets."""
        token = self._issued.get(value)
        if token is None or token.revoked:
            return INVALID
        now = self._clock.time()
        if token.replaced_at is not None and now >= token.replaced_at + self.grace:
            return INVALID
        return EXPIRED if now >= token.expires_at else 0

    def revoke(self, *, keep_serving: bool = False) -> None:
        """Refuse every token issued so far, from now on.

        The token endpoints give a new one when asked; with ``keep_serving`` the stable endpoint
        goes on handing out the refused one until it is asked with ``force_refresh``.
        """
        with self._lock:
            for token in self._issued.values():
                token.revoked = True
            if not keep_serving:
                self._current.clear()

    def _issue(self, kind: str) -> tuple[str, int]:
        token = Token(secrets.token_urlsafe(102), kind, self._clock.time() + self.lifetime)
        self._issued[token.value] = self._current[kind] = token
        return token.value, int(self.lifetime)

    def _replace(self, kind: str) -> None:
        if kind in self._current:
            self._current[kind].replaced_at = self._clock.time()

    def _may_force(self, now: float) -> bool:
        today = [at for day, at in self._forced if day == self._clock.today()]
        return len(today) < FORCED_A_DAY and (not today or now - today[-1] >= FORCED_APART)

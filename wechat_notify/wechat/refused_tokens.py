"""Which access tokens were refused lately, and how often a new one was forced."""

import hashlib
from collections import deque
from collections.abc import Callable

from .forks import PerProcess
from .shared_cache import SharedCache

REMEMBERED_SECONDS = 7200
REMEMBERED_HERE = 8
DROPS_ALLOWED = 2
DROP_WINDOW = 60
# force_refresh: 20 a day, 30 seconds apart, otherwise WeChat does not refresh (docs/wechat-api.md,
# 1.2).
FORCES_ALLOWED = 20
FORCE_WINDOW = 24 * 60 * 60
FORCE_SPACING = 30


class RefusedTokens:
    """Known to all processes by their digests, never by themselves. ``clock`` is Unix time."""

    def __init__(self, cache: SharedCache, clock: Callable[[], float]) -> None:
        self._cache = cache
        self._clock = clock
        # What this process was told, whatever another one writes into the cache.
        self._here: PerProcess[deque[str]] = PerProcess(lambda: deque(maxlen=REMEMBERED_HERE))

    def refuse_here(self, token: str) -> None:
        """Remember in this process that ``token`` was refused."""
        self._here.get().append(token)

    def refuse_everywhere(self, token: str) -> bool:
        """Tell all processes. True where it was one too many in a short time."""
        refused = {**self._known(), _digest(token): self._clock()}
        self._cache.set("refused", refused, REMEMBERED_SECONDS)
        lately = [moment for moment in refused.values() if moment > self._clock() - DROP_WINDOW]
        return len(lately) > DROPS_ALLOWED

    def refused_here(self, token: str) -> bool:
        """Whether this process was told so; costs no look into the cache."""
        return token in self._here.get()

    def __contains__(self, token: str) -> bool:
        return self.refused_here(token) or _digest(token) in self._known()

    def may_force(self) -> bool:
        """Whether a new token may be forced now. If so, it is counted as done."""
        now = self._clock()
        forced = [at for at in self._cache.get("forced") or [] if at > now - FORCE_WINDOW]
        if len(forced) >= FORCES_ALLOWED or (forced and now - forced[-1] < FORCE_SPACING):
            return False
        self._cache.set("forced", [*forced, now], FORCE_WINDOW)
        return True

    def _known(self) -> dict[str, float]:
        """Digests of the tokens refused lately, with the moment of each."""
        since = self._clock() - REMEMBERED_SECONDS
        refused = self._cache.get("refused") or {}
        return {digest: moment for digest, moment in refused.items() if moment > since}


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()

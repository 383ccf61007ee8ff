"""One account's part of a delivery run: its backend, and how much may be claimed for it now."""

import logging
import threading
import time

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..conf import settings
from ..exceptions import ConfigurationError
from ..types import Outcome, SendResult
from .breaker import Breaker
from .rate import RateLimiter

logger = logging.getLogger(__name__)


class Lane:
    """Used by the engine's one thread; ``at_rest`` alone is also read by the pool's threads.

    ``dry``: the last claim found fewer rows than were asked for. ``probing``: the account is
    coming back from a rest and one message is out to see whether it may.
    """

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.at_rest = threading.Event()
        self.dry = False
        self.probing = False
        self._breaker = Breaker(alias)
        rate = settings.RATE
        self._limiter = RateLimiter(alias, rate) if rate else None
        self._blocked_until = 0.0
        self._backend: BaseBackend | None = None
        self._told = False

    @property
    def backend(self) -> BaseBackend:
        if self._backend is None:
            self._backend = get_backend(self.alias)
        return self._backend

    @property
    def open(self) -> bool:
        """Whether there may be something to claim."""
        return not (self.dry or self.probing or self.at_rest.is_set())

    def ready(self) -> bool:
        """Whether the backend can be built. A wrong setting stops this account, not the others."""
        try:
            return self.backend is not None
        except ConfigurationError as error:
            logger.error("Account %r cannot send: %s", self.alias, error)
            self.at_rest.set()
            return False

    def grant(self, wanted: int) -> int:
        """How many rows may be claimed now, rest and rate considered."""
        if time.monotonic() < self._blocked_until:
            return 0
        allowed = self._breaker.allowance()
        if allowed == 0:
            self.at_rest.set()
            return 0
        if allowed is not None:
            self.probing = True
            wanted = min(wanted, allowed)
        return self._rated(wanted)

    def _rated(self, wanted: int) -> int:
        if self._limiter is None:
            return wanted
        granted = self._limiter.take(wanted)
        if not granted:
            self._blocked_until = time.monotonic() + self._limiter.seconds_left()
        return granted

    def claimed(self, granted: int, found: int) -> None:
        """Tell how many rows a claim of ``granted`` found."""
        self.dry = found < granted
        if self._limiter is not None:
            self._limiter.give_back(granted - found)
        if self.probing and not found:
            self._breaker.release_probe()

    def seconds_blocked(self) -> float:
        """Seconds for which RATE allows nothing; 0 where it does not hold this account back."""
        return max(0.0, self._blocked_until - time.monotonic()) if self.open else 0.0

    def rest(self, result: SendResult) -> None:
        """The answer to one message says that no other would fare better."""
        self.probing = False
        self.at_rest.set()
        rest = self._breaker.trip(result.errcode or 0, result.errmsg, endpoint=result.endpoint)
        if not self._told:  # those in flight all bring the same answer
            self._told = True
            logger.warning(
                "Account %r rests until %s: errcode %s.", self.alias, rest.until, rest.errcode
            )

    def unsent(self) -> None:
        """A claimed row was not sent after all: if it was the probe, another one may be tried."""
        if self.probing:
            self.probing = False
            self._breaker.release_probe()

    def answered(self, result: SendResult) -> None:
        """Any other outcome: while probing, an answer from WeChat ends the rest."""
        if not self.probing:
            return
        self.probing = False
        if result.outcome in (Outcome.ACCEPTED, Outcome.REFUSED) and result.errcode is not None:
            self._breaker.clear()
        else:
            self.at_rest.set()

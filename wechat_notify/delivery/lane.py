"""One account's part of a delivery run: its backend, and how much may be claimed for it now."""

import logging
import threading
import time
from functools import cached_property

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..conf import settings
from ..exceptions import ConfigurationError
from ..types import Outcome, SendResult
from .breaker import Breaker
from .rate import RateLimiter

logger = logging.getLogger(__name__)

# A run goes on while any account has something to send; so often it asks again for those that had
# nothing, or were at rest.
LOOK_AGAIN = 1.0


class Lane:
    """Used by the engine's one thread; ``at_rest`` alone is also read by the pool's threads."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.at_rest = threading.Event()
        self._rate = settings.RATE
        # Dry: the last claim found fewer rows than were asked for.
        self._dry = False
        # The account is coming back from a rest; one message is out to see whether it may.
        self._probing = False
        self._look_again_at = 0.0
        self._blocked_until = 0.0
        # Rows claimed of which the engine has not heard yet.
        self._out = 0
        self._told = False

    @cached_property
    def backend(self) -> BaseBackend:
        return get_backend(self.alias)

    @cached_property
    def _breaker(self) -> Breaker:
        return Breaker(self.alias)

    @cached_property
    def _limiter(self) -> RateLimiter | None:
        return RateLimiter(self.alias, self._rate) if self._rate else None

    @property
    def open(self) -> bool:
        """Whether it is worth asking for something to claim."""
        return not self._probing and time.monotonic() >= self._look_again_at

    def ready(self) -> bool:
        """Whether the account can be used. A wrong setting stops this one, not the others."""
        try:
            return bool(self.backend and self._breaker)
        except ConfigurationError as error:
            if not self.at_rest.is_set():
                logger.error("Account %r cannot send: %s", self.alias, error)
            self._rest()
            return False

    def grant(self, wanted: int) -> int:
        """How many rows may be claimed now, rest and rate considered."""
        if time.monotonic() < self._blocked_until:
            return 0
        resting = self.at_rest.is_set()
        if resting and self._out:
            return 0  # they must not go out when the rest ends, but come back first
        allowed = self._breaker.allowance()
        if allowed == 0:
            self._rest()
            return 0
        if resting:  # and not what a thread has set since
            self.at_rest.clear()
        if allowed is None:
            return self._rated(wanted)
        self._probing = True
        granted = self._rated(min(wanted, allowed))
        if not granted:
            self._end_probe()
        return granted

    def _rated(self, wanted: int) -> int:
        if self._limiter is None:
            return wanted
        granted = self._limiter.take(wanted)
        if not granted:
            self._blocked_until = time.monotonic() + self._limiter.seconds_left()
        return granted

    def claimed(self, granted: int, found: int) -> None:
        """Tell how many rows a claim of ``granted`` found."""
        self._out += found
        if found < granted:
            self._dry = True
            self._look_again_at = time.monotonic() + LOOK_AGAIN
        else:
            self.has_more()
        if self._limiter is not None:
            self._limiter.give_back(granted - found)
        if self._probing and not found:
            self._end_probe()

    def has_more(self) -> None:
        """There is something to claim, as far as is known."""
        self._dry = False
        self._look_again_at = 0.0

    def claims_in(self) -> float | None:
        """Seconds until there is something to claim, RATE considered. None: nothing in sight."""
        if self._dry or self._probing or self.at_rest.is_set():
            return None
        return max(0.0, self._blocked_until - time.monotonic())

    def rest(self, result: SendResult) -> None:
        """The answer to one message says that no other would fare better."""
        self._out -= 1
        self._probing = False
        self._rest()
        rest = self._breaker.trip(result.errcode or 0, result.errmsg, endpoint=result.endpoint)
        if not self._told:  # those in flight all bring the same answer
            self._told = True
            logger.warning(
                "Account %r rests until %s: errcode %s.", self.alias, rest.until, rest.errcode
            )

    def unsent(self) -> None:
        """A claimed row was not sent after all: if it was the probe, another one may be tried."""
        self._out -= 1
        if self._probing:
            self._end_probe()

    def answered(self, result: SendResult) -> None:
        """Any other outcome: while probing, an answer from WeChat ends the rest."""
        self._out -= 1
        if not self._probing:
            return
        self._probing = False
        if result.outcome in (Outcome.ACCEPTED, Outcome.REFUSED) and result.errcode is not None:
            self._told = False
            self._breaker.clear()
        else:
            self._rest()

    def _rest(self) -> None:
        self.at_rest.set()
        self._look_again_at = time.monotonic() + LOOK_AGAIN

    def _end_probe(self) -> None:
        self._probing = False
        self._breaker.release_probe()

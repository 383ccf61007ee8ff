"""One account in a delivery run: its backend, and how many messages may be sent for it now."""

import logging
import threading
import time
from datetime import timedelta
from functools import cached_property

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..conf import settings
from ..exceptions import ConfigurationError
from ..types import SendResult
from .breaker import Breaker
from .gate import Gate
from .policy import gets_through, stops_way
from .rate import RateLimiter
from .way_out import Closure, WayOut

logger = logging.getLogger(__name__)

# So many different people refused in a row with one unknown errcode: the cause is the account.
SAME_REFUSALS = 10


class Lane:
    """Used by the engine's thread only, but for ``at_rest`` and ``gate``, which all threads use.

    An account that had nothing to send, or rests, is asked again after ``interval`` seconds.
    ``width``: the most calls in flight, if that is less than the account's CONCURRENCY.
    """

    def __init__(self, alias: str, interval: float, width: int | None = None) -> None:
        self.alias = alias
        self._interval = interval
        self._width = width
        self.at_rest = threading.Event()
        self.gate = Gate()
        self.wants_probe = False
        """Whether the backend must first be asked, without a message, if WeChat answers."""
        # The last claim found fewer rows than it asked for.
        self._nothing_due = False
        # The account's rest has ended, and one message is sent to find out if it can send again.
        self._probing = False
        # The way to WeChat: why it is closed, whether a probe is in flight, and whether the
        # backend's own probe was answered. After that one message is sent as a probe.
        self._closure: Closure | None = None
        self._probing_way = False
        self._probe_passed = False
        self._ask_again_at = 0.0
        self._rate_used_up_until = 0.0
        # Claimed rows whose result has not come yet.
        self._unfinished = 0
        self._logged_rest = self._logged_closure = False
        self._refused: tuple[int, set[str]] = (0, set())

    @cached_property
    def backend(self) -> BaseBackend:
        return get_backend(self.alias)

    @cached_property
    def _breaker(self) -> Breaker:
        return Breaker(self.alias)

    @cached_property
    def _way(self) -> WayOut:
        return WayOut(self.alias)

    @cached_property
    def _limiter(self) -> RateLimiter | None:
        rate = settings.account(self.alias).rate
        return RateLimiter(self.alias, rate) if rate else None

    @cached_property
    def width(self) -> int:
        """The most calls in flight at a time."""
        width = settings.account(self.alias).concurrency
        return width if self._width is None else min(width, self._width)

    @cached_property
    def send_within(self) -> timedelta:
        """A request that starts later than this after its claim could end after the lease."""
        return timedelta(seconds=settings.LEASE - sum(settings.account(self.alias).timeout))

    @property
    def has_rate(self) -> bool:
        """Whether RATE limits the account; then only rows that can be sent at once are claimed."""
        return self._limiter is not None

    @property
    def open(self) -> bool:
        """Whether it is time to claim rows."""
        return not self._waits_for_probe and time.monotonic() >= self._ask_again_at

    @property
    def flows(self) -> bool:
        """Whether messages leave: no rest, no closure, no probe whose answer is awaited."""
        return not (self._waits_for_probe or self.at_rest.is_set() or self.gate.shut)

    @property
    def _waits_for_probe(self) -> bool:
        return self._probing or self._probing_way or self.wants_probe

    def ready(self) -> bool:
        """Whether the account can be used. A wrong setting stops this account, not the others."""
        try:
            return bool(self.backend and self._breaker and self.send_within)
        except ConfigurationError as error:
            if not self.at_rest.is_set():
                logger.error("Account %r cannot send: %s", self.alias, error)
            self._rest()
            return False

    def closure(self) -> Closure | None:
        """Why the way to WeChat is closed; None: it is open."""
        return self._way.closure()

    # -- how much may be claimed --------------------------------------------------------------

    def grant(self, wanted: int) -> int:
        """How many of ``wanted`` rows may be claimed now, as rests, the way and RATE allow."""
        if time.monotonic() < self._rate_used_up_until:
            return 0
        stopped = self.at_rest.is_set() or self.gate.shut
        if stopped and self._unfinished:
            return 0  # the threads hand these rows back first: they must not be sent as well
        allowed = self._allowed_by_way()
        if allowed is None:
            allowed = self._breaker.allowance()
            self._probing = allowed == 1
            if allowed == 0:
                self._rest()
        if allowed == 0:
            return 0
        if stopped:  # if not, a thread may have set these meanwhile
            self.at_rest.clear()
            self.gate.open()
        granted = self._within_rate(wanted if allowed is None else min(wanted, allowed))
        if not granted:
            self._end_probe()
        return granted

    def _allowed_by_way(self) -> int | None:
        """None: any number of messages; 1: one message as a probe; 0: none."""
        self._closure = self.closure()
        if self._closure is None:
            return None
        if self._closure.lasts:
            self._rest()
            return 0
        asks = self._closure.trips and self.backend.supports_probe
        if asks and not self._probe_passed:
            self.wants_probe = True
            return 0
        self._probe_passed = False
        self._probing_way = True
        return 1

    def _within_rate(self, wanted: int) -> int:
        if self._limiter is None:
            return wanted
        granted = self._limiter.take(wanted)
        if not granted:
            self._rate_used_up_until = time.monotonic() + self._limiter.seconds_left()
        return granted

    def claimed(self, granted: int, found: int) -> None:
        """Note that a claim of ``granted`` rows found so many."""
        self._unfinished += found
        if self._limiter is not None:
            self._limiter.give_back(granted - found)
        if not found:
            self._end_probe()

    def has_no_more(self) -> None:
        """Note that all rows that are due have been claimed."""
        self._nothing_due = True
        self._ask_again_at = time.monotonic() + self._interval

    def has_more(self) -> None:
        """Note that there may be rows to claim."""
        self._nothing_due = False
        self._ask_again_at = 0.0

    def claims_in(self) -> float | None:
        """Seconds until RATE allows the next claim. None: nothing is due, or may be sent."""
        if self._nothing_due or self._waits_for_probe or self.at_rest.is_set():
            return None
        return max(0.0, self._rate_used_up_until - time.monotonic())

    # -- the results of claimed rows ----------------------------------------------------------

    def unsent(self) -> None:
        """A claimed row was not sent. If it was the probe, another row can be the probe."""
        self._unfinished -= 1
        self._end_probe()

    def answered(self) -> Closure | None:
        """WeChat answered a message: end rest and closure. Returns the closure that it ended."""
        self._unfinished -= 1
        if self._probing:
            self._probing = self._logged_rest = False
            self._breaker.clear()
        return self._reopen()

    def rest(self, result: SendResult) -> None:
        """WeChat refused a message for a reason that holds for every message of the account."""
        self._unfinished -= 1
        self._probing = False
        self._reopen()
        self._rest()
        rest = self._breaker.trip(result.errcode or 0, result.errmsg, endpoint=result.endpoint)
        if not self._logged_rest:  # every message in flight brings the same answer
            self._logged_rest = True
            until = rest.until.isoformat(timespec="seconds")
            logger.warning(
                "Account %r rests until %s: errcode %s, %s",
                self.alias,
                until,
                rest.errcode,
                rest.errmsg,
            )

    def unanswered(self) -> None:
        """A message did not get through. Whose fault that is the next answer tells."""
        self._unfinished -= 1

    def way_refused(self, result: SendResult) -> None:
        """WeChat refused a message for a reason that holds for every message of this host."""
        self._unfinished -= 1
        self._close(self._way.refused(result))

    def way_failed(self, rows: list[int], result: SendResult) -> None:
        """No message in flight got through. ``rows``: those that failed for the first time."""
        self._close(self._way.failed(rows, result))

    def probe_begins(self) -> None:
        """The backend's own probe is about to be sent."""
        self.wants_probe, self._probing_way = False, True

    def probed(self, result: SendResult | None) -> None:
        """The answer to the backend's own probe; None: it was not sent."""
        self._probing_way = False
        if result is None:
            return
        self._probe_passed = gets_through(result)
        if self._probe_passed:
            self.has_more()
        else:
            refused = stops_way(result)
            self._close(self._way.refused(result) if refused else self._way.unanswered(result))

    def same_refusals(self, openid: str, result: SendResult) -> bool:
        """Note an answer for this person. Whether many people in a row got the same refusal."""
        errcode, people = self._refused
        if not result.errcode:
            people = set()
        elif result.errcode != errcode:
            people = {openid}
        else:
            people.add(openid)
        self._refused = (result.errcode or 0, people)
        return len(people) >= SAME_REFUSALS

    def _reopen(self) -> Closure | None:
        self._probing_way = False
        before, self._closure = self._closure, None
        if before is not None:
            self._way.open()
            self._logged_closure = False
        return before

    def _close(self, closure: Closure) -> None:
        self._closure = closure
        self._probing = self._probing_way = False
        if closure.lasts:
            self._rest()
            if not self._logged_closure:
                self._logged_closure = True
                logger.warning(
                    "Account %r: no message gets through from %s since %s: %s The worker "
                    "tries again by itself.",
                    self.alias,
                    closure.host,
                    closure.since.isoformat(timespec="seconds"),
                    closure.in_words,
                )

    def _rest(self) -> None:
        self.at_rest.set()
        self._ask_again_at = time.monotonic() + self._interval

    def _end_probe(self) -> None:
        if self._probing:
            self._probing = False
            self._breaker.release_probe()
        self._probing_way = False

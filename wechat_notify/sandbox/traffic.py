"""What clients do, counted: calls, connections, requests in flight, daily quota."""

import secrets
import threading
from collections import Counter, OrderedDict
from typing import Any

from .clock import Clock
from .faults import SEND_PATH

RIDS_KEPT = 1000

# Calls a day of a new account: 100,000 template messages, 2,000 classic and 500,000 stable
# tokens (docs/wechat-api.md, 1.1, 1.2, 2.3). The other APIs have theirs too; what is not listed
# here is not limited.
DAILY_LIMITS = {
    SEND_PATH: 100_000,
    "/cgi-bin/token": 2_000,
    "/cgi-bin/stable_token": 500_000,
}


class Traffic:
    """Counters of the API alone: phone pages and the control API do not count.

    ``calls`` by path; ``connections`` that carried at least one API call; ``max_in_flight`` the
    most requests that were being answered at the same moment. Safe to share between threads.
    """

    def __init__(self, clock: Clock) -> None:
        self.limits = dict(DAILY_LIMITS)
        self._clock = clock
        self._lock = threading.Lock()
        self.in_flight = 0
        self._forget()

    def _forget(self) -> None:
        self.calls: Counter[str] = Counter()
        self.connections = 0
        self.max_in_flight = self.in_flight
        self._used: Counter[str] = Counter()
        self._day = self._clock.today()
        self._failures: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def enter(self, path: str, *, new_connection: bool) -> None:
        """A request has come."""
        with self._lock:
            self.calls[path] += 1
            self.connections += new_connection
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)

    def leave(self) -> None:
        """It has been answered, or never will be."""
        with self._lock:
            self.in_flight -= 1

    @property
    def token_fetches(self) -> int:
        """Calls to either token endpoint."""
        return self.calls["/cgi-bin/token"] + self.calls["/cgi-bin/stable_token"]

    def spend(self, path: str) -> bool:
        """Take one call from today's quota; False where it is used up."""
        with self._lock:
            self._new_day()
            if self._used[path] >= self.limits.get(path, self._used[path] + 1):
                return False
            self._used[path] += 1
            return True

    def used(self, path: str) -> int:
        """Calls taken from today's quota."""
        with self._lock:
            self._new_day()
            return self._used[path]

    def _new_day(self) -> None:
        today = self._clock.today()
        if today != self._day:
            self._day = today
            self._used.clear()

    def record_failure(self, details: dict[str, Any]) -> str:
        """Keep what is known of a refused call, and give it a request id to ask for it by."""
        rid = f"{int(self._clock.time()):08x}-{secrets.token_hex(4)}-{secrets.token_hex(4)}"
        with self._lock:
            self._failures[rid] = details
            if len(self._failures) > RIDS_KEPT:
                self._failures.popitem(last=False)
        return rid

    def failure(self, rid: str) -> dict[str, Any] | None:
        """What was kept under a request id."""
        with self._lock:
            return self._failures.get(rid)

    def clear(self) -> None:
        """Start counting anew."""
        with self._lock:
            self._forget()

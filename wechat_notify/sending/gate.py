"""Stops new calls of one account as soon as one call gets no answer, until another call gets one.

So when WeChat stops answering, only the messages that were in flight at that moment are in doubt,
however many threads send.
"""

import threading
import time
from collections.abc import Callable

# How often a waiting thread checks whether its message must still be sent.
CHECK_SECONDS = 0.1


class Gate:
    """Passed by each thread before and after a call. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._in_flight = 0
        self._last_failed = False
        self._shut = False
        self._passed_at = 0.0

    @property
    def shut(self) -> bool:
        """Whether every call that was in flight has ended without an answer."""
        return self._shut

    def enter(self, must_not_send: Callable[[], bool]) -> float | None:
        """Wait until a call is allowed. The time of it; None: the message must not be sent now."""
        if must_not_send():  # before the lock, for which the other threads would wait meanwhile
            return None
        with self._lock:
            while self._last_failed and not self._shut:
                self._changed.wait(CHECK_SECONDS)
                if must_not_send():
                    return None
            if self._shut:
                return None
            self._in_flight += 1
            return time.monotonic()

    def leave(self, entered: float, *, got_through: bool) -> bool:
        """The call has ended. Whether another call got through since it ``entered``."""
        with self._lock:
            self._in_flight -= 1
            others_passed = self._passed_at >= entered
            some_may_wait = self._last_failed
            self._last_failed = not got_through
            if got_through:
                self._passed_at = time.monotonic()
            elif not self._in_flight:
                self._shut = True
            if some_may_wait:
                self._changed.notify_all()
            return others_passed

    def shut_down(self) -> None:
        """Allow no more calls."""
        with self._lock:
            self._shut = True
            self._changed.notify_all()

    def open(self) -> None:
        """Allow calls again."""
        with self._lock:
            self._last_failed = self._shut = False
            self._changed.notify_all()

"""Delivering for a limited time. No timer ends it: where this is used, no thread may run."""

import threading
import time
from typing import Any

from ..sending.engine import deliver
from ..sending.report import Report


def deliver_within(seconds: float | None, **options: Any) -> Report:
    """``deliver(**options)`` that claims no more rows after ``seconds``; None: no such limit."""
    return deliver(**options, stop=None if seconds is None else _Deadline(seconds))


class _Deadline(threading.Event):
    """Is set by itself after so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._ends_at = time.monotonic() + seconds

    def is_set(self) -> bool:
        return super().is_set() or time.monotonic() >= self._ends_at

    def wait(self, timeout: float | None = None) -> bool:
        left = max(0.0, self._ends_at - time.monotonic())
        super().wait(left if timeout is None else min(timeout, left))
        return self.is_set()

"""The thread that looks and tells. Whoever delivers starts it once a minute, and sends on.

A mail server that hangs, or a site's receiver that calls somebody, delays no message: neither is
ever waited for by a thread that sends.
"""

import atexit
import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

from django.db import connections

from ..models import Alert
from ..signals import alert_closed, alert_opened
from ..wechat import threads
from ..wechat.forks import NoFork, PerProcess
from .comparing import Changes, look
from .mailing import send_due

logger = logging.getLogger(__name__)

EXIT_SECONDS = 5.0
"""A command that ends, such as ``wechat_deliver`` from cron, waits so long for its thread."""


def begin() -> None:
    """Look and tell, in a thread of its own; in a test, at once."""
    if threads.in_tests():
        tell(nullcontext())
    else:
        _teller.get().start()


def tell(connected: AbstractContextManager[Any]) -> None:
    """Look once, send the signals of what has changed, and the e-mails that are due.

    ``connected``: the block within which the database may be used.
    """
    with connected:
        changes = look()
        _send_signals(changes)
    send_due(connected)


def _send_signals(changes: Changes) -> None:
    for alert in changes.opened:
        logger.warning("Alert for account %r: %s", alert.account, alert)
        alert_opened.send_robust(Alert, alert=alert)
    for alert in changes.closed:
        logger.warning("Over for account %r: %s", alert.account, alert)
        alert_closed.send_robust(Alert, alert=alert)


class _Teller:
    """The thread of this process, while it looks and tells."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connected = _Connected()
        self._thread: threading.Thread | None = None
        self._is_failing = False

    def start(self) -> None:
        """Start it, unless it is still at work. Where no thread can run, another process tells."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threads.start(self._run, "wechat-notify-alerts")

    def end(self) -> None:
        """Wait for it for a few seconds. What it has not sent, another process sends."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            thread.join(EXIT_SECONDS)

    def _run(self) -> None:
        try:
            tell(self._connected)
            self._is_failing = False
        except Exception:
            if not self._is_failing:
                logger.exception("Alerts could not be looked at. It is tried again.")
            self._is_failing = True


class _Connected(NoFork):
    """Within the block the thread has connections to databases, and the process does not fork."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        connections.close_all()
        super().__exit__(kind, error, traceback)


_teller = PerProcess(_Teller)


def _end() -> None:
    _teller.get().end()


atexit.register(_end)

"""Receipts settle themselves: the process that has stored some joins them to their rows soon."""

import logging
import threading
import time

from django.db import connections

from ..models import DATABASE_TROUBLE
from ..wechat import threads
from ..wechat.forks import NoFork, PerProcess
from .settling import settle_in_passing

logger = logging.getLogger(__name__)

# After the last receipt, look so many seconds later: WeChat may report before the message's own
# row is written, and a worker writes once a second.
DELAYS = (1.0, 2.5, 5.0)
RECEIPTS_AT_ONCE = 20_000


class _Settler:
    """A thread that ends when no receipt has come for a few seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._connected = NoFork()
        self._runs = False
        self._stored = 0

    def note(self) -> bool:
        """A receipt was stored. False: this process cannot run a thread."""
        with self._lock:
            self._stored += 1
            if self._runs:
                return True
            self._runs = threads.start(self._run, "wechat-notify-receipts") is not None
            return self._runs

    def _run(self) -> None:
        seen, looks = -1, 0
        while True:
            with self._lock:
                if self._stored != seen:
                    seen, looks = self._stored, 0
                elif looks == len(DELAYS):
                    self._runs = False
                    return
            time.sleep(DELAYS[looks] - (DELAYS[looks - 1] if looks else 0))
            looks += 1
            self._settle()

    def _settle(self) -> None:
        with self._connected:
            try:
                settle_in_passing(limit=RECEIPTS_AT_ONCE)
            except DATABASE_TROUBLE:
                logger.warning("Receipts could not be joined to their rows now.", exc_info=True)
            except Exception:
                logger.exception("Receipts could not be joined to their rows.")
            finally:
                connections.close_all()


_settler = PerProcess(_Settler)


def settle_soon() -> None:
    """Join the receipts that were stored just now, within seconds and not in this request.

    If the process can run no thread, they are joined in the request, once a second at most.
    """
    if not (threads.threads_run() and _settler.get().note()):
        settle_in_passing()

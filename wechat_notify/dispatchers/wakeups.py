"""Wakes workers as soon as messages are written: PostgreSQL's LISTEN and NOTIFY.

A pooler that lends a connection for one transaction only, such as PgBouncer in transaction mode,
accepts LISTEN and delivers nothing. So a listener sends an echo to itself, and counts on being
woken only after it has heard it. Where nothing is heard, and on other databases, workers look for
messages at their interval.
"""

import logging
import selectors
import threading
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Any

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from ..models import database

logger = logging.getLogger(__name__)

CHANNEL = "wechat_notify"
"""A channel belongs to one database, so the sites of one server do not wake each other."""

ECHO_SECONDS = 5.0
"""An echo that has not come by then will not come."""
PROVE_EVERY_SECONDS = 60.0
"""A firewall may have dropped an idle connection without telling either end."""
CONNECT_SECONDS = 5
RETRY_SECONDS = 5.0
RETRY_SILENT_SECONDS = 600.0
"""Until the next attempt to listen: after an error, and where nothing was heard."""

# ``stop`` is looked at so often. It cannot be waited for together with a connection.
_SLICE_SECONDS = 0.1

_failing: set[str] = set()


def notify_workers(using: str) -> None:
    """Wake all workers that listen on this database. Call it after the commit.

    One statement on PostgreSQL, none on other databases. NOTIFY within the transaction that writes
    the messages would take a lock at its commit that all such transactions share.

    An error of the database is not raised, since workers look by themselves, too. It is logged
    once, until a call has succeeded again.
    """
    connection = connections[using]
    if connection.vendor != "postgresql":
        return
    try:
        _execute(connection, f"NOTIFY {CHANNEL}")
    except Error as error:
        if using not in _failing:
            _failing.add(using)
            logger.warning("Workers could not be woken; they find the messages later. %s", error)
    else:
        _failing.discard(using)


class Listener:
    """Hears ``notify_workers()`` within its ``with`` block, on a connection of its own.

    ``hears`` says whether this is proven; if not, messages may be written and nobody is woken.
    It is proven again every ``prove_every`` seconds of waiting. For one thread.
    """

    def __init__(self, *, prove_every: float = PROVE_EVERY_SECONDS) -> None:
        self.hears = False
        self._prove_every = prove_every
        # Not CHANNEL: LISTEN through a pooler stays behind on a connection that others use later.
        # They would be sent every wake-up, and keep them in memory.
        self._echo = f"{CHANNEL}_{uuid.uuid4().hex}"
        self._line: _Line | None = None
        self._asked_at: float | None = None
        self._proven_at = 0.0
        self._retries_at = 0.0
        self._told = False

    def __enter__(self) -> "Listener":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def wait(self, seconds: float, stop: threading.Event) -> bool:
        """Wait for so long, or until ``stop`` is set. True: look for messages now.

        That is when the worker was woken, and when it may have missed it: ``hears`` has changed.
        Raises no error of the database.
        """
        if database().vendor != "postgresql":
            stop.wait(seconds)
            return False
        ends = time.monotonic() + seconds
        while not stop.is_set() and (left := ends - time.monotonic()) > 0:
            pause = self._retries_at - time.monotonic()
            if self._line is None and pause > 0:
                stop.wait(min(pause, left))
                continue
            try:
                if self._listen(min(left, _SLICE_SECONDS)):
                    return True
            except Error as error:
                self._give_up(f"It cannot listen: {error}".rstrip(), RETRY_SECONDS)
                return True
        return False

    def _listen(self, seconds: float) -> bool:
        """``wait()`` for a moment. Raises the database's errors."""
        if self._line is None:
            self._line = _Line()
            self._line.listen(self._echo)
            self._ask()
        heard = self._line.read(seconds)
        changed = self._prove(self._line) if self._echo in heard else self._keep_proving()
        return changed or CHANNEL in heard

    def _ask(self) -> None:
        """Send the echo over Django's connection.

        Over the listening one, a pooler would deliver it together with the statement's result.
        """
        _execute(database(), f"NOTIFY {self._echo}")
        self._asked_at = time.monotonic()

    def _prove(self, line: "_Line") -> bool:
        """The echo has come. True: for the first time on this connection."""
        self._asked_at, self._proven_at = None, time.monotonic()
        if self.hears:
            return False
        line.listen(CHANNEL)
        self.hears, self._told = True, False
        return True

    def _keep_proving(self) -> bool:
        """The echo has not come. True: it should have, so this listener has given up."""
        now = time.monotonic()
        if self._asked_at is None:
            if now - self._proven_at >= self._prove_every:
                self._ask()
        elif now - self._asked_at >= ECHO_SECONDS:
            self._give_up(
                "NOTIFY does not arrive here, as through a pooler in transaction mode (PgBouncer).",
                RETRY_SILENT_SECONDS,
            )
            return True
        return False

    def _give_up(self, why: str, pause: float) -> None:
        self._close()
        self._retries_at = time.monotonic() + pause
        if not self._told:
            self._told = True
            logger.warning(
                "The worker is not woken, and looks for messages at its interval. %s", why
            )

    def _close(self) -> None:
        line, self._line = self._line, None
        self.hears, self._asked_at = False, None
        if line is not None:
            line.close()


class _Line:
    """The listening connection. Opened by ``listen()``, which like ``read()`` raises its errors."""

    def __init__(self) -> None:
        self._own = database().copy()
        options = self._own.settings_dict["OPTIONS"]
        # A connection of Django's pool would be missing there for as long as the worker runs.
        options.pop("pool", None)
        options.setdefault("connect_timeout", CONNECT_SECONDS)

    def listen(self, channel: str) -> None:
        _execute(self._own, f"LISTEN {channel}")

    def read(self, seconds: float) -> set[str]:
        """The channels that were notified until now, or within so many seconds."""
        raw: Any = self._own.connection
        with self._own.wrap_database_errors, selectors.DefaultSelector() as selector:
            selector.register(raw, selectors.EVENT_READ)
            return _notified(raw) if selector.select(seconds) else set()

    def close(self) -> None:
        with suppress(Error):
            self._own.close()


def _notified(raw: Any) -> set[str]:
    """The channels of what has arrived on a connection of psycopg 2 or 3."""
    if hasattr(raw, "pgconn"):
        # Not raw.notifies(): it knows no timeout before psycopg 3.2.
        raw.pgconn.consume_input()
        return {one.relname.decode() for one in iter(raw.pgconn.notifies, None)}
    raw.poll()
    channels = {one.channel for one in raw.notifies}
    raw.notifies.clear()
    return channels


def _execute(connection: BaseDatabaseWrapper, statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)

"""What must not be carried into a forked child: sockets, and locks another thread may have held.

uWSGI forks its workers without Python's at-fork hooks, unless ``py-call-osafterfork`` is set. So
the process id is compared wherever such a thing is used.
"""

import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class PerProcess(Generic[_T]):
    """What ``make()`` returns, made once in each process that asks for it. Thread-safe.

    A forked child never gets its parent's. Of two threads that ask first, both may call ``make``;
    both get the same result.
    """

    def __init__(self, make: Callable[[], _T]) -> None:
        self._make = make
        self._made: dict[int, _T] = {}

    def get(self) -> _T:
        """This process's own."""
        pid = os.getpid()
        try:
            return self._made[pid]
        except KeyError:
            return self._first(pid)

    def forget(self) -> None:
        """Have it made again; for tests."""
        self._made.clear()

    def _first(self, pid: int) -> _T:
        made = self._made.setdefault(pid, self._make())
        for other in list(self._made):
            if other != pid:
                # Forgotten and not closed: it is the parent's.
                self._made.pop(other, None)
                _tell_of_missed_hooks()
        return made


def has_ended(process: int) -> bool:
    """Whether no process of this host has this number."""
    if os.name != "posix":  # elsewhere the signal 0 ends the process
        return False
    try:
        os.kill(process, 0)
    except OSError as error:
        return isinstance(error, ProcessLookupError)
    return False


class NoFork:
    """Keeps the process from being forked within the block, in which a thread has connections.

    A child would get them too. SQLite's manual forbids that ("How To Corrupt An SQLite Database
    File", 2.6): the child may wait for a lock for ever. MySQL's client would end the connection.
    One thread at a time is in the block. ``hurry`` asks it to leave; a fork that has waited for two
    seconds happens nevertheless.
    """

    WAIT_SECONDS = 2.0
    STEP_SECONDS = 0.05

    _all: "weakref.WeakSet[NoFork]" = weakref.WeakSet()
    _held = threading.local()

    def __init__(self, hurry: Callable[[], None] | None = None) -> None:
        self._lock = threading.Lock()
        self._hurry = hurry
        self._inside: threading.Thread | None = None
        self._all.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()
        self._inside = threading.current_thread()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._inside = None
        self._lock.release()

    def _wait(self) -> bool:
        """Wait until no thread is in the block. True: none will enter before the fork."""
        if self._inside is threading.current_thread():
            return False
        ends = time.monotonic() + self.WAIT_SECONDS
        while not self._lock.acquire(timeout=self.STEP_SECONDS):
            if time.monotonic() > ends:
                return False
            if self._hurry is not None:
                self._hurry()
        return True

    @classmethod
    def before(cls) -> None:
        """Called before a fork."""
        cls._held.blocks = [block for block in list(cls._all) if block._wait()]

    @classmethod
    def after_in_parent(cls) -> None:
        """Called in the parent afterwards."""
        for block in cls._held.__dict__.pop("blocks", []):
            block._lock.release()

    @classmethod
    def after_in_child(cls) -> None:
        """The parent's threads are not in the child, and so nobody would leave their blocks."""
        cls._all.clear()


def missed_hooks() -> bool:
    """Whether this process was forked, after this module was imported, without at-fork hooks.

    What this app cannot renew was then carried over as well: the connections of a database or
    cache, the locks of ``logging``, and threads that look alive and are not.
    """
    return hasattr(os, "register_at_fork") and os.getpid() != _Hooks.ran_in


class _Hooks:
    ran_in = os.getpid()
    missing_told = False


def _note_hooks() -> None:
    _Hooks.ran_in = os.getpid()


def _tell_of_missed_hooks() -> None:
    if missed_hooks() and not _Hooks.missing_told:
        _Hooks.missing_told = True
        logger.warning(
            "This process was forked without Python's at-fork hooks. Connections to WeChat were "
            "opened anew, but other libraries may still share theirs with the parent process. "
            "With uWSGI, set py-call-osafterfork = true."
        )


if hasattr(os, "register_at_fork"):  # Windows has no fork.
    os.register_at_fork(after_in_child=_note_hooks)
    os.register_at_fork(
        before=NoFork.before,
        after_in_parent=NoFork.after_in_parent,
        after_in_child=NoFork.after_in_child,
    )

"""Whether this process can run a thread of its own beside what its caller does."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from .forks import PerProcess

logger = logging.getLogger(__name__)


AGAIN_SECONDS = 60.0
"""A process that could not start a thread, perhaps for having too many, tries it again later."""


class _Here:
    """What this process has found out about its threads."""

    def __init__(self) -> None:
        self.told = False
        self._never = not _uwsgi_runs_threads()
        self._refused_at = -AGAIN_SECONDS

    @property
    def refused(self) -> bool:
        return self._never or time.monotonic() - self._refused_at < AGAIN_SECONDS

    def note_refusal(self) -> None:
        self._refused_at = time.monotonic()


_here = PerProcess(_Here)


def threads_run() -> bool:
    """Whether a thread that is started now goes on when the caller has returned.

    False in uWSGI without ``enable-threads``, where a thread stands still between two requests;
    where one could not be started; and in tests (``in_tests``).
    """
    return not in_tests() and not threads_refused()


def threads_refused() -> bool:
    """Whether this process cannot run threads, tests left aside. Logged once."""
    here = _here.get()
    if here.refused and not here.told:
        here.told = True
        logger.warning(
            "This process cannot run threads of its own, so a request waits for what it sends. "
            "With uWSGI, set enable-threads = true."
        )
    return here.refused


def forks_later() -> bool:
    """Whether this is the process of uWSGI that loads the application, and then forks the workers.

    uWSGI forks without Python's hooks: the workers would get the connections of its threads.
    """
    uwsgi = _uwsgi()
    return uwsgi is not None and not any(
        getattr(uwsgi, name, int)() for name in ("worker_id", "mule_id", "i_am_the_spooler")
    )


def in_tests() -> bool:
    """Whether Django's ``setup_test_environment()`` has been called.

    A thread that outlives a test would disturb the next one.
    """
    # Only a test has imported this module. Django has no public name for it.
    state = getattr(sys.modules.get("django.test.utils"), "_TestState", None)
    return hasattr(state, "saved_data")


def start(run: Callable[[], None], name: str) -> threading.Thread | None:
    """Start a daemon thread. None: this process cannot; then ``threads_run()`` is False.

    Or the process is about to end.
    """
    thread = threading.Thread(target=run, name=name, daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        # Python 3.12 starts none while it ends, which says nothing about this server.
        if "shutdown" not in str(error):
            _here.get().note_refusal()
        return None
    return thread


def _uwsgi() -> Any:
    """The module that uWSGI gives to the applications it runs; None outside of it."""
    try:
        return import_module("uwsgi")
    except ImportError:
        return None


def _uwsgi_runs_threads() -> bool:
    """uWSGI's options ``enable-threads`` and ``threads``; True outside of uWSGI.

    Without them uWSGI gives the interpreter to Python only while it handles a request.
    """
    options: Mapping[Any, Any] | None = getattr(_uwsgi(), "opt", None)
    if options is None:
        return True
    given = {_text(name): value for name, value in options.items()}
    return any(_is_on(given.get(name)) for name in ("enable-threads", "threads", "gevent"))


def _is_on(value: Any) -> bool:
    return value is True or _text(value).lower() not in ("", "0", "false", "no", "off", "none")


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)

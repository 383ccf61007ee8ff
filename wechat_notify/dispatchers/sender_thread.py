"""The thread that sends for ``BackgroundDispatcher``. It is a worker, and a guest of its process.

It sends what this process has handed over. One process at a time, the caretaker, sends whatever
else is due. While there is nothing to do, it sleeps until the next message is due, holds no
connection, and looks into the database once a minute, in one process of all that share the cache.
"""

import atexit
import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from django.core.cache import caches
from django.db import connections
from django.utils import timezone

from .. import duties
from ..conf import settings
from ..models import DATABASE_TROUBLE, SendLog
from ..receipts.settling import settle_in_passing
from ..sending import engine
from ..sending.next_moment import next_moment
from ..sending.report import Report
from ..sending.wanted import Key, Wanted
from ..wechat import threads
from ..wechat.forks import NoFork, PerProcess
from ..wechat.shared_cache import cache_key
from .caretaker import Caretaker
from .signs_of_life import BACKGROUND, TASK, WORKER, SignOfLife, seen_lately

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0
# At random, so that the processes of a site do not all look at the same moment.
LOOK_JITTER = 5.0
# After an error, or if messages are due and none can be sent: doubled each time.
TROUBLE_FIRST = 1.0
TROUBLE_MOST = 30.0
# A script that ends waits so long for what it has handed over, and any process for what is in
# flight.
EXIT_SECONDS = 3.0
IN_FLIGHT_SECONDS = 2.0
# So long the messages of one context may keep another's waiting.
TURN_SECONDS = 5.0
ASK_AGAIN_SECONDS = 60.0


class Settings(Protocol):
    """What the thread needs of its dispatcher."""

    threads: int

    def all_contexts(self) -> Iterable[Hashable]: ...
    def entered(self, context: Hashable) -> AbstractContextManager[None]: ...


@dataclass(frozen=True)
class _Run:
    """A run of the engine that goes on at present."""

    context: Hashable
    handed: frozenset[Key]
    """The notifications that were handed over for it."""
    wanted: Wanted
    stop: threading.Event = field(default_factory=threading.Event)
    started_at: float = field(default_factory=time.monotonic)


class SenderThread:
    """This process's thread; it runs from the first message or request on."""

    def __init__(self) -> None:
        self.serves_requests = False
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._ends = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._connected = NoFork(self._stop_run)
        self._asked_at = -ASK_AGAIN_SECONDS
        # Notifications by context that were handed over and are not done.
        self._handed: dict[Hashable, set[Key]] = {}
        self._run: _Run | None = None
        self._due: dict[Hashable, datetime] = {}
        self._looks_at = 0.0
        # The first time, whoever has looked, because a site that was restarted goes on at once;
        # and until it is known which contexts there are.
        self._must_look = True
        self._troubles = 0
        # What went wrong in this turn.
        self._errors: list[Exception] = []

    # -- called in the threads of requests ----------------------------------------------------

    @property
    def is_running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def may_start(self) -> bool:
        """Whether nobody asked within a minute: not every request need find out why it cannot."""
        now = time.monotonic()
        if now - self._asked_at < ASK_AGAIN_SECONDS:
            return False
        self._asked_at = now
        return True

    def start(self, dispatcher: Settings) -> bool:
        """Start the thread unless it runs. False: it cannot run here, or the process ends."""
        if self.is_running:
            return True
        with self._lock:
            if not self.is_running and not self._ends.is_set():
                self._thread = threads.start(lambda: self._loop(dispatcher), "wechat-notify")
        return self.is_running

    def hand_over(self, dispatcher: Settings, context: Hashable, notifications: set[Key]) -> bool:
        """Have these notifications' rows sent now. False: the thread cannot run here."""
        if not self.start(dispatcher):
            return False
        with self._lock:
            self._handed.setdefault(context, set()).update(notifications)
            run = self._run
        if run is not None and run.context == context:
            run.wanted.add(notifications)
        self._woken.set()
        return True

    # -- called when Python exits -------------------------------------------------------------

    def end(self) -> None:
        """Finish within a few seconds, and leave the rest to other processes."""
        thread = self._thread
        if thread is None or not thread.is_alive():
            return
        self._ends.set()
        self._woken.set()
        if not self.serves_requests:
            thread.join(EXIT_SECONDS)
        self._stop.set()
        self._stop_run()
        thread.join(IN_FLIGHT_SECONDS)
        self._tell_of_the_rest()

    def _stop_run(self) -> None:
        """Have what is in flight finished, and claim no more."""
        with self._lock:
            run = self._run
        if run is not None:
            run.stop.set()

    def _tell_of_the_rest(self) -> None:
        with self._lock:
            begun = self._run.handed if self._run is not None else frozenset()
            left = [pk for _account, pk in begun.union(*self._handed.values())]
        if not left:
            return
        rows = SendLog.objects.filter(notification__in=left, status__in=SendLog.OPEN)
        with suppress(*DATABASE_TROUBLE):
            if count := rows.exclude(due_at__gt=timezone.now()).count():
                logger.warning(
                    "This process ended before WeChat had accepted %d messages. A process that "
                    "serves requests goes on with them, or manage.py wechat_deliver.",
                    count,
                )

    # -- the thread ---------------------------------------------------------------------------

    def _loop(self, dispatcher: Settings) -> None:
        while not self._stop.is_set() and (self._handed or not self._ends.is_set()):
            self._woken.clear()
            with self._connected:
                wait = self._turn(dispatcher)
            if not self._ends.is_set():
                self._woken.wait(wait)

    def _turn(self, dispatcher: Settings) -> float:
        """One round of work. Returns the seconds until the next one, and raises nothing."""
        stuck: set[Hashable] = set()
        with self._contained():
            stuck = self._work(dispatcher)
        with self._contained():
            connections.close_all()
        errors, self._errors = self._errors, []
        wait = self._until_due(stuck)
        if not (stuck or errors):
            self._troubles = 0
            return max(0.0, min(wait, self._looks_at - time.monotonic()))
        again = self._trouble()
        for error in errors:
            logger.warning(
                "Sending in the background was interrupted. It goes on in %g s.",
                again,
                exc_info=error if self._troubles == 1 else None,
            )
        return min(wait, again)

    @contextmanager
    def _contained(self) -> Iterator[None]:
        """An error within is noted, and the work for other contexts goes on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - _turn() logs it
            self._errors.append(error)

    def _work(self, dispatcher: Settings) -> set[Hashable]:
        """Send what was handed over and what is due. Returns the contexts that could not send."""
        with self._contained():
            self._look(dispatcher)
        now = timezone.now()
        due = [context for context, moment in self._due.items() if moment <= now]
        stuck = set()
        for context in dict.fromkeys([*self._handed, *due]):
            goes_on = False
            with self._contained(), dispatcher.entered(context):
                goes_on = self._deliver(dispatcher, context)
            if not goes_on:
                stuck.add(context)
                connections.close_all()  # the next one must not meet a connection that is broken
        duties.run_due()  # afterwards: somebody waits for the messages
        return stuck

    def _look(self, dispatcher: Settings) -> None:
        """Once a minute, and in one process: find out when messages are due, whoever's they are."""
        if time.monotonic() < self._looks_at:
            return
        aliases = settings.aliases
        SignOfLife(BACKGROUND, aliases).give()
        if caches[settings.CACHE].add(cache_key("looked"), 1, LOOK_SECONDS - LOOK_JITTER):
            self._must_look = True
        if self._must_look:  # at the first time too: a site that was restarted goes on at once
            for context in dispatcher.all_contexts():
                # Where it cannot be read: now, so that it is tried at each turn until it can.
                moment: datetime | None = timezone.now()
                with self._contained(), dispatcher.entered(context):
                    moment = next_moment(aliases, _bulk_of_workers())
                self._note_due(context, moment)
        self._must_look = False
        self._looks_at = time.monotonic() + LOOK_SECONDS + random.uniform(0, LOOK_JITTER)  # noqa: S311

    def _deliver(self, dispatcher: Settings, context: Hashable) -> bool:
        """One run for a context. False: messages are due, and none could be sent."""
        left = _bulk_of_workers()
        with Caretaker(context) as caretaker:
            with self._lock:
                handed = frozenset(self._handed.pop(context, ()))
                if not (handed or caretaker.is_this):
                    self._due.pop(context, None)  # the caretaker sends it
                    return True
                wanted = Wanted(None if caretaker.is_this else handed, leaves_bulk=left)
                run = self._run = _Run(context, handed, wanted)
                if self._stop.is_set():
                    run.stop.set()
            try:
                handled = self._carry_out(run, dispatcher.threads, caretaker.renew)
                moment = next_moment(settings.aliases, left)
            except Exception:
                run.stop.set()  # not to its end
                raise
            finally:
                self._end_run(run)
        self._note_due(context, moment)
        waits = moment is not None and moment <= timezone.now()
        return bool(handled) or not waits or not caretaker.is_this

    def _carry_out(self, run: _Run, width: int, renew: Callable[[], None]) -> int:
        """Let the engine send. Returns how many messages it has handled."""
        sign = SignOfLife(BACKGROUND, settings.aliases)

        def progress(report: Report) -> None:
            sign.give()
            renew()
            duties.run_due()
            if time.monotonic() - run.started_at > TURN_SECONDS and self._others_wait(run):
                run.stop.set()

        report = engine.deliver(wanted=run.wanted, width=width, stop=run.stop, progress=progress)
        settle_in_passing()  # afterwards: somebody waits for the message
        return report.handled

    def _end_run(self, run: _Run) -> None:
        with self._lock:
            self._run = None
            if run.stop.is_set() and run.handed:
                self._handed.setdefault(run.context, set()).update(run.handed)

    def _others_wait(self, run: _Run) -> bool:
        now = timezone.now()
        waiting = {*self._handed, *(one for one, moment in self._due.items() if moment <= now)}
        return bool(waiting - {run.context})

    def _note_due(self, context: Hashable, moment: datetime | None) -> None:
        if moment is None:
            self._due.pop(context, None)
        else:
            self._due[context] = moment

    def _trouble(self) -> float:
        self._troubles += 1
        return float(min(TROUBLE_FIRST * 2 ** min(self._troubles - 1, 10), TROUBLE_MOST))

    def _until_due(self, stuck: Collection[Hashable]) -> float:
        """Seconds until a duty is due, or a message of a context that is not ``stuck``."""
        now = timezone.now()
        due = [moment for context, moment in self._due.items() if context not in stuck]
        waits = [(moment - now).total_seconds() for moment in due]
        return max(0.0, min([*waits, duties.next_due()]))


def _bulk_of_workers() -> set[str]:
    """The accounts whose BULK messages are left to a worker, because one is at work."""
    return {alias for alias in settings.aliases if seen_lately(alias, WORKER, TASK)}


sender = PerProcess(SenderThread)


def _end() -> None:
    sender.get().end()


# At a normal exit the threads that run can still send; Python 3.12 starts no new ones by then.
atexit.register(_end)

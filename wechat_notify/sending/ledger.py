"""Results until they are in the database. If it fails, they are kept and written later."""

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from ..models import DATABASE_TROUBLE, SendLog, database
from ..types import SendResult
from . import database_clock, outbox, outcomes
from .aftermath import Aftermath
from .outbox import Claimed
from .policy import REPEAT_WINDOW, Decision
from .recording import Result, record
from .report import Report

logger = logging.getLogger(__name__)

Status = SendLog.Status
T = TypeVar("T")

ROWS = 100
# If a result is lost, its message is repeated, or becomes uncertain once WeChat would not recognise
# the repeat. So writing is tried for that long. A worker that was told to stop has less time.
RETRY_SECONDS = REPEAT_WINDOW.total_seconds()
RETRY_SECONDS_AT_STOP = 30.0
WAIT_FIRST = 0.2
WAIT_MOST = 5.0


class Ledger:
    """Collects results, writes many at once, and then does what follows from them.

    They are due every ``interval`` seconds, or sooner if there are many.
    """

    def __init__(self, stop: threading.Event, report: Report, interval: float) -> None:
        self._stop = stop
        self._report = report
        self._interval = interval
        self._notes: list[tuple[Result, Decision]] = []
        self._aftermath = Aftermath()
        self._written_at = -interval

    @property
    def is_full(self) -> bool:
        return len(self._notes) >= ROWS

    @property
    def has_unsent(self) -> bool:
        """Whether rows that are due again were handed back, which is not written yet."""
        return any(one.unsent and one.due_at is not None for _result, one in self._notes)

    @property
    def is_due(self) -> bool:
        """Whether it is time to write."""
        return self.is_full or time.monotonic() - self._written_at >= self._interval

    def note(
        self, row: Claimed, template_pk: int, decision: Decision, result: SendResult | None
    ) -> None:
        """Keep what is to be written about a row; ``result`` None: it was not sent."""
        # Before the aftermath, which may raise.
        self._notes.append((_as_result(row, decision, result), decision))
        if result is not None:
            self._aftermath.add(row, template_pk, decision, result)

    def write(self) -> tuple[set[int], int]:
        """Write all results, and what follows from them.

        Returns the templates that are paused because of them, and the number of parked rows that
        are due again, because nobody would resume them.
        """
        self._written_at = time.monotonic()
        if not self._notes:
            return set(), 0
        results = [result for result, _decision in self._notes]
        written = self._with_retries(lambda: record(results))
        notes, self._notes = self._notes, []
        self._report.lost += len(notes) - written
        for _result, decision in notes:
            if decision.unsent:
                self._report.handed_back += 1
            else:
                self._report.counts[decision.status.value] += 1
        paused = self._with_retries(self._aftermath.carry_out)
        outcomes.flush()
        parked = [result.pk for result, decision in notes if decision.parks]
        return paused, self._with_retries(lambda: outbox.free_parked(parked))

    def confirm(self) -> None:
        """Ask WeChat what its refusals leave open."""
        self._aftermath.confirm()

    def end(self) -> None:
        """Called once, after the last results are written."""
        outcomes.flush(at_end=True)

    def _with_retries(self, write: Callable[[], T]) -> T:
        """``write()``, tried again while the database cannot be reached."""
        began, wait = time.monotonic(), WAIT_FIRST
        while True:
            try:
                return write()
            except DATABASE_TROUBLE:
                waited = time.monotonic() - began
                limit = RETRY_SECONDS_AT_STOP if self._stop.is_set() else RETRY_SECONDS
                if waited >= limit or database().in_atomic_block:
                    raise
                logger.warning(
                    "%d results cannot be written to the database. Trying again in %g s.",
                    len(self._notes),
                    wait,
                )
            time.sleep(wait)
            wait = min(wait * 2, WAIT_MOST)
            database().close_if_unusable_or_obsolete()


def _as_result(row: Claimed, decision: Decision, result: SendResult | None) -> Result:
    sent, now = decision.status == Status.SENT, database_clock.now()
    if decision.pauses_account or decision.rests_way:
        # WeChat's answer is about the account or the host, and is kept in their records.
        result = None
    return Result(
        pk=row.pk,
        claimed_at=row.claimed_at,
        status=decision.status,
        due_at=database_clock.as_local(decision.due_at),
        doubt=decision.doubt,
        attempted=decision.attempted,
        errcode=0 if sent else _fitting(result.errcode if result else None, bits=32),
        errmsg=result.errmsg if result else None,
        rid=result.rid if result else None,
        msgid=_fitting(result.msgid if result else None, bits=64),
        sent_at=now if sent else None,
        finished_at=None if decision.status in SendLog.OPEN else now,
    )


def _fitting(number: int | None, *, bits: int) -> int | None:
    """The number, or None if its column cannot hold it: that would fail the whole batch."""
    return number if number is None or abs(number) < 2 ** (bits - 1) else None

"""Stored receipts are matched to their rows, in batches.

A receipt may come twice, out of order, before our own row has its msgid, with MsgID 0 (reported
for messages that have a client_msg_id), or for a message that another system sent through the
same account (docs/wechat-api.md, 4). ``matching`` says which row it belongs to. Receipts that
match no row yet are kept and matched again later.
"""

import time
from dataclasses import dataclass, fields
from datetime import timedelta

from django.db import connections, router, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from ..models import Receipt, SendLog, repeats_on_conflict
from ..signals import message_delivered, message_failed
from .matching import Match, is_success, match_receipts
from .store import turns

Status = SendLog.Status

BATCH = 500
# A receipt that can belong to several rows, or to one that is being sent, is matched again for so
# long. One that can belong to no row is for another system's message. It is matched again for the
# time in which a slow worker may still write its row's result.
UNDECIDED_KEPT = timedelta(hours=24)
FOREIGN_KEPT = timedelta(hours=1)

PASSING_SECONDS = 1
PASSING_LIMIT = 100


@dataclass
class SettleReport:
    """The number of receipts by what became of them.

    ``delivered`` and ``undelivered``: written to their row. ``repeated``: their row already had a
    receipt. ``waiting``: no row matches yet. ``given_up``: not matched any more.
    """

    delivered: int = 0
    undelivered: int = 0
    repeated: int = 0
    waiting: int = 0
    given_up: int = 0

    @property
    def settled(self) -> int:
        return self.delivered + self.undelivered + self.repeated

    def add(self, other: "SettleReport") -> None:
        """Make this the report of both."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))


def settle(
    account: str | None = None, *, limit: int | None = None, batch_size: int = BATCH
) -> SettleReport:
    """Match stored receipts to their rows, of all accounts or of one.

    ``limit`` is the most receipts to look at, ``batch_size`` the most in one transaction, which
    takes a constant number of queries. Sends ``message_delivered`` or ``message_failed`` for
    each row, after the commit. Several processes may call this at once.
    """
    report = SettleReport()
    left, after = limit, 0
    while left is None or left > 0:
        size = batch_size if left is None else min(batch_size, left)
        batch = _Batch(account, after=after, limit=size)
        report.add(repeats_on_conflict(batch.settle)())
        if not batch.full:
            break
        after = batch.last_pk
        left = None if left is None else left - batch.found
    return report


def settle_in_passing(*, limit: int = PASSING_LIMIT, batch_size: int = BATCH) -> SettleReport:
    """Settle some receipts, unless this process did so within the last second.

    Callbacks and workers call it often. Each call goes on where the one before stopped, so
    receipts that cannot be matched yet do not delay newer ones. It does not repeat what the
    database refuses: a callback must be answered soon, and the next call joins the same receipts.
    """
    report = SettleReport()
    if not passing.begin():
        return report
    start = after = passing.cursor
    left, from_the_first = limit, start == 0
    while left > 0:
        batch = _Batch(None, after=after, limit=min(batch_size, left))
        report.add(batch.settle())
        left -= batch.found
        after = batch.last_pk
        if not batch.full:
            if from_the_first:
                break
            from_the_first, after = True, 0
        elif from_the_first and 0 < start <= after:
            break  # the rest was looked at in this call
    passing.cursor = after
    return report


class Passing:
    """When this process last settled in passing, and the receipt at which it stopped.

    Not in the cache, because receipts must be matched while the cache is down, too.
    """

    def __init__(self) -> None:
        self.cursor = 0
        self._next = 0.0

    def forget(self) -> None:
        """Let the next call settle at once; for tests."""
        self._next = 0.0

    def begin(self) -> bool:
        """Whether the last time is long enough ago; if so, now is the last time."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + PASSING_SECONDS
        return True


passing = Passing()


class _Batch:
    """One batch of receipts, in one transaction."""

    def __init__(self, account: str | None, *, after: int, limit: int) -> None:
        self._using = router.db_for_write(SendLog)
        self._account = account
        self._after = after
        self._limit = limit
        self._now = timezone.now()
        self._written: list[tuple[Status, list[int]]] = []
        self.found = 0
        self.last_pk = 0

    @property
    def full(self) -> bool:
        """Whether there may be more receipts after this batch."""
        return self.found == self._limit

    def settle(self) -> SettleReport:
        report = SettleReport()
        self._written = []
        with turns.take(self._using), transaction.atomic(using=self._using):
            # Writing comes first: SQLite then has this transaction to itself from the start.
            report.given_up = self._give_up(UNDECIDED_KEPT, self._unsettled())
            receipts = self._claim()
            matches, foreign = match_receipts(receipts)
            rows = self._lock_rows(matches)
            matches = [match for match in matches if match.log in rows]
            given_up = self._give_up(FOREIGN_KEPT, self._unsettled().filter(pk__in=foreign))
            fresh = self._write(matches, rows)
            report.delivered = sum(is_success(receipt.status) for receipt in fresh.values())
            report.undelivered = len(fresh) - report.delivered
            report.repeated = len(matches) - len(fresh)
            report.given_up += given_up
            report.waiting = len(receipts) - len(matches) - given_up
        # Outside of turns.take(): the site's receivers may be slow, or settle receipts themselves.
        transaction.on_commit(self._send_signals, using=self._using, robust=True)
        return report

    def _unsettled(self) -> QuerySet[Receipt]:
        receipts = Receipt.objects.filter(settled_at__isnull=True)
        return receipts.filter(account=self._account) if self._account else receipts

    def _give_up(self, kept: timedelta, receipts: QuerySet[Receipt]) -> int:
        return receipts.filter(received_at__lt=self._now - kept).update(settled_at=self._now)

    def _claim(self) -> list[Receipt]:
        """The next receipts that no other process has locked."""
        skip = bool(connections[self._using].features.has_select_for_update_skip_locked)
        rows = self._unsettled().filter(pk__gt=self._after).order_by("pk")
        receipts = list(rows.select_for_update(skip_locked=skip)[: self._limit])
        self.found = len(receipts)
        self.last_pk = receipts[-1].pk if receipts else self._after
        return receipts

    def _lock_rows(self, matches: list[Match]) -> dict[int, bool]:
        """The rows that ``prune`` has left, locked, and whether each still waits for a receipt."""
        rows = SendLog.objects.filter(pk__in={match.log for match in matches})
        locked = rows.select_for_update().order_by("pk")
        return {
            pk: receipt_at is None and status in (Status.SENT, Status.UNCERTAIN)
            for pk, status, receipt_at in locked.values_list("pk", "status", "receipt_at")
        }

    # -- writing ------------------------------------------------------------------------------

    def _write(self, matches: list[Match], rows: dict[int, bool]) -> dict[int, Receipt]:
        """Settle the receipts and write their rows. The rows written, each with its receipt."""
        first: dict[int, Receipt] = {}
        for match in sorted(matches, key=lambda match: match.receipt.event_at):
            first.setdefault(match.log, match.receipt)
        fresh = {pk: first[pk] for pk, waits in rows.items() if waits}
        self._settle_receipts(matches)
        for status, success in ((Status.DELIVERED, True), (Status.UNDELIVERED, False)):
            pks = [pk for pk, receipt in fresh.items() if is_success(receipt.status) is success]
            self._write_rows(status, pks, [fresh[pk].pk for pk in pks])
        return fresh

    def _settle_receipts(self, matches: list[Match]) -> None:
        for match in matches:
            match.receipt.log_id = match.log
            match.receipt.settled_at = self._now
        # An upsert, since Django's bulk_update costs ten times as much.
        features = connections[self._using].features
        Receipt.objects.bulk_create(
            [match.receipt for match in matches],
            update_conflicts=True,
            unique_fields=["pk"] if features.supports_update_conflicts_with_target else None,
            update_fields=["log", "settled_at"],
        )

    def _write_rows(self, status: Status, pks: list[int], receipts: list[int]) -> None:
        if not pks:
            return
        mine = Receipt.objects.filter(log=OuterRef("pk"), pk__in=receipts)
        SendLog.objects.filter(pk__in=pks).update(
            status=status,
            receipt_at=Subquery(mine.values("event_at")),
            receipt_status=Subquery(mine.values("status")),
        )
        self._written.append((status, pks))

    # -- signals ------------------------------------------------------------------------------

    def _send_signals(self) -> None:
        for status, pks in self._written:
            signal = message_delivered if status == Status.DELIVERED else message_failed
            if not signal.has_listeners(SendLog):
                continue
            logs = SendLog.objects.filter(pk__in=pks).order_by("pk")
            for log in logs.select_related("notification__template", "user", "binding"):
                signal.send_robust(SendLog, log=log)

"""Delivery receipts: stored by one INSERT each, joined to their rows in batches.

A receipt may come twice, out of order, before our own row has its msgid, with MsgID 0 (reported
for messages that have a client_msg_id), or for a message that another system sent through the
same account (WECHAT.md 4). ``receipt_matching`` says which row it belongs to; what cannot be
decided yet waits.
"""

import logging
import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.core.cache import caches
from django.db import IntegrityError, connections, router, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone

from ..conf import settings
from ..models import Receipt, SendLog
from ..signals import message_delivered, message_failed
from ..wechat.forks import renew_after_fork
from ..wechat.incoming import Event
from .receipt_matching import Match, match_receipts

logger = logging.getLogger(__name__)


Status = SendLog.Status

BATCH = 500
# A receipt for which there are rows waits for a decision this long; one without any at all is
# another system's, once everything that could be slow here has had its time.
UNDECIDED_KEPT = timedelta(hours=24)
FOREIGN_KEPT = timedelta(hours=1)

PASSING_SECONDS = 1
PASSING_LIMIT = 100
_PASSING_KEY = "wechat_notify:receipts:settled"
_CURSOR_KEY = "wechat_notify:receipts:cursor"
_CURSOR_SECONDS = 3_600


@dataclass
class SettleReport:
    """What was made of receipts.

    ``delivered`` and ``undelivered`` rows got their receipt; ``repeated`` receipts belong to rows
    that had one; ``waiting`` ones cannot be joined yet; ``given_up`` ones never will be.
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
        for name in ("delivered", "undelivered", "repeated", "waiting", "given_up"):
            setattr(self, name, getattr(self, name) + getattr(other, name))


def normalise(status: str) -> str:
    """One form for what WeChat writes: "success", "failed:user block", "failed: system failed"."""
    head, colon, tail = status.lower().partition(":")
    return f"{head.strip()}{colon}{tail.strip()}"


def is_success(status: str) -> bool:
    return normalise(status) == "success"


def store(account: str, event: Event) -> None:
    """Keep a receipt: one INSERT, which changes nothing where it is there already.

    Not ``bulk_create(ignore_conflicts=True)``: that opens a transaction around the statement, and
    in a storm SQLite's one writer would wait for three round trips instead of one.
    """
    length = Receipt._meta.get_field("status").max_length
    receipt = Receipt(
        account=account,
        openid=event.from_openid,
        msgid=event.msgid,
        status=event.status[:length],
        event_at=event.created_at,
    )
    using = router.db_for_write(Receipt)
    inside = connections[using].in_atomic_block
    try:
        with transaction.atomic(using=using) if inside else _turns.take(using):
            receipt.save(using=using, force_insert=True)
    except IntegrityError:
        logger.debug("A receipt of account %r came again.", account)


def settle(account: str | None = None, *, limit: int | None = None) -> SettleReport:
    """Join stored receipts to their rows, of all accounts or one; look at ``limit`` at most.

    A constant number of queries a batch. Sends ``message_delivered`` or ``message_failed`` for
    each row, after the commit. Any number of these may run side by side.
    """
    report = SettleReport()
    left, after = limit, 0
    while left is None or left > 0:
        batch = _Batch(account, after=after, limit=BATCH if left is None else min(BATCH, left))
        report.add(batch.settle())
        if not batch.full:
            break
        after = batch.last_pk
        left = None if left is None else left - batch.found
    return report


def settle_in_passing(*, limit: int = PASSING_LIMIT) -> SettleReport:
    """Settle some receipts, unless somebody did so within the last second.

    For callbacks and workers to call as often as they like. It goes round: what waits for a
    decision cannot keep newer receipts from theirs.
    """
    report = SettleReport()
    cache = caches[settings.CACHE]
    if not cache.add(_PASSING_KEY, True, PASSING_SECONDS):
        return report
    after = cache.get(_CURSOR_KEY, 0)
    left, round_again = limit, after > 0
    while left > 0:
        batch = _Batch(None, after=after, limit=min(BATCH, left))
        report.add(batch.settle())
        left -= batch.found
        after = batch.last_pk
        if not batch.full:
            if not round_again:
                break
            round_again, after = False, 0
    cache.set(_CURSOR_KEY, after, _CURSOR_SECONDS)
    return report


class _Turns:
    """One writer of this process at a time, where the database takes only one anyway.

    SQLite lets the others sleep, up to 100 ms at a time, and then try their luck. In a storm that
    is what the slowest per cent wait for; a queue is fair and wakes the next one at once.
    """

    def __init__(self) -> None:
        self.renew()
        renew_after_fork(self)

    def renew(self) -> None:
        self._lock = threading.Lock()

    def take(self, using: str) -> AbstractContextManager[Any]:
        connection = connections[using]
        alone = connection.vendor == "sqlite" and not connection.in_atomic_block
        return self._lock if alone else nullcontext()


_turns = _Turns()


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
        """Whether there may be more behind it."""
        return self.found == self._limit

    def settle(self) -> SettleReport:
        report = SettleReport()
        with _turns.take(self._using), transaction.atomic(using=self._using):
            # Writing comes first: SQLite then has this transaction to itself from the start.
            report.given_up = self._give_up(UNDECIDED_KEPT, self._unsettled())
            receipts = self._claim()
            matches, foreign = match_receipts(receipts, self._using)
            given_up = self._give_up(FOREIGN_KEPT, self._unsettled().filter(pk__in=foreign))
            fresh = self._write(matches)
            report.delivered = sum(is_success(receipt.status) for receipt in fresh.values())
            report.undelivered = len(fresh) - report.delivered
            report.repeated = len(matches) - len(fresh)
            report.given_up += given_up
            report.waiting = len(receipts) - len(matches) - given_up
        # Only now, when others have their turn: the site's receivers may take any time they like,
        # or settle receipts themselves.
        transaction.on_commit(self._tell, using=self._using, robust=True)
        return report

    def _unsettled(self) -> QuerySet[Receipt]:
        receipts = Receipt.objects.using(self._using).filter(settled_at__isnull=True)
        return receipts.filter(account=self._account) if self._account else receipts

    def _give_up(self, kept: timedelta, receipts: QuerySet[Receipt]) -> int:
        return receipts.filter(received_at__lt=self._now - kept).update(settled_at=self._now)

    def _claim(self) -> list[Receipt]:
        """The next receipts, which nobody else has in hand."""
        skip = bool(connections[self._using].features.has_select_for_update_skip_locked)
        rows = self._unsettled().filter(pk__gt=self._after).order_by("pk")
        receipts = list(rows.select_for_update(skip_locked=skip)[: self._limit])
        self.found = len(receipts)
        self.last_pk = receipts[-1].pk if receipts else self._after
        return receipts

    # -- writing ------------------------------------------------------------------------------

    def _write(self, matches: list[Match]) -> dict[int, Receipt]:
        """Settle the receipts and write their rows. Those written, with the receipt that counts."""
        first: dict[int, Receipt] = {}
        for match in sorted(matches, key=lambda match: match.receipt.event_at):
            first.setdefault(match.log, match.receipt)
        open_rows = SendLog.objects.using(self._using).filter(
            pk__in=first, receipt_at__isnull=True, status__in=(Status.SENT, Status.UNCERTAIN)
        )
        locked = open_rows.select_for_update().order_by("pk").values_list("pk", flat=True)
        fresh = {pk: first[pk] for pk in locked}
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
        Receipt.objects.using(self._using).bulk_create(
            [match.receipt for match in matches],
            update_conflicts=True,
            unique_fields=["pk"] if features.supports_update_conflicts_with_target else None,
            update_fields=["log", "settled_at"],
        )

    def _write_rows(self, status: Status, pks: list[int], receipts: list[int]) -> None:
        if not pks:
            return
        mine = Receipt.objects.using(self._using).filter(log=OuterRef("pk"), pk__in=receipts)
        SendLog.objects.using(self._using).filter(pk__in=pks).update(
            status=status,
            receipt_at=Subquery(mine.values("event_at")),
            receipt_status=Subquery(mine.values("status")),
        )
        self._written.append((status, pks))

    # -- telling ------------------------------------------------------------------------------

    def _tell(self) -> None:
        for status, pks in self._written:
            signal = message_delivered if status == Status.DELIVERED else message_failed
            if not signal.has_listeners(SendLog):
                continue
            logs = SendLog.objects.using(self._using).filter(pk__in=pks).order_by("pk")
            for log in logs.select_related("notification__template", "user", "binding"):
                signal.send_robust(SendLog, log=log)

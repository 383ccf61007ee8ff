"""Claiming rows, and taking back rows that other workers have claimed.

A claim is a lease. Its time is in ``claimed_at``: as long as that is unchanged, the row is this
worker's. ``in_doubt_since`` on a claimed row says that its message may have been sent.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Case, F, Q, SmallIntegerField, When
from django.utils import timezone

from ..models import (
    ERRMSG_LENGTH,
    MessageTemplate,
    Notification,
    SendLog,
    database,
    repeats_on_conflict,
)

Status = SendLog.Status


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row of which this worker holds the lease."""

    pk: int
    account: str
    priority: int
    notification_id: int
    openid: str
    data: dict[str, Any] | None
    attempts: int
    doubt: datetime | None
    claimed_at: datetime
    revision_pk: int | None = None
    """The template as the attempt in doubt left with it."""


Only: TypeAlias = tuple[str, Sequence[int]]
"""Which rows may be claimed: a column, ``priority`` or ``notification_id``, and its values.

One priority at a time: ordered by priority, one statement for several would walk over everything of
a more urgent priority that is due later.
"""


def claim(account: str, limit: int, only: Only, *, now: datetime, mark: datetime) -> list[Claimed]:
    """Claim up to ``limit`` due rows of one account, those that are due longest first.

    ``now``: the host's time, by which rows are due. ``mark``: the database's time, from which the
    lease counts.
    """
    return _claimed(account, _take(account, limit, only, now, mark), mark)


@repeats_on_conflict
def _take(account: str, limit: int, only: Only, now: datetime, mark: datetime) -> list[int]:
    connection = database()
    way = _claim_returning if _updates_returning(connection) else _claim_locking
    return way(connection, account, limit, only, now, mark)


@repeats_on_conflict
def _claimed(account: str, pks: Sequence[int], mark: datetime) -> list[Claimed]:
    rows = (
        SendLog.objects.filter(pk__in=pks)
        .order_by("priority", "due_at", "pk")
        .values_list(
            "pk",
            "priority",
            "notification_id",
            "openid",
            "data",
            "attempts",
            "in_doubt_since",
            "revision_id",
        )
    )
    return [
        Claimed(pk, account, priority, notification, openid, data, attempts, doubt, mark, revision)
        for pk, priority, notification, openid, data, attempts, doubt, revision in rows
    ]


def _updates_returning(connection: BaseDatabaseWrapper) -> bool:
    # MariaDB and MySQL have no UPDATE … RETURNING.
    return connection.vendor in ("postgresql", "sqlite") and bool(
        connection.features.can_return_rows_from_bulk_insert
    )


def _claim_returning(
    connection: BaseDatabaseWrapper,
    account: str,
    limit: int,
    only: Only,
    now: datetime,
    mark: datetime,
) -> list[int]:
    """One statement. SQLite has one writer at a time, PostgreSQL skips rows that are locked."""
    table = connection.ops.quote_name(SendLog._meta.db_table)
    lock = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update else ""
    # MATERIALIZED: the planner must not run the LIMIT once for each row that it joins. SQLite has
    # it since 3.35, as it has RETURNING.
    # Ordered by due_at alone, as in the indexes: a notification's rows are all due at one time,
    # and to order them by id as well, PostgreSQL would sort all of them for each claim.
    column, values = only
    marks = ", ".join(["%s"] * len(values))
    sql = (
        f"WITH due AS MATERIALIZED ("  # noqa: S608 - names only, every value is a parameter
        f"SELECT id FROM {table} WHERE status = 'pending' AND account = %s "
        f"AND {column} IN ({marks}) AND due_at <= %s ORDER BY due_at LIMIT %s {lock}) "
        f"UPDATE {table} SET status = 'sending', claimed_at = %s, attempts = attempts + 1 "
        f"WHERE id IN (SELECT id FROM due) RETURNING id"
    )
    due, claimed = (connection.ops.adapt_datetimefield_value(moment) for moment in (now, mark))
    with connection.cursor() as cursor:
        cursor.execute(sql, [account, *values, due, limit, claimed])
        return [pk for (pk,) in cursor.fetchall()]


def _claim_locking(
    connection: BaseDatabaseWrapper,
    account: str,
    limit: int,
    only: Only,
    now: datetime,
    mark: datetime,
) -> list[int]:
    """Lock, mark, commit: for databases without UPDATE … RETURNING."""
    skip = bool(connection.features.has_select_for_update_skip_locked)
    column, values = only
    due = SendLog.objects.waiting().filter(account=account, due_at__lte=now)
    due = due.filter(**{f"{column}__in": values})
    with transaction.atomic(using=connection.alias):
        locked = due.select_for_update(skip_locked=skip).order_by("due_at")
        pks = list(locked.values_list("pk", flat=True)[:limit])
        # Where the database has no row locks, another worker may have been faster.
        chosen = SendLog.objects.filter(pk__in=pks)
        chosen.filter(status=Status.PENDING).update(
            status=Status.SENDING, claimed_at=mark, attempts=F("attempts") + 1
        )
        mine = chosen.filter(status=Status.SENDING, claimed_at=mark)
        return list(mine.values_list("pk", flat=True))


@repeats_on_conflict
def mark_on_wire(
    rows: Sequence[Claimed], *, now: datetime, revisions: Mapping[int, int] | None = None
) -> set[int]:
    """Mark claimed rows that are about to be sent. Returns the keys of those still claimed.

    A row without this mark has not been sent: if its worker dies, it is sent without any doubt.
    ``revisions``: with which revision each row leaves; one in doubt keeps that of its first
    attempt. One statement for each claim and revision among them. ``now`` is the database's time.
    """
    held: set[int] = set()
    groups: dict[tuple[datetime, int | None], list[int]] = defaultdict(list)
    for row in rows:
        leaves_with = (revisions or {}).get(row.pk) if row.doubt is None else None
        groups[row.claimed_at, leaves_with].append(row.pk)
    for (mark, revision), pks in groups.items():
        if _mark(pks, mark, now, revision) == len(pks):
            held.update(pks)
        else:
            mine = SendLog.objects.filter(pk__in=pks).having(Status.SENDING)
            held.update(mine.filter(claimed_at=mark).values_list("pk", flat=True))
    return held


def _mark(pks: Sequence[int], mark: datetime, now: datetime, revision: int | None) -> int:
    """Mark rows of one claim. Returns how many were still claimed.

    By hand, because it runs for each handful of messages, and Django takes longer to put such a
    statement together than the database to carry it out.
    """
    connection = database()
    moment = connection.ops.adapt_datetimefield_value
    table = connection.ops.quote_name(SendLog._meta.db_table)
    # As in models/unindexed.py, so that the rows are found by their keys.
    status = "+status" if connection.vendor == "sqlite" else "status"
    # The text holds no value, only as many placeholders as there are rows.
    statement = f"""
        UPDATE {table} SET in_doubt_since = COALESCE(in_doubt_since, %s),
            revision_id = COALESCE(%s, revision_id)
        WHERE id IN ({", ".join(["%s"] * len(pks))}) AND {status} = %s AND claimed_at = %s"""  # noqa: S608 - placeholders only
    with connection.cursor() as cursor:
        cursor.execute(statement, [moment(now), revision, *pks, Status.SENDING.value, moment(mark)])
        return int(cursor.rowcount)


@repeats_on_conflict
def requeue_abandoned(
    account: str, *, now: datetime, due_at: datetime, lease: float, window: timedelta
) -> int:
    """Take back the rows of workers that died: those whose lease has ended. Returns how many.

    A row that was only claimed has not been sent and is due again. One that may have been sent is
    due again within ``window``, in which a repeat under the same client_msg_id is delivered only
    once, and becomes ``uncertain`` after it. The window also limits how often a row is claimed
    whose message makes the worker crash. ``now`` is the database's time, ``due_at`` the host's.
    """
    abandoned = SendLog.objects.filter(
        status=Status.SENDING, account=account, claimed_at__lte=now - timedelta(seconds=lease)
    )
    hopeless = abandoned.filter(in_doubt_since__lte=now - window)
    gone = hopeless.update(status=Status.UNCERTAIN, due_at=None, finished_at=now)
    never_left = When(in_doubt_since__isnull=True, attempts__gt=0, then=F("attempts") - 1)
    attempts = Case(never_left, default=F("attempts"), output_field=SmallIntegerField())
    return gone + abandoned.update(status=Status.PENDING, due_at=due_at, attempts=attempts)


@repeats_on_conflict
def count_attempt(pk: int) -> None:
    """Count an attempt of a waiting row that was not counted at first."""
    rows = SendLog.objects.waiting().filter(pk=pk)
    rows.update(attempts=F("attempts") + 1)


@repeats_on_conflict
def give_up(account: str, *, before: datetime, errmsg: str, most: int = 500) -> list[int]:
    """Fail up to ``most`` due rows that have waited since ``before``. Returns their keys.

    Rows that may have been sent become ``uncertain``; their keys are not returned.
    """
    old = Q(notification__created_at__lt=before) & (
        Q(notification__send_at__isnull=True) | Q(notification__send_at__lt=before)
    )
    logs = SendLog.objects
    waiting = logs.waiting().filter(old, account=account, due_at__isnull=False)
    pks = list(waiting.values_list("pk", flat=True)[:most])
    chosen = logs.filter(pk__in=pks).having(Status.PENDING)
    ends = {"due_at": None, "finished_at": timezone.now()}
    chosen.filter(in_doubt_since__isnull=False).update(status=Status.UNCERTAIN, **ends)
    pks = list(chosen.values_list("pk", flat=True))
    ended = logs.filter(pk__in=pks).having(Status.PENDING)
    ended.update(status=Status.FAILED, errmsg=errmsg[:ERRMSG_LENGTH], **ends)
    return pks


@repeats_on_conflict
def free_parked(pks: Sequence[int]) -> int:
    """Make those parked rows due whose notification is neither paused nor held for approval, and
    whose template does not rest. Returns how many.

    While these rows were in flight, somebody may have resumed the notification or template; a
    resume does not see rows in flight. The lock lets a resume and this wait for each other.
    """
    if not pks:
        return 0
    connection = database()
    using, no_key = connection.alias, connection.features.has_select_for_no_key_update
    parked = SendLog.objects.filter(due_at__isnull=True).having(Status.PENDING)
    with transaction.atomic(using=using):
        rows = dict(parked.filter(pk__in=pks).values_list("pk", "notification_id"))
        held = (
            Notification.objects.filter(pk__in=set(rows.values()))
            .select_related("template")
            .select_for_update(no_key=no_key)
            .order_by("pk")
        )
        templates = {one.template for one in held if one.template.stand_in_id is not None}
        stand_ins = MessageTemplate.objects.select_for_update(no_key=no_key).in_bulk(
            {one.stand_in_id for one in templates}
        )
        free = set()
        for one in held:
            one.template.stand_in = stand_ins.get(one.template.stand_in_id)
            stays = one.paused_at or one.held_at or one.template.rests
            if one.cancelled_at or not stays:
                free.add(one.pk)
        freed = [pk for pk, notification in rows.items() if notification in free]
        return parked.filter(pk__in=freed).update(due_at=timezone.now())

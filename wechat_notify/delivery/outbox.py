"""Writing, claiming and recording rows: the only hand-written SQL of the app.

A claim is a lease. ``claimed_at`` is its mark: a result is written only where the row still
carries the mark under which it was claimed, so a worker that comes back from the dead cannot
overwrite what another one found out.

Django's ``bulk_update`` costs more than the HTTP call it records (about 700 rows a second), so
results go to the database as one JSON parameter in one UPDATE a batch.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, F, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..models import Notification, SendLog

Status = SendLog.Status

ERRMSG_LENGTH = 500
RID_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Claimed:
    """A row this worker holds the lease of."""

    pk: int
    account: str
    notification_id: int
    openid: str
    data: dict[str, Any] | None
    attempts: int
    doubt: datetime | None
    claimed_at: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """What to write about one claimed row. None in errcode … sent_at keeps what stands there."""

    pk: int
    claimed_at: datetime
    status: str
    due_at: datetime | None = None
    doubt: datetime | None = None
    attempted: bool = True
    errcode: int | None = None
    errmsg: str | None = None
    rid: str | None = None
    msgid: int | None = None
    sent_at: datetime | None = None


def database() -> BaseDatabaseWrapper:
    """The connection that send-log rows are written through."""
    return connections[router.db_for_write(SendLog)]


# -- writing ----------------------------------------------------------------------------------


def insert_select(rows: QuerySet[Any], columns: Mapping[str, Combinable]) -> int:
    """INSERT … SELECT: one send-log row for each row of a QuerySet. Returns how many.

    ``columns`` maps SendLog's fields to expressions over ``rows``; what it leaves out is NULL.
    """
    connection = database()
    quote = connection.ops.quote_name
    select = (
        rows.using(connection.alias)
        .order_by()
        .annotate(**{f"to_{name}": expression for name, expression in columns.items()})
    )
    query = select.values_list(*(f"to_{name}" for name in columns)).query
    try:
        sql, params = query.get_compiler(using=connection.alias).as_sql()
    except EmptyResultSet:
        return 0
    names = ", ".join(quote(_column(name)) for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(SendLog._meta.db_table)} ({names}) {sql}", params)
        return int(cursor.rowcount)


def _column(field: str) -> str:
    return str(SendLog._meta.get_field(field).get_attname_column()[1])  # type: ignore[union-attr]


# -- claiming ---------------------------------------------------------------------------------


def claim(
    account: str, limit: int, *, now: datetime, notification_id: int | None = None
) -> list[Claimed]:
    """Take up to ``limit`` due rows of one account, oldest due first, for this worker alone."""
    connection = database()
    if _updates_returning(connection):
        pks = _claim_returning(connection, account, limit, now, notification_id)
    else:
        pks = _claim_locking(connection, account, limit, now, notification_id)
    rows = (
        SendLog.objects.using(connection.alias)
        .filter(pk__in=pks)
        .order_by("due_at", "pk")
        .values_list("pk", "notification_id", "openid", "data", "attempts", "in_doubt_since")
    )
    return [
        Claimed(pk, account, notification, openid, data, attempts, doubt, now)
        for pk, notification, openid, data, attempts, doubt in rows
    ]


def _updates_returning(connection: BaseDatabaseWrapper) -> bool:
    # MariaDB and MySQL know RETURNING for INSERT at most, never for UPDATE.
    return connection.vendor in ("postgresql", "sqlite") and bool(
        connection.features.can_return_rows_from_bulk_insert
    )


def _claim_returning(
    connection: BaseDatabaseWrapper,
    account: str,
    limit: int,
    now: datetime,
    notification_id: int | None,
) -> list[int]:
    """One statement. SQLite has one writer at a time, PostgreSQL skips rows others hold."""
    table = connection.ops.quote_name(SendLog._meta.db_table)
    lock = "FOR UPDATE SKIP LOCKED" if connection.features.has_select_for_update else ""
    # MATERIALIZED: the planner must not run the LIMIT once for each row it joins. SQLite before
    # 3.35 has no such word, nor RETURNING.
    # By due_at alone, as the indexes have it: a notification's rows are all due at one moment, and
    # with the id as well PostgreSQL sorts every one of them for each claim.
    only = "AND notification_id = %s" if notification_id is not None else ""
    sql = (
        f"WITH due AS MATERIALIZED ("  # noqa: S608 - names only, every value is a parameter
        f"SELECT id FROM {table} WHERE status = 'pending' AND account = %s AND due_at <= %s {only} "
        f"ORDER BY due_at LIMIT %s {lock}) "
        f"UPDATE {table} SET status = 'sending', claimed_at = %s, attempts = attempts + 1 "
        f"WHERE id IN (SELECT id FROM due) RETURNING id"
    )
    moment = connection.ops.adapt_datetimefield_value(now)
    params = [account, moment, *([notification_id] if only else []), limit, moment]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [pk for (pk,) in cursor.fetchall()]


def _claim_locking(
    connection: BaseDatabaseWrapper,
    account: str,
    limit: int,
    now: datetime,
    notification_id: int | None,
) -> list[int]:
    """Lock, mark, commit: for databases whose UPDATE returns nothing."""
    skip = bool(connection.features.has_select_for_update_skip_locked)
    due = SendLog.objects.using(connection.alias).filter(
        status=Status.PENDING, account=account, due_at__lte=now
    )
    if notification_id is not None:
        due = due.filter(notification_id=notification_id)
    with transaction.atomic(using=connection.alias):
        locked = due.select_for_update(skip_locked=skip).order_by("due_at", "pk")
        pks = list(locked.values_list("pk", flat=True)[:limit])
        # Where the database has no row locks, another worker may have been faster.
        chosen = SendLog.objects.using(connection.alias).filter(pk__in=pks)
        chosen.filter(status=Status.PENDING).update(
            status=Status.SENDING, claimed_at=now, attempts=F("attempts") + 1
        )
        mine = chosen.filter(status=Status.SENDING, claimed_at=now)
        return list(mine.values_list("pk", flat=True))


def requeue_abandoned(account: str, *, now: datetime, lease: float, window: timedelta) -> int:
    """Take back the rows of workers that died: their lease has ended. Returns how many.

    Such a row may have been sent. Inside the window in which WeChat absorbs a repeat it waits to
    be sent again under the same client_msg_id; outside it, it is ``uncertain``. The window also
    bounds how often a row that kills its worker is taken up.
    """
    abandoned = SendLog.objects.using(database().alias).filter(
        status=Status.SENDING, account=account, claimed_at__lte=now - timedelta(seconds=lease)
    )
    doubt = Coalesce("in_doubt_since", "claimed_at", output_field=DateTimeField())
    hopeless = Q(in_doubt_since__lte=now - window) | Q(
        in_doubt_since__isnull=True, claimed_at__lte=now - window
    )
    gone = abandoned.filter(hopeless).update(
        status=Status.UNCERTAIN, in_doubt_since=doubt, due_at=None
    )
    return gone + abandoned.update(status=Status.PENDING, in_doubt_since=doubt, due_at=now)


def free_parked(pks: Sequence[int]) -> int:
    """Make due, of rows that were just parked, those that nobody will resume. Returns how many.

    A row in flight is not seen by whoever resumes its notification or template at that moment. The
    lock makes a resume wait for this, or this for the resume.
    """
    if not pks:
        return 0
    connection = database()
    using, no_key = connection.alias, connection.features.has_select_for_no_key_update
    parked = SendLog.objects.using(using).waiting().filter(pk__in=pks, due_at__isnull=True)
    with transaction.atomic(using=using):
        held = (
            Notification.objects.using(using)
            .filter(pk__in=list(parked.values_list("notification_id", flat=True).distinct()))
            .select_related("template")
            .select_for_update(no_key=no_key)
            .order_by("pk")
        )
        free = [
            one.pk
            for one in held
            if one.cancelled_at or not (one.paused_at or one.template.paused_at)
        ]
        return parked.filter(notification_id__in=free).update(due_at=timezone.now())


# -- recording --------------------------------------------------------------------------------


def record(results: Sequence[Result]) -> int:
    """Write results in one statement. Returns how many rows still carried their claim's mark."""
    if not results:
        return 0
    connection = database()
    statement = _RECORD.get(_dialect(connection))
    with transaction.atomic(using=connection.alias):
        if statement is None:
            return _record_portably(connection, results)
        payload = json.dumps([_as_json(connection, result) for result in results])
        table = connection.ops.quote_name(SendLog._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(statement.format(table=table), [payload])
            return int(cursor.rowcount)


def _dialect(connection: BaseDatabaseWrapper) -> str:
    """Which statement this server understands; "" for none of them."""
    if connection.vendor == "mysql":
        # JSON_TABLE: MySQL 8.0.4, MariaDB 10.6.
        is_mariadb = bool(getattr(connection, "mysql_is_mariadb", False))
        version = getattr(connection, "mysql_version", (0,))
        return "mysql" if version >= ((10, 6) if is_mariadb else (8, 0, 4)) else ""
    if connection.vendor == "sqlite":
        # UPDATE … FROM: SQLite 3.33; RETURNING, which Django asks about, 3.35.
        return "sqlite" if connection.features.can_return_rows_from_bulk_insert else ""
    return connection.vendor


def _as_json(connection: BaseDatabaseWrapper, result: Result) -> dict[str, Any]:
    """One row of the parameter. A missing key reads as NULL on every database."""
    values = {
        "id": result.pk,
        "refund": 0 if result.attempted else 1,
        "status": str(result.status),
        "errcode": result.errcode,
        "errmsg": None if result.errmsg is None else _storable(result.errmsg)[:ERRMSG_LENGTH],
        "rid": None if result.rid is None else _storable(result.rid)[:RID_LENGTH],
        "msgid": result.msgid,
    }
    for name in ("claimed_at", "due_at", "doubt", "sent_at"):
        moment = getattr(result, name)
        if moment is not None:
            values[name] = str(connection.ops.adapt_datetimefield_value(moment))
    return {name: value for name, value in values.items() if value is not None}


def _storable(text: str) -> str:
    """Without NUL and lone surrogates, which would make PostgreSQL refuse the whole batch."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


_KEPT = ("errcode", "errmsg", "rid", "msgid", "sent_at")
_ASSIGNMENTS = {
    "status": "v.status",
    "due_at": "v.due_at",
    "in_doubt_since": "v.doubt",
    "attempts": "t.attempts - v.refund",
    **{name: f"COALESCE(v.{name}, t.{name})" for name in _KEPT},
}
_SET = ", ".join(f"{column} = {value}" for column, value in _ASSIGNMENTS.items())
_MINE = "t.id = v.id AND t.status = 'sending' AND t.claimed_at = v.claimed_at"
_KEYS = ("id", "claimed_at", "status", "due_at", "doubt", "refund", *_KEPT)
# The plus keeps SQLite from looking up every row in "sending" for each of the results, which is
# what it makes of an index on the status; by the key it looks up one.
_SQLITE_MINE = _MINE.replace("t.status", "+t.status")
_SQLITE_COLUMNS = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in _KEYS)

# The only parameter is the JSON; no text from outside ever becomes part of a statement.
_RECORD = {
    "postgresql": f"""
        UPDATE {{table}} AS t SET {_SET}
        FROM json_to_recordset(%s::json) AS v(
            id bigint, claimed_at timestamptz, status text, due_at timestamptz,
            doubt timestamptz, refund smallint, errcode integer, errmsg text, rid text,
            msgid bigint, sent_at timestamptz)
        WHERE {_MINE}""",  # noqa: S608
    "sqlite": f"""
        UPDATE {{table}} AS t SET {_SET}
        FROM (SELECT {_SQLITE_COLUMNS} FROM json_each(%s)) AS v
        WHERE {_SQLITE_MINE}""",  # noqa: S608
    "mysql": f"""
        UPDATE {{table}} AS t JOIN JSON_TABLE(%s, '$[*]' COLUMNS(
            id BIGINT PATH '$.id', claimed_at DATETIME(6) PATH '$.claimed_at',
            status VARCHAR(12) PATH '$.status', due_at DATETIME(6) PATH '$.due_at',
            doubt DATETIME(6) PATH '$.doubt', refund INT PATH '$.refund',
            errcode INT PATH '$.errcode', errmsg VARCHAR({ERRMSG_LENGTH}) PATH '$.errmsg',
            rid VARCHAR({RID_LENGTH}) PATH '$.rid', msgid BIGINT PATH '$.msgid',
            sent_at DATETIME(6) PATH '$.sent_at')) AS v ON {_MINE}
        SET {", ".join(f"t.{column} = {value}" for column, value in _ASSIGNMENTS.items())}""",  # noqa: S608
}


def _record_portably(connection: BaseDatabaseWrapper, results: Sequence[Result]) -> int:
    """For any other database: one conditional UPDATE a row, through the ORM."""
    logs = SendLog.objects.using(connection.alias)
    written = 0
    for result in results:
        kept = {name: getattr(result, name) for name in _KEPT}
        kept = {name: value for name, value in kept.items() if value is not None}
        for name, length in (("errmsg", ERRMSG_LENGTH), ("rid", RID_LENGTH)):
            if name in kept:
                kept[name] = _storable(kept[name])[:length]
        written += logs.filter(
            pk=result.pk, status=Status.SENDING, claimed_at=result.claimed_at
        ).update(
            status=result.status,
            due_at=result.due_at,
            in_doubt_since=result.doubt,
            attempts=F("attempts") - (0 if result.attempted else 1),
            **kept,
        )
    return written

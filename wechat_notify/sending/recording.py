"""Writing results: one statement for many rows.

Django's ``bulk_update`` takes longer than the HTTP calls whose results it writes (about 700 rows a
second), so a batch of results is one JSON parameter of one UPDATE. A result is written only if the
row still has the ``claimed_at`` of its claim: if another worker has taken the row over since, its
result stays.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F

from ..models import ERRMSG_LENGTH, RID_LENGTH, SendLog, database

Status = SendLog.Status


@dataclass(frozen=True, slots=True)
class Result:
    """What to write to one claimed row. None in errcode … sent_at leaves the column as it is."""

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
    finished_at: datetime | None = None
    """None: the row is open, and is tried again."""


def record(results: Sequence[Result]) -> int:
    """Write results in one statement. Returns how many rows were still claimed by this worker."""
    if not results:
        return 0
    connection = database()
    statement = _RECORD.get(_dialect(connection))
    with transaction.atomic(using=connection.alias):
        if statement is None:
            return _record_portably(results)
        # Most results share their moments: that of the claim, and that at which they were noted.
        adapt = cache(connection.ops.adapt_datetimefield_value)
        payload = json.dumps([_as_json(result, adapt) for result in results])
        table = connection.ops.quote_name(SendLog._meta.db_table)
        with connection.cursor() as cursor:
            cursor.execute(statement.format(table=table), [payload])
            return int(cursor.rowcount)


def _dialect(connection: BaseDatabaseWrapper) -> str:
    """The key in ``_RECORD`` of the statement for this server; "" if there is none."""
    if connection.vendor == "mysql":
        # JSON_TABLE: MySQL 8.0.4, MariaDB 10.6.
        is_mariadb = bool(getattr(connection, "mysql_is_mariadb", False))
        version = getattr(connection, "mysql_version", (0,))
        return "mysql" if version >= ((10, 6) if is_mariadb else (8, 0, 4)) else ""
    if connection.vendor == "sqlite":
        # UPDATE … FROM: SQLite 3.33; RETURNING, which Django asks about, 3.35.
        return "sqlite" if connection.features.can_return_rows_from_bulk_insert else ""
    return connection.vendor


def _as_json(result: Result, adapt: Callable[[datetime], Any]) -> dict[str, Any]:
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
    for name in ("claimed_at", "due_at", "doubt", "sent_at", "finished_at"):
        moment = getattr(result, name)
        if moment is not None:
            values[name] = str(adapt(moment))
    return {name: value for name, value in values.items() if value is not None}


def _storable(text: str) -> str:
    """Without NUL and lone surrogates, for which PostgreSQL would refuse the whole batch."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


_KEPT = ("errcode", "errmsg", "rid", "msgid", "sent_at")
_ASSIGNMENTS = {
    "status": "v.status",
    "due_at": "v.due_at",
    "in_doubt_since": "v.doubt",
    "finished_at": "v.finished_at",
    "attempts": "t.attempts - v.refund",
    **{name: f"COALESCE(v.{name}, t.{name})" for name in _KEPT},
}
_SET = ", ".join(f"{column} = {value}" for column, value in _ASSIGNMENTS.items())
_MINE = "t.id = v.id AND t.status = 'sending' AND t.claimed_at = v.claimed_at"
_KEYS = ("id", "claimed_at", "status", "due_at", "doubt", "finished_at", "refund", *_KEPT)
# The plus keeps SQLite from using the index on the status, by which it would read every row in
# "sending" for each result. By the primary key it reads one.
_SQLITE_MINE = _MINE.replace("t.status", "+t.status")
_SQLITE_COLUMNS = ", ".join(f"json_extract(value, '$.{name}') AS {name}" for name in _KEYS)

# The only parameter is the JSON. No value becomes part of the statement's text.
_RECORD = {
    "postgresql": f"""
        UPDATE {{table}} AS t SET {_SET}
        FROM json_to_recordset(%s::json) AS v(
            id bigint, claimed_at timestamptz, status text, due_at timestamptz,
            doubt timestamptz, finished_at timestamptz, refund smallint, errcode integer,
            errmsg text, rid text, msgid bigint, sent_at timestamptz)
        WHERE {_MINE}""",  # noqa: S608 - names only
    "sqlite": f"""
        UPDATE {{table}} AS t SET {_SET}
        FROM (SELECT {_SQLITE_COLUMNS} FROM json_each(%s)) AS v
        WHERE {_SQLITE_MINE}""",  # noqa: S608 - names only
    "mysql": f"""
        UPDATE {{table}} AS t JOIN JSON_TABLE(%s, '$[*]' COLUMNS(
            id BIGINT PATH '$.id', claimed_at DATETIME(6) PATH '$.claimed_at',
            status VARCHAR(12) PATH '$.status', due_at DATETIME(6) PATH '$.due_at',
            doubt DATETIME(6) PATH '$.doubt', finished_at DATETIME(6) PATH '$.finished_at',
            refund INT PATH '$.refund',
            errcode INT PATH '$.errcode', errmsg VARCHAR({ERRMSG_LENGTH}) PATH '$.errmsg',
            rid VARCHAR({RID_LENGTH}) PATH '$.rid', msgid BIGINT PATH '$.msgid',
            sent_at DATETIME(6) PATH '$.sent_at')) AS v ON {_MINE}
        SET {", ".join(f"t.{column} = {value}" for column, value in _ASSIGNMENTS.items())}""",  # noqa: S608 - names only
}


def _record_portably(results: Sequence[Result]) -> int:
    """For other databases: one conditional UPDATE for each row, through the ORM."""
    logs = SendLog.objects
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
            finished_at=result.finished_at,
            attempts=F("attempts") - (0 if result.attempted else 1),
            **kept,
        )
    return written

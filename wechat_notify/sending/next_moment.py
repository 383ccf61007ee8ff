"""When the next message is due: one small read, for those who sleep until then."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from ..conf import settings
from ..models import SendLog, database, repeats_on_conflict
from . import database_clock
from .turns import PRIORITIES

# Each reads one entry of the index. A condition on several priorities would read all of them, and
# PostgreSQL may prefer the table.
_DUE = (
    "(SELECT due_at FROM {table} WHERE status = 'pending' AND account = %s AND priority = %s "
    "AND due_at IS NOT NULL ORDER BY due_at LIMIT 1)"
)
_CLAIMED = "(SELECT MIN(claimed_at) FROM {table} WHERE status = 'sending' AND account = %s)"


def next_moment(aliases: Sequence[str], leaves_bulk: Collection[str] = ()) -> datetime | None:
    """When a message of these accounts is due, or the lease of a claimed one ends; None: never.

    By this host's clock; a time in the past means now. One statement, by the index alone.
    ``leaves_bulk``: accounts whose BULK messages others send.
    """
    due = [
        (alias, int(priority))
        for alias in aliases
        for priority in (PRIORITIES[:-1] if alias in leaves_bulk else PRIORITIES)
    ]
    found = _earliest(due, aliases)
    lease = timedelta(seconds=settings.LEASE)
    ends = [database_clock.as_local(moment + lease) for moment in found[len(due) :] if moment]
    return min((moment for moment in [*found[: len(due)], *ends] if moment), default=None)


def is_due(account: str, priorities: Iterable[int]) -> bool:
    """Whether a row of one of these priorities is due now. One statement, by the index alone."""
    now = timezone.now()
    found = _earliest([(account, int(priority)) for priority in priorities], ())
    return any(moment <= now for moment in found if moment)


@repeats_on_conflict
def _earliest(due: Sequence[tuple[str, int]], claimed: Sequence[str]) -> list[datetime | None]:
    """When the first row of each account and priority is due, and was claimed of each account."""
    if not (due or claimed):
        return []
    connection = database()
    table = connection.ops.quote_name(SendLog._meta.db_table)
    columns = [_DUE] * len(due) + [_CLAIMED] * len(claimed)
    sql = f"SELECT {', '.join(columns)}".format(table=table)
    params: list[Any] = [*chain.from_iterable(due), *claimed]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        return [_moment(connection, value) for value in cursor.fetchone()]


def _moment(connection: BaseDatabaseWrapper, value: Any) -> datetime | None:
    """A time as Django reads it from this database."""
    moment = parse_datetime(value) if isinstance(value, str) else value
    if isinstance(moment, datetime) and timezone.is_naive(moment):
        return timezone.make_aware(moment, connection.timezone)
    return moment

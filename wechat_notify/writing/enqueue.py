"""Writes a notification's rows: with INSERT … SELECT where that is possible, else in chunks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Any

from django.utils import timezone

from ..conf import settings
from ..exceptions import InvalidData, Problem
from ..models import ERRMSG_LENGTH, Notification, SendLog
from ..wechat.naming import as_reason
from .parking import due_or_parked
from .recipients import CHUNK, OwnData, Target, Users, targets, where_written
from .sent_again import Repeats
from .set_based import can_be_set_based, insert_set

Status = SendLog.Status


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write: its recipient, its own data, and the row that it resends."""

    target: Target
    data: dict[str, Any] | None = None
    reason: str = ""
    resend_of: int | None = None


class Rows:
    """The rows of one ``notify()`` call, read as far as the first chunk when this is made.

    ``own_data`` returns each recipient's own data. Without it all share the notification's, and
    the database itself copies the rows of a QuerySet of users or bindings. ``reason``: why nobody
    gets a message. ``rests``: whether the template does, if the caller has just read it.
    ``repeats`` finds the row that each recipient's new row sends again.

    ``are_known``: there are no more rows than were read, so nothing but the database itself can
    fail while they are written.

    ``keeps_unsent``: the data of people who cannot be reached is kept too, so that it can be resent
    once they can. Else ``own_data`` is not asked about them.

    Raises ``InvalidData`` with the problems of all recipients, here or in ``write()``, unless
    ``skip_invalid``, or ``INVALID_DATA`` is "skip": then their rows are skipped and say why.
    """

    def __init__(
        self,
        notification: Notification,
        users: Users,
        *,
        own_data: OwnData | None = None,
        reason: str = "",
        skip_invalid: bool = False,
        keeps_unsent: bool = False,
        rests: bool | None = None,
        repeats: Repeats | None = None,
    ) -> None:
        self._notification = notification
        self._reason = reason
        self._skip_invalid = skip_invalid or settings.INVALID_DATA == "skip"
        self._keeps_unsent = keeps_unsent
        self._rests = rests
        self._problems: list[Problem] = []
        self._set = self._stream = None
        self.are_known = False
        users = where_written(users)
        if own_data is None and repeats is None and can_be_set_based(users):
            self._set = users
            return
        rows = self._rows(targets(users, notification.template.account), own_data)
        if repeats is not None:
            rows = (replace(row, resend_of=repeats(row.target)) for row in rows)
        first = list(islice(rows, CHUNK + 1))
        self._stream = chain(first, rows)
        if len(first) <= CHUNK:
            self.are_known = True
            self._raise_problems()

    def write(self) -> None:
        """Write one row for each openid of each recipient. Call inside a transaction."""
        due = due_or_parked(self._notification, self._rests)
        if self._set is not None:
            insert_set(self._notification, self._set, due, self._reason)
            return
        insert(self._notification, self._stream or (), due)
        self._raise_problems()

    def _rows(self, found: Iterator[Target], own_data: OwnData | None) -> Iterator[Row]:
        if own_data is None or self._reason:
            return (Row(target, reason=self._reason) for target in found)
        return self._with_own_data(found, own_data)

    def _with_own_data(self, found: Iterator[Target], own_data: OwnData) -> Iterator[Row]:
        """Rows with their data. Unless bad ones are skipped, after the first only problems
        matter."""
        for target in found:
            if target.reason:
                yield Row(target, _if_good(*own_data(target)) if self._keeps_unsent else None)
                continue
            data, wrong = own_data(target)
            if wrong and self._skip_invalid:
                yield Row(target, reason=as_reason(wrong, self._notification.template.fields))
            elif wrong:
                self._problems += wrong
            elif not self._problems:
                yield Row(target, data)

    def _raise_problems(self) -> None:
        if self._problems:
            raise InvalidData(self._problems, template=self._notification.template.name)


def insert(notification: Notification, rows: Iterable[Row], due: datetime | None) -> None:
    """Write rows in chunks, one in memory at a time. Call inside a transaction.

    ``due``: as ``due_or_parked()`` has said.
    """
    iterator = iter(rows)
    now = timezone.now()
    while chunk := [_log(notification, due, now, row) for row in islice(iterator, CHUNK)]:
        SendLog.objects.bulk_create(chunk)


def _if_good(data: dict[str, Any], wrong: list[Problem]) -> dict[str, Any] | None:
    return None if wrong else data


def _log(notification: Notification, due: datetime | None, now: datetime, row: Row) -> SendLog:
    target = row.target
    reason = row.reason or target.reason
    # By key: the user or binding may have been read from another database, a replica.
    return SendLog(
        notification_id=notification.pk,
        account=notification.template.account,
        priority=notification.priority,
        user_id=target.user.pk if target.user is not None else None,
        binding_id=target.binding.pk if target.binding is not None else None,
        openid=target.openid,
        data=row.data,
        status=Status.SKIPPED if reason else Status.PENDING,
        errmsg=reason[:ERRMSG_LENGTH],
        due_at=None if reason else due,
        finished_at=now if reason else None,
        resend_of_id=row.resend_of,
    )

"""Writing a notification's rows: by the database itself where it can, else in chunks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Case, DateTimeField, F, FilteredRelation, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..exceptions import InvalidData, Problem
from ..models import MessageTemplate, Notification, OpenIDBinding, SendLog
from . import outbox
from .content import as_reason
from .recipients import (
    CHUNK,
    NOT_BOUND,
    NOT_FOLLOWING,
    OTHER_ACCOUNT,
    Target,
    can_be_subquery,
    is_queryset_of,
    targets,
)

Status = SendLog.Status

OwnData = Callable[[Target], tuple[dict[str, Any], list[Problem]]]
"""A recipient's own wire data, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row to write: to whom, its own data, and the row it repeats."""

    target: Target
    data: dict[str, Any] | None = None
    reason: str = ""
    resend_of: int | None = None


def write_rows(
    notification: Notification,
    users: Any,
    *,
    own_data: OwnData | None = None,
    skip_invalid: bool = False,
    reason: str = "",
) -> datetime | None:
    """Write one row for each openid of each recipient. Call inside a transaction.

    Returns when they are due, as ``due_at`` says.

    ``own_data`` gives each recipient data of its own; without it all share the notification's,
    and a QuerySet of users or bindings never becomes Python objects. ``reason`` skips everybody.
    Raises ``InvalidData`` with the problems of all recipients, unless ``skip_invalid`` turns each
    of them into a row that says why.
    """
    if own_data is None and _set_based(users):
        return _insert_select(notification, users, reason)
    found = targets(users, notification.template.account)
    if own_data is None:
        return insert(notification, (Row(target, reason=reason) for target in found))
    problems: list[Problem] = []
    due = insert(notification, _with_own_data(found, own_data, skip_invalid, problems))
    if problems:
        raise InvalidData(problems, template=notification.template.name)
    return due


def insert(notification: Notification, rows: Iterable[Row]) -> datetime | None:
    """Write rows in chunks; memory holds one chunk. Returns when they are due."""
    using = outbox.database().alias
    due = due_at(notification)
    iterator = iter(rows)
    while chunk := [_log(notification, due, row) for row in islice(iterator, CHUNK)]:
        SendLog.objects.using(using).bulk_create(chunk)
    return due


def due_at(notification: Notification) -> datetime | None:
    """When a new row of this notification is due. None: parked until somebody resumes it.

    Asks the database. The caller's template may have been read long ago, and nobody resumes what
    is paused no more.
    """
    templates = MessageTemplate.objects.using(outbox.database().alias)
    paused = templates.filter(pk=notification.template_id, paused_at__isnull=False)
    if notification.paused_at or paused.exists():
        return None
    return notification.send_at or timezone.now()


def _with_own_data(
    found: Iterator[Target], own_data: OwnData, skip_invalid: bool, problems: list[Problem]
) -> Iterator[Row]:
    """Rows with their data. After the first bad one, with nothing skipped, only problems matter."""
    for target in found:
        if target.reason:
            yield Row(target)
            continue
        data, wrong = own_data(target)
        if wrong and skip_invalid:
            yield Row(target, reason=as_reason(wrong))
        elif wrong:
            problems += wrong
        elif not problems:
            yield Row(target, data)


def _log(notification: Notification, due: datetime | None, row: Row) -> SendLog:
    target = row.target
    reason = row.reason or target.reason
    # By key: a user or binding that was read from a replica is the same row here.
    return SendLog(
        notification_id=notification.pk,
        account=notification.template.account,
        user_id=target.user.pk if target.user is not None else None,
        binding_id=target.binding.pk if target.binding is not None else None,
        openid=target.openid,
        data=row.data,
        status=Status.SKIPPED if reason else Status.PENDING,
        errmsg=reason[: outbox.ERRMSG_LENGTH],
        due_at=None if reason else due,
        resend_of_id=row.resend_of,
    )


# -- set-based --------------------------------------------------------------------------------


def _set_based(users: Any) -> bool:
    return (
        is_queryset_of(users, get_user_model()) or is_queryset_of(users, OpenIDBinding)
    ) and can_be_subquery(users, outbox.database().alias)


def _insert_select(
    notification: Notification, users: QuerySet[Any], reason: str
) -> datetime | None:
    using = outbox.database().alias
    due = due_at(notification)
    account = notification.template.account
    chosen = users.order_by().values("pk")
    if is_queryset_of(users, OpenIDBinding):
        bindings = OpenIDBinding.objects.using(using).filter(pk__in=chosen)
        here, elsewhere = bindings.filter(account=account), bindings.exclude(account=account)
        _copy(here, notification, _columns("user_id", "", reason, due))
        _copy(elsewhere, notification, _columns("user_id", "", reason or OTHER_ACCOUNT, due))
    else:
        # One pass over the people, each with all bindings there are, or with none.
        on_account = Q(wechat_bindings__account=account)
        people = get_user_model()._base_manager.using(using).filter(pk__in=chosen)
        joined = people.annotate(bound=FilteredRelation("wechat_bindings", condition=on_account))
        _copy(joined, notification, _columns("pk", "bound__", reason, due))
    return due


def _copy(rows: QuerySet[Any], notification: Notification, columns: dict[str, Combinable]) -> None:
    outbox.insert_select(
        rows,
        {
            **_defaults(),
            "notification": Value(notification.pk),
            "account": Value(notification.template.account),
            **columns,
        },
    )


def _defaults() -> dict[str, Combinable]:
    """What ``save()`` would write by itself. The database only knows NULL for what is left out."""
    fields = SendLog._meta.concrete_fields
    return {field.name: Value(field.get_default()) for field in fields if field.has_default()}


def _columns(user: str, bound: str, reason: str, due: datetime | None) -> dict[str, Combinable]:
    """Columns of one row for each person and binding: skipped for a reason, or because of it.

    ``user`` names the column with the person's key; ``bound`` is what leads to the binding's.
    """
    columns: dict[str, Combinable] = {
        "user": F(user),
        "binding": F(f"{bound}pk"),
        "openid": Coalesce(F(f"{bound}openid"), Value("")),
    }
    if reason:
        errmsg = Value(reason[: outbox.ERRMSG_LENGTH])
        return {**columns, "status": Value(Status.SKIPPED.value), "errmsg": errmsg}
    follows, does_not = ({f"{bound}subscribed": answer} for answer in (True, False))
    columns["status"] = Case(
        When(**follows, then=Value(Status.PENDING.value)), default=Value(Status.SKIPPED.value)
    )
    columns["errmsg"] = Case(
        When(**follows, then=Value("")),
        When(**does_not, then=Value(NOT_FOLLOWING)),
        default=Value(NOT_BOUND),
    )
    if due is not None:
        moment = Value(due, output_field=DateTimeField())
        columns["due_at"] = Case(When(**follows, then=moment), default=None)
    return columns

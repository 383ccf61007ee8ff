"""Rows for a whole QuerySet of people, written by the database itself: INSERT … SELECT."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeGuard

from django.contrib.auth import get_user_model
from django.core.exceptions import EmptyResultSet
from django.db.models import Case, DateTimeField, F, FilteredRelation, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..models import ERRMSG_LENGTH, Notification, OpenIDBinding, SendLog, database
from .recipients import NOT_BOUND, NOT_FOLLOWING, OTHER_ACCOUNT, Users, can_be_subquery

Status = SendLog.Status


def can_be_set_based(users: Users) -> TypeGuard[QuerySet[Any]]:
    """Whether INSERT … SELECT can write the rows of these recipients."""
    return (
        isinstance(users, QuerySet)
        and issubclass(users.model, (get_user_model(), OpenIDBinding))
        and can_be_subquery(users, database().alias)
    )


def insert_set(
    notification: Notification, users: QuerySet[Any], due: datetime | None, reason: str
) -> None:
    """One row for each openid of each user or binding of a QuerySet, due at ``due``.

    ``reason`` skips everybody.
    """
    using = database().alias
    account = notification.template.account
    chosen = users.order_by().values("pk")
    if issubclass(users.model, OpenIDBinding):
        bindings = OpenIDBinding.objects.filter(pk__in=chosen)
        here, elsewhere = bindings.filter(account=account), bindings.exclude(account=account)
        _copy(here, notification, _columns("user_id", "", reason, due))
        _copy(elsewhere, notification, _columns("user_id", "", reason or OTHER_ACCOUNT, due))
    else:
        # A LEFT JOIN: each user with all bindings, or once without any.
        on_account = Q(wechat_bindings__account=account)
        people = get_user_model()._base_manager.using(using).filter(pk__in=chosen)
        joined = people.annotate(bound=FilteredRelation("wechat_bindings", condition=on_account))
        _copy(joined, notification, _columns("pk", "bound__", reason, due))


def _copy(rows: QuerySet[Any], notification: Notification, columns: dict[str, Combinable]) -> None:
    _insert_select(
        rows,
        {
            **_defaults(),
            "notification": Value(notification.pk),
            "account": Value(notification.template.account),
            "priority": Value(notification.priority),
            **columns,
        },
    )


def _defaults() -> dict[str, Combinable]:
    """The fields' defaults, as ``save()`` writes them. The columns would be NULL without them."""
    fields = SendLog._meta.concrete_fields
    return {field.name: Value(field.get_default()) for field in fields if field.has_default()}


def _columns(user: str, bound: str, reason: str, due: datetime | None) -> dict[str, Combinable]:
    """The columns of one row for each user and binding. ``reason`` skips everybody.

    ``user``: the lookup of the user's key; ``bound``: the prefix of lookups of the binding.
    """
    columns: dict[str, Combinable] = {
        "user": F(user),
        "binding": F(f"{bound}pk"),
        "openid": Coalesce(F(f"{bound}openid"), Value("")),
    }
    now = Value(timezone.now(), output_field=DateTimeField())
    if reason:
        columns["status"] = Value(Status.SKIPPED.value)
        return {**columns, "errmsg": Value(reason[:ERRMSG_LENGTH]), "finished_at": now}
    follows, does_not = ({f"{bound}subscribed": answer} for answer in (True, False))
    columns["status"] = Case(
        When(**follows, then=Value(Status.PENDING.value)), default=Value(Status.SKIPPED.value)
    )
    columns["errmsg"] = Case(
        When(**follows, then=Value("")),
        When(**does_not, then=Value(NOT_FOLLOWING)),
        default=Value(NOT_BOUND),
    )
    columns["finished_at"] = Case(When(**follows, then=None), default=now)
    if due is not None:
        moment = Value(due, output_field=DateTimeField())
        columns["due_at"] = Case(When(**follows, then=moment), default=None)
    return columns


def _insert_select(rows: QuerySet[Any], columns: Mapping[str, Combinable]) -> None:
    """INSERT … SELECT: one send-log row for each row of a QuerySet.

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
        return  # nobody
    names = ", ".join(quote(_column(name)) for name in columns)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO {quote(SendLog._meta.db_table)} ({names}) {sql}", params)


def _column(field: str) -> str:
    return str(SendLog._meta.get_field(field).get_attname_column()[1])  # type: ignore[union-attr]

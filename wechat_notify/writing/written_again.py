"""Writes rows of the send log again, as new rows of a new notification."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from ..models import MessageTemplate, Notification, SendLog, database, pages_by_key
from ..wechat.naming import as_reason, carried_over
from . import recipients
from .active_template import template_again
from .enqueue import Row, insert
from .once import save_once
from .parking import due_or_parked

Priority = Notification.Priority


def final_rows(logs: SendLog | Iterable[SendLog]) -> QuerySet[SendLog]:
    """The rows of ``logs`` that will not be sent any more."""
    using = database().alias
    if isinstance(logs, QuerySet) and not logs.query.is_sliced:
        pks: Any = logs.using(using).order_by().values("pk")
    else:
        pks = [log.pk for log in ([logs] if isinstance(logs, SendLog) else logs)]
    return SendLog.objects.final().filter(pk__in=pks)


def keys_of_each(chosen: QuerySet[SendLog]) -> dict[int, list[int]]:
    """The keys of the rows of each notification among ``chosen``, by the notification's own.

    Asked once: what chose the rows may have to look at the whole table.
    """
    keys: defaultdict[int, list[int]] = defaultdict(list)
    for notification, pk in chosen.order_by("pk").values_list("notification_id", "pk"):
        keys[notification].append(pk)
    return keys


def resend_key(token: str, old: int | str = "") -> str:
    """The key under which the rows of notification ``old`` are resent once for each token.

    Without ``old``: what all keys of this token begin with.
    """
    return f"resend-{token}-{old}"


def write_again(
    old: Notification,
    rows: Sequence[int],
    template: MessageTemplate,
    *,
    key: str | None,
    priority: Priority,
    created_by: Any,
) -> Notification:
    """A new notification of ``template`` with the content of ``old``, and rows like its ``rows``.

    These are given by their keys, in their order.
    It has no expiry. What was urgent stays so; anything else has this ``priority``. If ``key`` was
    used before, returns that notification and writes nothing.
    """
    new = Notification(
        template=template,
        revision_id=old.revision_id,  # the data is still that which was written for it
        title=old.title,
        data=old.data,
        url=old.url,
        miniprogram=old.miniprogram,
        key=key,
        priority=old.priority if old.priority == Priority.URGENT else priority,
        source=Notification.Source.RESEND,
        is_test=old.is_test,
        created_by=created_by,
    )
    if winner := save_once(new):
        return winner
    insert(new, _rows(old, rows, template), due_or_parked(new))
    return new


def checked_again(logs: QuerySet[SendLog]) -> Iterator[tuple[SendLog, str]]:
    """Each row, with the reason why its data cannot be sent again now, or "". Reads in chunks."""
    together = ("user", "notification__template", "notification__revision")
    checks: dict[int, Callable[[SendLog], str]] = {}
    for page in pages_by_key(logs.select_related(*together), recipients.CHUNK):
        for log in page:
            old = log.notification
            if old.pk not in checks:
                checks[old.pk] = _check(old, template_again(old))
            yield log, checks[old.pk](log)


def checked_shared(ids: Iterable[int]) -> Iterator[tuple[int, str]]:
    """Each of these notifications, with the reason why a row without data of its own cannot be sent
    again now, or "".
    """
    olds = Notification.objects.filter(pk__in=list(ids)).select_related("template", "revision")
    for old in olds.order_by("pk"):
        yield old.pk, _why_not(old, template_again(old), None)


def _rows(old: Notification, rows: Sequence[int], template: MessageTemplate) -> Iterator[Row]:
    why_not = _check(old, template)
    for log, target in recipients.targets_again(rows, template.account):
        yield Row(target, log.data, reason=why_not(log), resend_of=log.pk)


def _check(old: Notification, template: MessageTemplate) -> Callable[[SendLog], str]:
    """A function that says why a row's data cannot be sent now. What rows share is checked once."""
    shared = _why_not(old, template, None)
    return lambda log: _why_not(old, template, log.data) if log.data else shared


def _why_not(old: Notification, template: MessageTemplate, own_data: dict[str, Any] | None) -> str:
    """Why WeChat would refuse the data now: it was bad before, or the template has changed."""
    data = {**old.data, **(own_data or {})}
    if not data and template.fields:
        return recipients.NO_DATA
    return as_reason(carried_over(data, old.revision, template)[1], template.fields)

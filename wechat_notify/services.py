"""The verbs: what sites, the admin and the commands ask of the app.

    from wechat_notify.services import notify

    notify(user, "order_paid", {"title": "围巾", "amount": "39.80元"})

Rows are written in the caller's transaction, and nothing leaves the machine before it commits.
What happens to one recipient is a row in the send log, never an exception.

The arguments of ``notify()`` and ``anotify()``:

``users``
    A user, an ``OpenIDBinding``, an openid string, or any iterable or QuerySet of these. A user
    with two openids on the account gets the message on both; an openid named twice gets it once. A
    user without one, or who unfollowed, gets a ``skipped`` row with the reason.
``template``
    A ``MessageTemplate`` or its ``name``.
``data``
    ``{"title": "…"}`` or ``{"title": {"value": "…"}}``, by the template's ``field_names`` or by
    WeChat's keys (``thing1``); or a function that gets the user (the openid where there is no user)
    and returns it, or raises ``InvalidData`` for this person. Dates, numbers and lazy texts are
    formatted.
``title``
    What the notification is called in lists and links of this site, at most 100 characters; a
    longer one is shortened. Recipients do not see it. Without one, it is made of the first values
    that all recipients share; what a function returns is not shared.
``url``, ``miniprogram``
    Where a tap leads. WeChat prefers the mini program, and falls back on the url where a client
    cannot open one. With neither, both are the template's own; with a mini program alone, the url
    is the template's; with a url alone, there is no mini program. A relative url is put behind
    ``SITE_URL``; one that begins with a host, such as ``www.example.com/x``, gets ``https://``.
``account``
    The alias; else the template's account, or "default" for a name.
``key``
    A second call with the same account, template name and key returns the first's
    ``Notification`` and sends nothing.
``send_at``, ``expires_at``
    Aware datetimes: not before, and not later than.
``priority``
    ``Notification.Priority.URGENT``, ``NORMAL`` or ``BULK``: what is more urgent is sent first.
    None: NORMAL, and BULK for more than 100 recipients.
``created_by``
    The user who asked for it, for the log.
``is_test``
    Marks it as a test: it is sent like any other, and statistics do not count it.

It returns the ``Notification``; its ``logs`` are the rows, and ``is_new`` is False where ``key``
found an earlier one. Nobody to write to is no error. It raises ``TemplateNotFound``,
``InvalidData`` (all problems at once, nothing written) and ``ImproperlyConfigured`` (unknown
account, unusable backend or dispatcher).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import DateTimeField, QuerySet, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from .backends.registry import get_backend
from .binding.bind import bind, unbind
from .conf import settings
from .dispatchers.base import BaseDispatcher, get_dispatcher
from .dispatchers.on_commit import hand_over_on_commit
from .models import (
    Approval,
    MessageTemplate,
    Notification,
    SendLog,
    SendLogQuerySet,
    database,
    repeats_on_conflict,
)
from .sending.breaker import Breaker
from .sending.way_out import forget_closures
from .template_replacement import move_name, review_replacement
from .template_sync import (
    add_template,
    delete_template,
    name_fields,
    name_template,
    sync_templates,
)
from .types import DataSource, MiniProgram
from .writing.active_template import find_active, template_again, templates_again
from .writing.by_number import priority_by_number
from .writing.held import Decision, end_requests, hold_above
from .writing.once import find_by_key
from .writing.parking import free_waiting, unpark
from .writing.prepared import Options, prepare
from .writing.recipients import Users
from .writing.sent_again import repeats_of
from .writing.what_waits import UNCHANGED, Unchanged, call_off, lock, move, nothing_waits, set_times
from .writing.written_again import final_rows, keys_of_each, resend_key, write_again

__all__ = [
    "add_template",
    "anotify",
    "bind",
    "cancel",
    "delete_template",
    "name_fields",
    "name_template",
    "notify",
    "pause",
    "release_template",
    "replace_template",
    "reschedule",
    "resend",
    "resume",
    "resume_account",
    "resume_template",
    "review_replacement",
    "send_instead",
    "sync_templates",
    "unbind",
]


Status = SendLog.Status


def notify(
    users: Users,
    template: MessageTemplate | str,
    data: DataSource,
    *,
    title: str = "",
    url: str = "",
    miniprogram: MiniProgram | None = None,
    account: str | None = None,
    key: str = "",
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    priority: int | None = None,
    created_by: Any = None,
    is_test: bool = False,
    _source: str = Notification.Source.CODE,
    _skip_invalid: bool = False,
    _keeps_unsent: bool = False,
    _dispatch: bool = True,
    _repeats: SendLogQuerySet | None = None,
) -> Notification:
    """Send a template message to each of ``users`` once the current transaction commits.

    Arguments, result and errors are described at the top of this module.
    """
    found = find_active(template, account)
    dispatcher = _ready_to_send(found.account)
    if earlier := find_by_key(found, key):
        return earlier
    prepared = prepare(
        found,
        users,
        data,
        Options(title, url, miniprogram, key, send_at, expires_at, priority),
        source=_source,
        created_by=created_by,
        is_test=is_test,
        skip_invalid=_skip_invalid,
        keeps_unsent=_keeps_unsent,
        rests=found.rests if isinstance(template, str) else None,
        repeats=None if _repeats is None else repeats_of(_repeats),
    )
    if winner := prepared.write_once():
        return winner
    if _dispatch:
        hand_over_on_commit(dispatcher, [prepared.notification])
    return prepared.notification


anotify = sync_to_async(notify)
"""``notify()`` for async code: ``await anotify(…)``, with the same arguments and result."""


def dispatch(notifications: Sequence[Notification]) -> None:
    """Have notifications sent that are written and committed. Called for many at a time."""
    if notifications:
        hand_over_on_commit(get_dispatcher(), notifications)


def resend(
    logs: SendLog | Iterable[SendLog],
    *,
    created_by: Any = None,
    token: str = "",
) -> QuerySet[SendLog]:
    """Send these messages again, as new rows that point to the old ones by ``resend_of``.

    Any row that nothing will be sent for any more can be resent, an accepted or delivered one
    too: the person gets it a second time. Rows still waiting or being sent are left alone. A user
    who has bound WeChat since gets the message there. Each notification among the rows becomes a
    new one, without expiry. What was urgent stays so; else the number of rows decides between
    NORMAL and BULK. A second call with the same ``token`` sends none of them once more, and returns
    what the first has made.

    Returns the new rows. Raises ``TemplateNotFound`` where a template is no longer active; then
    nothing is resent.
    """
    made = resend_notifications(logs, created_by=created_by, token=token)
    return SendLog.objects.filter(notification__in=made).order_by("pk")


def resend_notifications(
    logs: SendLog | Iterable[SendLog],
    *,
    created_by: Any = None,
    token: str = "",
    needs_approval: bool = False,
) -> list[Notification]:
    """As ``resend``; returns the notifications. ``is_new`` says whether this call made them.

    ``needs_approval``: a person asked for it, so that more than ``APPROVAL_ABOVE`` messages are
    held until a second person approves them.
    """
    news = _write_again(final_rows(logs), created_by, token, needs_approval=needs_approval)
    if news:
        hand_over_on_commit(get_dispatcher(), news)
    return news


def was_resent(token: str, *, created_by: Any) -> bool:
    """Whether ``resend`` was called before with this ``token``, for this user."""
    theirs = Notification.objects.filter(created_by=created_by)  # by an index
    return bool(token) and theirs.filter(key__startswith=resend_key(token)).exists()


@repeats_on_conflict
def cancel(notification: Notification) -> int:
    """Cancel the messages that still wait. Returns how many will not be sent.

    A message that is being sent at this moment cannot be stopped. One that may have arrived in an
    earlier attempt is not tried again and becomes ``uncertain``. A request for approval is
    withdrawn.
    """
    waiting = SendLog.objects.waiting().filter(notification=notification)
    with transaction.atomic(using=database().alias):
        # For rows that are being sent now and fail: the mark keeps them from being tried again.
        _mark(notification, "cancelled_at")
        notification.refresh_from_db(using=database().alias, fields=["cancelled_at"])
        end_requests(Approval.objects.filter(notification=notification), Decision.WITHDRAWN)
        in_doubt = waiting.filter(in_doubt_since__isnull=False)
        now = timezone.now()
        in_doubt.update(status=Status.UNCERTAIN, due_at=None, finished_at=now)
        return waiting.update(status=Status.CANCELLED, due_at=None, finished_at=now)


@repeats_on_conflict
def pause(notification: Notification) -> int:
    """Hold what is still waiting until ``resume``. Returns how many messages wait."""
    with transaction.atomic(using=database().alias):
        _mark(notification, "paused_at")
        notification.refresh_from_db(using=database().alias, fields=["paused_at"])
        return SendLog.objects.waiting().filter(notification=notification).update(due_at=None)


@repeats_on_conflict
def resume(notification: Notification) -> int:
    """Let a paused notification go on. Returns how many messages are due again.

    None are while its template is paused: they wait for ``resume_template``. Nor are those that
    wait for approval.
    """
    dispatcher = _ready_to_send(notification.template.account)
    with transaction.atomic(using=database().alias):
        this = Notification.objects.filter(pk=notification.pk)
        this.update(paused_at=None)
        notification.refresh_from_db(using=database().alias, fields=["paused_at"])
        freed = unpark(this)
    hand_over_on_commit(dispatcher, [notification])
    return freed


@repeats_on_conflict
def reschedule(
    notification: Notification,
    *,
    send_at: datetime | Unchanged | None = UNCHANGED,
    expires_at: datetime | Unchanged | None = UNCHANGED,
) -> int:
    """Send what still waits at another time. Returns how many messages that concerns.

    ``send_at`` None: now; ``expires_at`` None: never; what is left out stays as it is. A message
    that a worker has taken already stays as it is, and so does one that may have arrived. One that
    waits for another attempt never leaves sooner than it would have; paused ones stay paused.

    Raises ``InvalidData`` for a naive datetime, an expiry that has passed or is not after
    ``send_at``, and where nothing waits; then nothing is changed.
    """
    dispatcher = _ready_to_send(notification.template.account)
    with transaction.atomic(using=database().alias):
        lock(notification)
        notification.refresh_from_db(using=database().alias, fields=["send_at", "expires_at"])
        set_times(notification, send_at, expires_at)
        if isinstance(send_at, Unchanged):
            moved = SendLog.objects.filter(notification=notification).not_left().count()
        else:
            moved = move(notification, send_at)
        if not moved:
            raise nothing_waits()
    notification.refresh_from_db(using=database().alias, fields=["send_at", "expires_at"])
    hand_over_on_commit(dispatcher, [notification])
    return moved


@repeats_on_conflict
def send_instead(
    notification: Notification, write: Callable[[SendLogQuerySet], Notification]
) -> Notification:
    """Cancel what has not left of a notification, and send another one in its place.

    ``write`` gets the rows that were really cancelled, and calls ``notify()`` for their people:
    both happen in one transaction, so that nobody gets both, and nobody neither. A message that a
    worker has taken already, or that may have arrived, stays with the old notification. The new
    one's ``replaces`` points to the old one. ``write`` may be called more than once.

    Returns what ``write`` returned. If its ``key`` found an earlier notification, nothing is
    cancelled. Raises ``InvalidData`` where nothing waited any more, and whatever ``write`` raises;
    then nothing is changed.
    """
    using = database().alias
    with transaction.atomic(using=using):
        lock(notification)
        cancelled = call_off(notification)
        new = write(cancelled)
        if not new.is_new:
            transaction.set_rollback(True, using=using)
            return new
        if not cancelled.exists():
            raise nothing_waits()
        new.replaces = notification
        new.save(update_fields=["replaces"])
    return new


@repeats_on_conflict
def resume_template(template: MessageTemplate) -> int:
    """Let a paused template go on. Returns how many waiting messages are due again."""
    dispatcher = _ready_to_send(template.account)
    with transaction.atomic(using=database().alias):
        template.paused_at, template.pause_errcode = None, None
        template.save(update_fields=["paused_at", "pause_errcode"])
        held, freed = free_waiting(template)
    hand_over_on_commit(dispatcher, held)
    return freed


@repeats_on_conflict
def release_template(template: MessageTemplate) -> int:
    """Let waiting messages go on that a change of the template allows. Returns how many.

    Call it after switching a template on, or giving it a stand-in. While the template is banned
    and has no usable stand-in, none go on.
    """
    dispatcher = _ready_to_send(template.account)
    with transaction.atomic(using=database().alias):
        held, freed = free_waiting(template)
    hand_over_on_commit(dispatcher, held)
    return freed


def templates_to_resend_with(logs: QuerySet[SendLog]) -> list[MessageTemplate]:
    """The templates that ``resend()`` would send these rows with, by account and name."""
    return templates_again(logs)


def has_parked(template: MessageTemplate) -> bool:
    """Whether messages are parked although nothing but a person holds them."""
    if template.rests:
        return False
    parked = SendLog.objects.waiting().filter(account=template.account, due_at__isnull=True)
    its = parked.filter(
        notification__template=template,
        notification__paused_at__isnull=True,
        notification__held_at__isnull=True,
    )
    return its.exists()


@repeats_on_conflict
def replace_template(
    old: MessageTemplate, new: MessageTemplate, fields: Mapping[str, str] | None = None
) -> int:
    """Let the name of ``old`` point to ``new``, another template of the same account.

    Code goes on as it is, and what waits goes out with ``new``. ``fields`` are the field names of
    ``new``: from each name that code uses, or key of ``old`` that has no name, to a key of ``new``,
    or to "" to leave it out; None: as proposed. ``review_replacement()`` says beforehand what will
    happen. ``old`` stays registered under a name of its own. To undo it, replace ``new`` by it.

    Returns how many parked messages are due again. Raises ``InvalidData`` with all problems, and
    nothing is changed.
    """
    dispatcher = _ready_to_send(old.account)
    with transaction.atomic(using=database().alias):
        named = move_name(old, new, fields)
        held, freed = free_waiting(named)
    for template in (old, new):
        template.refresh_from_db(using=database().alias)
    hand_over_on_commit(dispatcher, held)
    return freed


def resume_account(account: str) -> None:
    """End an account's rest, on every host, and send what has become due meanwhile."""
    dispatcher = _ready_to_send(account)
    Breaker(account).clear()
    forget_closures(account)
    due = SendLog.objects.waiting().filter(account=account, due_at__lte=timezone.now())
    held = Notification.objects.filter(pk__in=due.values("notification_id"))
    hand_over_on_commit(dispatcher, list(held.select_related("template").order_by("pk")))


# -- pieces -----------------------------------------------------------------------------------


def _ready_to_send(account: str) -> BaseDispatcher:
    """The dispatcher. Wrong settings are raised here, to the caller, and not logged by a worker."""
    settings.require_time_zones()
    get_backend(account)
    return get_dispatcher()


@repeats_on_conflict
def _write_again(
    chosen: QuerySet[SendLog], created_by: Any, token: str, *, needs_approval: bool
) -> list[Notification]:
    news = []
    # Before the transaction, which on MariaDB goes on seeing what its first SELECT saw.
    ids = set(chosen.order_by().values_list("notification_id", flat=True).distinct())
    olds = Notification.objects.filter(pk__in=ids).order_by("pk")
    with transaction.atomic(using=database().alias):
        # Lock them: ``chosen`` may leave out what is resent already, by somebody else just now.
        list(olds.select_for_update(no_key=_no_key()).values_list("pk", flat=True))
        priority, _chosen = priority_by_number(chosen)
        rows = keys_of_each(chosen)
        for old in olds.filter(pk__in=rows.keys()).select_related("template"):
            template = find_active(template_again(old), None)
            _ready_to_send(template.account)
            key = resend_key(token, old.pk) if token else None
            new = write_again(
                old, rows[old.pk], template, key=key, priority=priority, created_by=created_by
            )
            news.append(new)
        if needs_approval:
            hold_above(one for one in news if one.is_new)
    return news


def _no_key() -> bool:
    """Whether a lock can let others refer to the row by its key meanwhile."""
    return bool(database().features.has_select_for_no_key_update)


def _mark(notification: Notification, field: str) -> None:
    """Set the time unless it is set. Always a write, for its lock: one verb after the other."""
    now = Value(timezone.now(), output_field=DateTimeField())
    Notification.objects.filter(pk=notification.pk).update(**{field: Coalesce(field, now)})

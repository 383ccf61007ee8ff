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

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from asgiref.sync import sync_to_async
from django.db import transaction
from django.db.models import QuerySet

from .binding.bind import bind, unbind
from .dispatchers.base import get_dispatcher
from .dispatchers.on_commit import hand_over_on_commit, ready_to_send
from .holding import (
    cancel,
    pause,
    release_template,
    replace_template,
    reschedule,
    resume,
    resume_account,
    resume_template,
    send_instead,
)
from .models import (
    MessageTemplate,
    Notification,
    SendLog,
    SendLogQuerySet,
    database,
    repeats_on_conflict,
)
from .template_replacement import review_replacement
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
from .writing.held import hold_above
from .writing.once import find_by_key
from .writing.prepared import Options, prepare
from .writing.recipients import Users
from .writing.sent_again import repeats_of
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
    dispatcher = ready_to_send(found.account)
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


# -- pieces -----------------------------------------------------------------------------------


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
            ready_to_send(template.account)
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

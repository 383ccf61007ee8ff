"""The verbs: what sites, the admin and the commands ask of the app.

    from wechat_notify.services import notify

    notify(user, "order_paid", {"thing1": "围巾", "amount2": "39.80元"})

Rows are written in the caller's transaction, and nothing leaves the machine before it commits.
What happens to one recipient is a row in the send log, never an exception.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from asgiref.sync import sync_to_async
from django.db import IntegrityError, transaction
from django.db.models import DateTimeField, OuterRef, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from .backends.registry import get_backend
from .binding.bindings import bind, unbind
from .conf import DEFAULT_ACCOUNT, settings
from .delivery import content, enqueue, recipients
from .delivery.breaker import Breaker
from .delivery.dispatch import BaseDispatcher, get_dispatcher
from .delivery.outbox import database
from .exceptions import Problem, TemplateNotFound
from .models import MessageTemplate, Notification, SendLog, SendLogQuerySet
from .template_sync import add_template, delete_template, sync_templates
from .types import DataSource, MiniProgram

__all__ = [
    "add_template",
    "anotify",
    "bind",
    "cancel",
    "delete_template",
    "notify",
    "pause",
    "resend",
    "resume",
    "resume_account",
    "resume_template",
    "sync_templates",
    "unbind",
]


Status = SendLog.Status


def notify(
    users: Any,
    template: MessageTemplate | str,
    data: DataSource,
    *,
    url: str = "",
    miniprogram: MiniProgram | None = None,
    account: str | None = None,
    key: str = "",
    send_at: datetime | None = None,
    expires_at: datetime | None = None,
    created_by: Any = None,
    source: str = Notification.Source.CODE,
) -> Notification:
    """Send a template message to each of ``users`` once the current transaction commits.

    ``users``
        A user, an ``OpenIDBinding``, an openid string, or any iterable or QuerySet of these. A
        user with two openids on the account gets the message on both; an openid named twice gets
        it once. A user without one, or who unfollowed, gets a ``skipped`` row with the reason.
    ``template``
        A ``MessageTemplate`` or its ``name``.
    ``data``
        ``{"thing1": "…"}`` or ``{"thing1": {"value": "…"}}``, or a function that gets the user (the
        openid where there is no user) and returns it, or raises ``InvalidData`` for this person.
        Dates, numbers and lazy texts are formatted.
    ``url``, ``miniprogram``
        Where a tap leads. WeChat prefers the mini program, and falls back on the url where a
        client cannot open one. With neither, both are the template's own; with a mini program
        alone, the url is the template's; with a url alone, there is no mini program. A relative
        url is put behind ``SITE_URL``.
    ``account``
        The alias; else the template's account, or "default" for a name.
    ``key``
        A second call with the same account, template and key returns the first's Notification and
        sends nothing.
    ``send_at``, ``expires_at``
        Aware datetimes: not before, and not later than.

    Returns the ``Notification``; its ``logs`` are the rows. Nobody to write to is no error.

    Raises ``TemplateNotFound``, ``InvalidData`` (all problems at once, nothing written) and
    ``ImproperlyConfigured`` (unknown account, unusable backend or dispatcher).
    """
    found = _find_template(template, account)
    dispatcher = _ready_to_send(found.account)
    if key and (earlier := _notifications().filter(template=found, key=key).first()):
        return earlier
    # WeChat prefers a mini program to the url, so the template's must not hide the caller's url.
    miniprogram = miniprogram or (None if url else found.miniprogram)
    url = url or found.url
    problems = content.time_problems(send_at, expires_at)
    problems += content.link_problems(url, miniprogram) + _key_problems(key)
    shared, reason = _shared_data(found, data, problems)
    notification = Notification(
        template=found,
        data=shared,
        url=content.absolute_url(url),
        miniprogram=content.complete(miniprogram),
        key=key or None,
        source=source,
        created_by=created_by,
        send_at=send_at,
        expires_at=expires_at,
    )
    own_data = partial(content.own_data, found, data) if callable(data) else None
    with transaction.atomic(using=database().alias):
        if winner := _save_once(notification):
            return winner
        due = enqueue.write_rows(
            notification,
            users,
            own_data=own_data,
            skip_invalid=settings.INVALID_DATA == "skip",
            reason=reason,
        )
    _look_again_on_commit(notification, due)
    _dispatch_on_commit(dispatcher, notification)
    return notification


anotify = sync_to_async(notify)
"""``notify()`` for async code: ``await anotify(…)``, with the same arguments and result."""


def resend(
    logs: SendLog | Iterable[SendLog], *, created_by: Any = None, token: str = ""
) -> QuerySet[SendLog]:
    """Send these messages again, as new rows that point to the old ones by ``resend_of``.

    Any row that nothing will be sent for any more can be resent, an accepted or delivered one
    too: the person gets it a second time. Rows still waiting or being sent are left alone. A user
    who has bound WeChat since gets the message there. Each notification among the rows becomes a
    new one, without expiry. A second call with the same ``token`` sends none of them once more,
    and returns what the first has made.

    Returns the new rows. Raises ``TemplateNotFound`` where a template is no longer active; then
    nothing is resent.
    """
    chosen = _final_rows(logs)
    with transaction.atomic(using=database().alias):
        ids = set(chosen.order_by().values_list("notification_id", flat=True))
        olds = _notifications().filter(pk__in=ids).select_related("template").order_by("pk")
        news = [
            _resend_as_new(
                old,
                chosen.filter(notification=old),
                created_by,
                key=f"resend-{token}-{old.pk}" if token else None,
            )
            for old in olds
        ]
    if news:
        _dispatch_on_commit(get_dispatcher(), *news)
    return _logs().filter(notification__in=news).order_by("pk")


def cancel(notification: Notification) -> int:
    """Call off what is still waiting. Returns how many messages will not be sent.

    A message that is being sent at this moment cannot be called back. One of which nobody knows
    whether it arrived is not tried again and becomes ``uncertain``.
    """
    waiting = _logs().waiting().filter(notification=notification)
    with transaction.atomic(using=database().alias):
        # The mark is for rows in flight that come back to be tried again.
        _notifications().filter(pk=notification.pk, cancelled_at__isnull=True).update(
            cancelled_at=timezone.now()
        )
        notification.refresh_from_db(using=database().alias, fields=["cancelled_at"])
        in_doubt = waiting.filter(in_doubt_since__isnull=False)
        in_doubt.update(status=Status.UNCERTAIN, due_at=None)
        return waiting.update(status=Status.CANCELLED, due_at=None)


def pause(notification: Notification) -> int:
    """Hold what is still waiting until ``resume``. Returns how many messages wait."""
    with transaction.atomic(using=database().alias):
        _notifications().filter(pk=notification.pk, paused_at__isnull=True).update(
            paused_at=timezone.now()
        )
        notification.refresh_from_db(using=database().alias, fields=["paused_at"])
        return _logs().waiting().filter(notification=notification).update(due_at=None)


def resume(notification: Notification) -> int:
    """Let a paused notification go on. Returns how many messages are due again.

    None are while its template is paused: they wait for ``resume_template``.
    """
    dispatcher = _ready_to_send(notification.template.account)
    with transaction.atomic(using=database().alias):
        this = _notifications().filter(pk=notification.pk)
        this.update(paused_at=None)
        notification.refresh_from_db(using=database().alias, fields=["paused_at"])
        freed = _unpark(this)
    _dispatch_on_commit(dispatcher, notification)
    return freed


def resume_template(template: MessageTemplate) -> int:
    """Let a paused template go on. Returns how many waiting messages are due again."""
    dispatcher = _ready_to_send(template.account)
    with transaction.atomic(using=database().alias):
        template.paused_at, template.pause_errcode = None, None
        template.save(update_fields=["paused_at", "pause_errcode"])
        parked = _logs().waiting().filter(due_at__isnull=True)
        its = _notifications().filter(template=template, paused_at__isnull=True)
        held = list(its.filter(pk__in=parked.values("notification_id")).select_related("template"))
        freed = _unpark(its)
    _dispatch_on_commit(dispatcher, *held)
    return freed


def resume_account(account: str) -> None:
    """End an account's rest, and let what has become due in the meantime go out."""
    dispatcher = _ready_to_send(account)
    Breaker(account).clear()
    due = _logs().waiting().filter(account=account, due_at__lte=timezone.now())
    held = _notifications().filter(pk__in=due.values("notification_id"))
    _dispatch_on_commit(dispatcher, *held.select_related("template").order_by("pk"))


# -- pieces -----------------------------------------------------------------------------------


def _templates() -> QuerySet[MessageTemplate]:
    """Read, as all below, where they are written: a replica may not know the latest."""
    return MessageTemplate.objects.using(database().alias)


def _notifications() -> QuerySet[Notification]:
    return Notification.objects.using(database().alias)


def _logs() -> SendLogQuerySet:
    return SendLog.objects.using(database().alias)


def _find_template(template: MessageTemplate | str, account: str | None) -> MessageTemplate:
    if isinstance(template, MessageTemplate):
        alias = account or template.account
        settings.account(alias)
        if alias != template.account:
            raise TemplateNotFound(
                f"Template {template.name!r} belongs to account {template.account!r}, "
                f"not to {alias!r}."
            )
        found: MessageTemplate | None = template
    else:
        alias = account or DEFAULT_ACCOUNT
        settings.account(alias)
        found = _templates().filter(account=alias, name=template).first()
    if found is None:
        raise TemplateNotFound(
            f"No template named {template!r} on account {alias!r}. "
            f"Register it in the admin, or run manage.py wechat_sync_templates."
        )
    if not found.is_active:
        raise TemplateNotFound(
            f"Template {found.name!r} on account {alias!r} is not active: WeChat no longer lists "
            f"it, or somebody switched it off. Sync the templates or activate it in the admin."
        )
    return found


def _ready_to_send(account: str) -> BaseDispatcher:
    """Find out about a wrong setting now, in the caller's face, and not in a worker's log."""
    settings.require_time_zones()
    get_backend(account)
    return get_dispatcher()


def _key_problems(key: str) -> list[Problem]:
    length = Notification._meta.get_field("key").max_length or 0
    if not isinstance(key, str) or len(key) > length:
        return [Problem("key", f"must be a text of at most {length} characters", key)]
    return []


def _shared_data(
    template: MessageTemplate, data: DataSource, problems: list[Problem]
) -> tuple[dict[str, Any], str]:
    """Data for everybody and, where bad data is to be skipped, the reason to skip everybody.

    Raises ``InvalidData`` for these and any other ``problems`` together.
    """
    if callable(data):
        content.require(problems, template)
        return {}, ""
    shared, wrong = content.wire_data(template, data)
    if wrong and not problems and settings.INVALID_DATA == "skip" and isinstance(data, Mapping):
        return shared, content.as_reason(wrong)
    content.require(problems + wrong, template)
    return shared, ""


def _save_once(notification: Notification) -> Notification | None:
    """Save it, or give the one for which another transaction has used the key in the meantime."""
    if notification.key is None:
        notification.save(force_insert=True)
        return None
    try:
        with transaction.atomic(using=database().alias):
            notification.save(force_insert=True)
    except IntegrityError:
        same = _notifications().filter(template=notification.template, key=notification.key)
        # Whoever lost the race on MariaDB holds a shared lock on the winner's row, and losers who
        # all ask for more lock each other out. So lock only under REPEATABLE READ, where the
        # snapshot does not have the row and a locking read has.
        winner = same.first() or same.select_for_update().first()
        if winner is None:
            raise
        return winner
    return None


def _look_again_on_commit(notification: Notification, due: datetime | None) -> None:
    """Where rows were parked: whoever resumed the template meanwhile could not see them yet."""

    def look_again() -> None:
        no_key = database().features.has_select_for_no_key_update
        with transaction.atomic(using=database().alias):
            # Locked, for whoever resumes it at this moment has looked for rows already.
            _templates().select_for_update(no_key=no_key).get(pk=notification.template_id)
            _unpark(_notifications().filter(pk=notification.pk))

    if due is None:
        transaction.on_commit(look_again, using=database().alias, robust=True)


def _dispatch_on_commit(dispatcher: BaseDispatcher, *notifications: Notification) -> None:
    def dispatch() -> None:  # a partial has no name for Django to log when it fails
        dispatcher.dispatch_all(notifications)

    # robust: a broker that is down must not fail the request whose rows are already safe.
    transaction.on_commit(dispatch, using=database().alias, robust=True)


def _final_rows(logs: SendLog | Iterable[SendLog]) -> QuerySet[SendLog]:
    if isinstance(logs, QuerySet) and not logs.query.is_sliced:
        pks: Any = logs.using(database().alias).order_by().values("pk")
    else:
        pks = [log.pk for log in ([logs] if isinstance(logs, SendLog) else logs)]
    return _logs().final().filter(pk__in=pks).order_by("pk")


def _resend_as_new(
    old: Notification, logs: QuerySet[SendLog], created_by: Any, *, key: str | None
) -> Notification:
    template = _find_template(old.template, None)
    _ready_to_send(template.account)
    new = Notification(
        template=template,
        data=old.data,
        url=old.url,
        miniprogram=old.miniprogram,
        key=key,
        source=Notification.Source.RESEND,
        created_by=created_by,
    )
    if winner := _save_once(new):
        return winner
    _look_again_on_commit(new, enqueue.insert(new, _rows_again(old, logs)))
    return new


def _rows_again(old: Notification, logs: QuerySet[SendLog]) -> Iterable[enqueue.Row]:
    shared_reason = _why_not_again(old, None)
    for log, target in recipients.targets_again(logs, old.template.account):
        reason = _why_not_again(old, log.data) if log.data else shared_reason
        yield enqueue.Row(target, log.data, reason=reason, resend_of=log.pk)


def _why_not_again(old: Notification, own_data: dict[str, Any] | None) -> str:
    """What WeChat would refuse today: data that was skipped before, or a template that changed."""
    data = {**old.data, **(own_data or {})}
    if not data and old.template.fields:
        return recipients.NO_DATA
    return content.as_reason(old.template.check_data(data))


def _unpark(notifications: QuerySet[Notification]) -> int:
    """Give their parked rows a due date again, unless something else still holds them.

    One statement, however many notifications: each row gets its notification's ``send_at``, or
    now where that is over.
    """
    now = timezone.now()
    free = notifications.filter(paused_at__isnull=True, template__paused_at__isnull=True)
    parked = _logs().waiting().filter(due_at__isnull=True, notification__in=free.values("pk"))
    later = _notifications().filter(pk=OuterRef("notification"), send_at__gt=now)
    moment = Value(now, output_field=DateTimeField())
    return parked.update(due_at=Coalesce(Subquery(later.values("send_at")), moment))

"""cancel(), pause(), resume() and resume_template(): holding messages back."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_binding, make_bindings, make_template
from wechat_notify.backends import locmem
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import (
    cancel,
    notify,
    pause,
    resend,
    resume,
    resume_account,
    resume_template,
)

pytestmark = pytest.mark.django_db

Status = SendLog.Status


def statuses(notification: Notification) -> dict[str, int]:
    """Counts without the zeros."""
    return {status: n for status, n in notification.counts.items() if n}


@pytest.fixture
def waiting(template: MessageTemplate) -> Notification:
    """A notification with three rows that wait."""
    return notify(make_bindings(3), template, ORDER)


# -- cancel -----------------------------------------------------------------------------------


def test_cancel_calls_off_what_waits(waiting: Notification) -> None:
    """Waiting rows are cancelled; one that is being sent, and one that is over, are not."""
    first, second, _third = waiting.logs.order_by("pk")
    SendLog.objects.filter(pk=first.pk).update(status=Status.SENDING)
    SendLog.objects.filter(pk=second.pk).update(status=Status.SENT)
    assert cancel(waiting) == 1
    assert statuses(waiting) == {"sending": 1, "sent": 1, "cancelled": 1}
    assert cancel(waiting) == 0


def test_cancel_does_not_claim_what_nobody_knows(waiting: Notification) -> None:
    """A row whose first attempt may have arrived is not called "cancelled"."""
    doubtful = waiting.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=doubtful.pk).update(in_doubt_since=timezone.now())
    assert cancel(waiting) == 2
    doubtful.refresh_from_db()
    assert (doubtful.status, doubtful.due_at) == (Status.UNCERTAIN, None)


def test_what_comes_into_doubt_meanwhile_is_not_called_cancelled(waiting: Notification) -> None:
    """A worker notes a timeout between the statements of cancel(): the message may have arrived."""
    row = waiting.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=row.pk).update(status=Status.SENDING)
    noted: list[str] = []

    def note(execute: Any, sql: str, *more: Any) -> Any:
        result = execute(sql, *more)
        if sql.startswith("UPDATE") and "sendlog" in sql and not noted:
            noted.append(sql)
            now = timezone.now()
            this = SendLog.objects.filter(pk=row.pk)
            this.update(status=Status.PENDING, in_doubt_since=now, due_at=now)
        return result

    with connection.execute_wrapper(note):
        assert cancel(waiting) == 2
    engine.deliver()
    assert statuses(waiting) == {"uncertain": 1, "cancelled": 2}


def test_what_is_over_is_not_cancelled(waiting: Notification) -> None:
    """Everybody has got it: nothing calls it cancelled afterwards."""
    waiting.logs.update(status=Status.DELIVERED, due_at=None)
    assert cancel(waiting) == 0
    waiting.refresh_from_db()
    assert waiting.cancelled_at is None


def test_cancel_is_about_one_notification(waiting: Notification, template: MessageTemplate) -> None:
    """Nobody else's messages are called off."""
    other = notify(make_binding(number=9), template, ORDER)
    cancel(waiting)
    assert statuses(other) == {"pending": 1}


@pytest.mark.django_db(transaction=True)
def test_what_is_cancelled_before_the_commit_never_leaves(template: MessageTemplate) -> None:
    """notify() and cancel() in one transaction send nothing."""
    binding = make_binding()
    with transaction.atomic():
        cancel(notify(binding, template, ORDER))
    assert locmem.outbox == []


# -- pause and resume -------------------------------------------------------------------------


def test_pause_holds_and_resume_lets_go(
    waiting: Notification, django_capture_on_commit_callbacks: Any
) -> None:
    """Paused rows have no due date; resumed ones are delivered."""
    assert pause(waiting) == 3
    assert waiting.paused_at is not None
    assert set(waiting.logs.values_list("due_at", flat=True)) == {None}
    with django_capture_on_commit_callbacks(execute=True):
        assert resume(waiting) == 3
    assert waiting.paused_at is None
    assert statuses(waiting) == {"sent": 3}


def test_pausing_twice_keeps_the_first_time(waiting: Notification) -> None:
    """ "Paused since" means the first pause."""
    pause(waiting)
    since = waiting.paused_at
    assert pause(waiting) == 3
    assert waiting.paused_at == since


def test_nothing_is_sent_while_paused(waiting: Notification) -> None:
    """A delivery run finds nothing due."""
    pause(waiting)
    assert engine.deliver().handled == 0


def test_resume_keeps_a_later_date(template: MessageTemplate) -> None:
    """A notification that was to go out later still does after pause and resume."""
    later = timezone.now() + timedelta(hours=2)
    notification = notify(make_binding(), template, ORDER, send_at=later)
    pause(notification)
    resume(notification)
    assert notification.logs.get().due_at == later


def test_resume_of_what_was_not_paused_changes_nothing(waiting: Notification) -> None:
    """Rows with a due date keep it."""
    due = list(waiting.logs.values_list("due_at", flat=True))
    assert resume(waiting) == 0
    assert list(waiting.logs.values_list("due_at", flat=True)) == due


def test_resume_waits_for_a_paused_template(waiting: Notification) -> None:
    """A notification does not go on past its paused template."""
    pause(waiting)
    MessageTemplate.objects.update(paused_at=timezone.now())
    assert resume(waiting) == 0
    assert set(waiting.logs.values_list("due_at", flat=True)) == {None}


# -- a paused template ------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_banned_template_is_parked_and_resumed() -> None:
    """After 43116 every message of the template waits, and goes out once it is resumed."""
    template = make_template()
    locmem.results.add(43116)
    first = notify(make_binding(number=1), template, ORDER)
    second = notify(make_binding(number=2), "order_paid", ORDER)
    assert (statuses(first), statuses(second)) == ({"pending": 1}, {"pending": 1})
    template.refresh_from_db()
    assert template.pause_errcode == 43116
    assert resume_template(template) == 2
    assert (template.paused_at, template.pause_errcode) == (None, None)
    assert (statuses(first), statuses(second)) == ({"sent": 1}, {"sent": 1})


def test_resume_template_leaves_paused_notifications_alone(template: MessageTemplate) -> None:
    """What somebody paused by itself waits for its own resume."""
    template.paused_at = timezone.now()
    template.save()
    held, other = (notify(make_binding(number=number), template, ORDER) for number in (1, 2))
    pause(held)
    assert resume_template(template) == 1
    assert held.logs.get().due_at is None
    assert other.logs.get().due_at is not None


def test_resume_template_frees_all_at_once(template: MessageTemplate) -> None:
    """As many statements for one call's messages as for many; each call's keep their own date."""
    binding, later = make_binding(), timezone.now() + timedelta(hours=2)
    moments = [None, later, later + timedelta(hours=1), None]
    costs = []
    for whens in (moments[:1], moments):
        MessageTemplate.objects.update(paused_at=timezone.now())
        logs = [notify(binding, template, ORDER, send_at=when).logs.get() for when in whens]
        with CaptureQueriesContext(connection) as captured:
            assert resume_template(template) == len(whens)
        costs.append(len(captured))
    assert costs[0] == costs[1]
    for log, when in zip(logs, moments, strict=True):
        log.refresh_from_db()
        assert log.due_at == when if when else log.due_at <= timezone.now()


def test_resume_template_is_about_one_template(template: MessageTemplate) -> None:
    """Other templates stay paused."""
    other = make_template("other_template", paused_at=timezone.now())
    notification = notify(make_binding(), other, ORDER)
    assert resume_template(template) == 0
    assert notification.logs.get().due_at is None


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_a_template_resumed_by_somebody_else_meanwhile() -> None:
    """Their transaction cannot see the rows of ours, and ends before it or waits for it."""
    if connection.vendor == "sqlite":
        pytest.skip("DATABASE_URL names no server")
    template = make_template(paused_at=timezone.now())

    def resume_it() -> None:
        resume_template(template)
        connection.close()

    other = threading.Thread(target=resume_it)

    def data(person: Any) -> dict[str, str]:
        other.start()
        other.join(timeout=2)
        return ORDER

    notification = notify(make_binding(), "order_paid", data)
    other.join()
    assert statuses(notification) == {"sent": 1}


# -- a site with a read replica ---------------------------------------------------------------


def test_a_replica_is_not_asked_about_what_changes(
    waiting: Notification, template: MessageTemplate, settings: Any
) -> None:
    """It may be behind, and a message resumed by what it says would wait for ever."""
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]
    assert pause(waiting) == 3
    assert resume(waiting) == 3
    assert resume_template(template) == 0
    resume_account(template.account)
    assert cancel(waiting) == 3
    assert len(resend(waiting.logs.using("default"))) == 3


def test_a_replica_does_not_know_a_key_yet(template: MessageTemplate, settings: Any) -> None:
    """The second call comes right after the first, by the template's name too."""
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]
    first = notify([], template, ORDER, key="order-1")
    assert notify([], "order_paid", ORDER, key="order-1") == first

"""reschedule(): another time for what still waits, and for nothing else."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_bindings
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import cancel, notify, pause, reschedule, resume

pytestmark = pytest.mark.django_db

Status = SendLog.Status


def hours(number: float) -> datetime:
    return timezone.now() + timedelta(hours=number)


@pytest.fixture
def planned(template: MessageTemplate) -> Notification:
    """Three messages for tomorrow."""
    return notify(make_bindings(3), template, ORDER, send_at=hours(24))


def due(notification: Notification) -> list[datetime | None]:
    return list(notification.logs.order_by("pk").values_list("due_at", flat=True))


def test_it_leaves_at_the_new_time(planned: Notification) -> None:
    """All rows and the notification have it, and the object that was handed in too."""
    later = hours(48)
    assert reschedule(planned, send_at=later) == 3
    assert due(planned) == [later] * 3
    assert planned.send_at == Notification.objects.get().send_at == later


def test_none_is_now(planned: Notification, django_capture_on_commit_callbacks: Any) -> None:
    """It is handed over, and sent once the transaction commits."""
    with django_capture_on_commit_callbacks(execute=True):
        assert reschedule(planned, send_at=None) == 3
    assert planned.counts["sent"] == 3
    assert planned.send_at is None


def test_what_is_left_out_stays(planned: Notification) -> None:
    """The expiry alone moves no message; without it the old one stays."""
    before, expiry = due(planned), hours(30)
    assert reschedule(planned, expires_at=expiry) == 3
    assert due(planned) == before
    assert reschedule(planned, send_at=hours(25)) == 3
    assert planned.expires_at == expiry
    reschedule(planned, expires_at=None)
    assert planned.expires_at is None


def test_what_is_over_on_its_way_or_in_doubt_stays_as_it_is(
    template: MessageTemplate,
) -> None:
    """Only the row that surely has not left gets the new time."""
    planned = notify(make_bindings(4), template, ORDER, send_at=hours(24))
    sending, sent, doubtful, waiting = planned.logs.order_by("pk")
    SendLog.objects.filter(pk=sending.pk).update(status=Status.SENDING)
    SendLog.objects.filter(pk=sent.pk).update(status=Status.SENT, due_at=None)
    SendLog.objects.filter(pk=doubtful.pk).update(in_doubt_since=timezone.now(), due_at=hours(1))
    others = SendLog.objects.exclude(pk=waiting.pk).order_by("pk")
    before = list(others.values())
    later = hours(5)
    assert reschedule(planned, send_at=later) == 1
    assert list(others.values()) == before
    waiting.refresh_from_db()
    assert waiting.due_at == later


def test_a_retry_never_comes_sooner(planned: Notification) -> None:
    """What was tried waits for its pause as before, and for the new time if that is later."""
    first, second, _third = planned.logs.order_by("pk")
    pause_ends = hours(1)
    SendLog.objects.filter(pk__in=[first.pk, second.pk]).update(attempts=1, due_at=pause_ends)
    reschedule(planned, send_at=None)
    assert due(planned)[:2] == [pause_ends, pause_ends]
    assert due(planned)[2] <= timezone.now()  # type: ignore[operator]
    later = hours(2)
    reschedule(planned, send_at=later)
    assert due(planned) == [later] * 3


def test_paused_messages_stay_paused(planned: Notification) -> None:
    """They count, and go at the new time once somebody lets them go."""
    pause(planned)
    later = hours(3)
    assert reschedule(planned, send_at=later) == 3
    assert due(planned) == [None] * 3
    resume(planned)
    assert due(planned) == [later] * 3


def test_misuse_is_told_and_changes_nothing(planned: Notification) -> None:
    """A time without a zone, an expiry before the sending or in the past: all at once."""
    naive = datetime(2030, 1, 1)  # noqa: DTZ001 - that is the mistake
    before = (due(planned), planned.send_at)
    for times in (
        {"send_at": naive},
        {"expires_at": naive},
        {"send_at": hours(5), "expires_at": hours(4)},
        {"send_at": None, "expires_at": hours(-1)},
        {"expires_at": hours(23)},
    ):
        with pytest.raises(InvalidData) as error:
            reschedule(planned, **times)  # type: ignore[arg-type]
        assert {problem.field for problem in error.value.problems} <= {"send_at", "expires_at"}
        planned.refresh_from_db()
        assert (due(planned), planned.send_at) == before


def test_nothing_to_move_is_an_error(planned: Notification) -> None:
    """Cancelled or all sent: the notification's time is not changed either."""
    before = planned.send_at
    cancel(planned)
    with pytest.raises(InvalidData, match="still waits"):
        reschedule(planned, send_at=hours(1))
    planned.refresh_from_db()
    assert planned.send_at == before


def test_one_statement_for_any_number(template: MessageTemplate) -> None:
    """As many queries for forty rows as for one."""
    counts = []
    for number in (1, 40):
        people = make_bindings(number, first=100 * number)
        planned = notify(people, template, ORDER, send_at=hours(24))
        with CaptureQueriesContext(
            connection,
        ) as queries:
            reschedule(planned, send_at=hours(2))
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_a_worker_takes_them_at_the_new_time(planned: Notification) -> None:
    """A run before it sends nothing; once it has come, everything."""
    reschedule(planned, send_at=hours(1))
    assert engine.deliver().handled == 0
    reschedule(planned, send_at=None)
    assert engine.deliver().handled == 3

"""send_instead(): what has not left is cancelled, and its people get another message."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import ORDER, make_bindings
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import MessageTemplate, Notification, SendLog, SendLogQuerySet
from wechat_notify.services import cancel, notify, pause, send_instead

pytestmark = pytest.mark.django_db

Status = SendLog.Status
NEW = {"character_string1": "2026112301", "thing2": "帽子"}


@pytest.fixture
def planned(template: MessageTemplate) -> Notification:
    """Four messages for tomorrow."""
    tomorrow = timezone.now() + timedelta(days=1)
    return notify(make_bindings(4), template, ORDER, send_at=tomorrow)


def writer(key: str = "") -> Callable[[SendLogQuerySet], Notification]:
    """Writes to whom it is given, as a caller would."""

    def write(cancelled: SendLogQuerySet) -> Notification:
        openids = list(cancelled.values_list("openid", flat=True))
        return notify(openids, "order_paid", NEW, key=key, _repeats=cancelled)

    return write


def openids(notification: Notification, **columns: Any) -> set[str]:
    return set(notification.logs.filter(**columns).values_list("openid", flat=True))


def test_only_who_has_not_got_it_gets_the_other(planned: Notification) -> None:
    """What was sent, is on its way, or is in doubt does not change by a single column."""
    sent, sending, doubtful, waiting = planned.logs.order_by("pk")
    SendLog.objects.filter(pk=sent.pk).update(status=Status.SENT, due_at=None)
    SendLog.objects.filter(pk=sending.pk).update(status=Status.SENDING)
    SendLog.objects.filter(pk=doubtful.pk).update(in_doubt_since=timezone.now())
    others = planned.logs.exclude(pk=waiting.pk).order_by("pk")
    before = list(others.values())
    new = send_instead(planned, writer())
    assert list(others.values()) == before
    waiting.refresh_from_db()
    assert (waiting.status, waiting.due_at) == (Status.CANCELLED, None)
    assert waiting.finished_at is not None
    assert openids(new) == {waiting.openid}
    assert new.logs.get().resend_of == waiting


def test_the_two_point_to_each_other(planned: Notification) -> None:
    """The new one replaces the old one, which counts as cancelled: nothing of it is left."""
    new = send_instead(planned, writer())
    assert Notification.objects.get(pk=new.pk).replaces == planned
    assert list(planned.replaced_by.all()) == [new]
    planned.refresh_from_db()
    assert planned.cancelled_at is not None


def test_what_is_on_its_way_may_be_tried_again(planned: Notification) -> None:
    """It stays with the old message, which is therefore not cancelled as a whole."""
    first = planned.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=first.pk).update(status=Status.SENDING)
    new = send_instead(planned, writer())
    planned.refresh_from_db()
    assert planned.cancelled_at is None
    assert first.openid not in openids(new)


def test_paused_messages_are_replaced_too(planned: Notification) -> None:
    """They wait like any other."""
    pause(planned)
    assert new_count(send_instead(planned, writer())) == 4


def new_count(notification: Notification) -> int:
    return notification.logs.count()


def test_bad_data_changes_nothing(planned: Notification) -> None:
    """The old messages still leave: nobody is left with neither."""
    before = list(planned.logs.order_by("pk").values())
    with pytest.raises(InvalidData):
        send_instead(planned, lambda rows: notify([row.openid for row in rows], "order_paid", {}))
    assert list(planned.logs.order_by("pk").values()) == before
    assert Notification.objects.get() == planned


def test_a_second_answer_cancels_nothing(planned: Notification) -> None:
    """The key finds the first; what came back to the queue since stays with the old one."""
    first = planned.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=first.pk).update(status=Status.SENDING)
    new = send_instead(planned, writer("once"))
    SendLog.objects.filter(pk=first.pk).update(status=Status.PENDING)
    again = send_instead(planned, writer("once"))
    assert (again, again.is_new) == (new, False)
    first.refresh_from_db()
    assert first.status == Status.PENDING
    assert Notification.objects.count() == 2


def test_nothing_to_replace_is_an_error(planned: Notification) -> None:
    """Everything has left or was cancelled: no message is written."""
    cancel(planned)
    with pytest.raises(InvalidData, match="still waits"):
        send_instead(planned, writer())
    assert Notification.objects.get() == planned

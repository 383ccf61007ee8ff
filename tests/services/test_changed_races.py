"""Workers claim what somebody reschedules or replaces at the same moment."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.models import Notification, SendLog, SendLogQuerySet
from wechat_notify.sending.outbox import claim
from wechat_notify.services import notify, reschedule, send_instead

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = [openid(number) for number in range(60)]
TURNS, AT_ONCE = 6, 5
Status = SendLog.Status


@pytest.fixture(autouse=True)
def only_workers_send(configure: Callable[..., None]) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


def meanwhile(notification: Notification, act: Callable[[], Any]) -> tuple[set[str], Any]:
    """What ``act`` returns, and the openids of the rows that a worker claims at the same time."""
    claimed: list[int] = []
    start = threading.Barrier(2, timeout=30)

    def work() -> None:
        try:
            start.wait()
            for _turn in range(TURNS):
                now = timezone.now()
                only = ("notification_id", [notification.pk])
                claimed.extend(r.pk for r in claim("default", AT_ONCE, only, now=now, mark=now))
        finally:
            connections.close_all()

    worker = threading.Thread(target=work)
    worker.start()
    start.wait()
    result = act()
    worker.join()
    rows = SendLog.objects.filter(pk__in=claimed)
    return set(rows.values_list("openid", flat=True)), result


@pytest.mark.parametrize("turn", range(5))
def test_each_person_is_in_just_one_of_both(turn: int) -> None:
    """What the worker took stays with the old message; the new one has all others."""
    old = notify(PEOPLE, make_template(), ORDER)

    def write(cancelled: SendLogQuerySet) -> Notification:
        openids = list(cancelled.values_list("openid", flat=True))
        return notify(openids, old.template, ORDER)

    claimed, new = meanwhile(old, lambda: send_instead(old, write))
    got = set(new.logs.values_list("openid", flat=True))
    assert claimed.isdisjoint(got)
    assert claimed | got == set(PEOPLE)
    assert old.counts["pending"] == 0


@pytest.mark.parametrize("turn", range(5))
def test_what_is_claimed_is_not_moved(turn: int) -> None:
    """The number that is told is that of the rows with the new time; no others wait."""
    old = notify(PEOPLE, make_template(), ORDER)
    later = timezone.now() + timedelta(hours=1)
    claimed, moved = meanwhile(old, lambda: reschedule(old, send_at=later))
    waiting = old.logs.filter(status=Status.PENDING)
    assert moved == waiting.count() == len(PEOPLE) - len(claimed)
    assert set(waiting.values_list("due_at", flat=True)) == {later}

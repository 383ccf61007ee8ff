"""Rules that look at the calendar: found by the same looks as the reminders of code."""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone

from tests.factories import make_binding
from tests.rules import make_loan, make_rule
from wechat_notify.backends import locmem
from wechat_notify.models import Notification, SendLog
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.sending.engine import deliver
from wechat_notify.triggers import run_reminders
from wechat_notify.triggers.reminding import Looker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_rules")]

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
SHANGHAI = ZoneInfo("Asia/Shanghai")


class Clock:
    """The time that the app and the test see."""

    now = datetime(2026, 11, 23, 12, tzinfo=SHANGHAI)

    def forward(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, configure: Any) -> Clock:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture
def reader() -> Any:
    return make_binding().user


def remind(**fields: Any) -> Rule:
    return make_rule(**{"event": "before", "field": "due_at", "value": "", "offset": DAY, **fields})


def written() -> int:
    return Notification.objects.count()


def test_a_day_before(clock: Clock, reader: Any) -> None:
    """Not before its moment, once after it, by whichever process looks; it expires in time."""
    remind()
    loan = make_loan(reader, due_at=clock.now + DAY + HOUR)
    run_reminders()
    assert written() == Firing.objects.count() == 0
    clock.forward(HOUR)
    for _ in range(3):
        Looker().look()
        clock.forward(MINUTE)
    notification = Notification.objects.get()
    assert (notification.source, notification.expires_at) == ("reminder", loan.due_at)
    assert Firing.objects.get().notification == notification


@pytest.mark.parametrize("offset", [HOUR, timedelta(0)])
def test_after(clock: Clock, reader: Any, offset: timedelta) -> None:
    """After the moment, or at it."""
    remind(event="after", offset=offset)
    make_loan(reader, due_at=clock.now)
    run_reminders()
    assert written() == (0 if offset else 1)
    clock.forward(offset)
    run_reminders()
    assert written() == 1


def test_a_date_has_a_time_of_day(clock: Clock, reader: Any) -> None:
    """Three days after, at nine in the morning."""
    remind(event="after", field="due_on", offset=3 * DAY, clock=time(9))
    make_loan(reader, due_on=date(2026, 11, 21))
    clock.now = datetime(2026, 11, 24, 8, 59, tzinfo=SHANGHAI)
    run_reminders()
    assert written() == 0
    clock.forward(MINUTE)
    run_reminders()
    assert written() == 1


@pytest.mark.parametrize(("late", "count"), [(14 * MINUTE, 1), (16 * MINUTE, 0)])
def test_missed(clock: Clock, reader: Any, late: timedelta, count: int) -> None:
    """A little late is not too late."""
    remind()
    make_loan(reader, due_at=clock.now + DAY)
    clock.forward(late)
    run_reminders()
    assert written() == count


def test_moved(clock: Clock, reader: Any) -> None:
    """Its new time counts; a message of the old one that waits is cancelled."""
    remind()
    loan = make_loan(reader, due_at=clock.now + DAY)
    run_reminders()
    loan.due_at += HOUR
    loan.save()
    deliver()
    assert SendLog.objects.get().status == "cancelled"
    clock.forward(HOUR)
    run_reminders()
    deliver()
    assert len(locmem.outbox) == 1


def test_conditions_when_it_is_sent(clock: Clock, reader: Any) -> None:
    """They are asked when it is written, and once more when it is sent."""
    conditions = {"match": "all", "tests": [{"field": "status", "op": "is", "value": "lent"}]}
    remind(conditions=conditions)
    make_loan(reader, due_at=clock.now + DAY)
    lent = make_loan(reader, due_at=clock.now + DAY, status="lent")
    run_reminders()
    assert written() == 1
    lent.status = "back"
    lent.save()
    deliver()
    assert SendLog.objects.get().status == "cancelled"


def test_dry_run_is_recorded_once(clock: Clock, reader: Any) -> None:
    """By whichever process looks; and it does not keep the rule from telling people afterwards."""
    rule = remind(dry_run=True)
    make_loan(reader, due_at=clock.now + DAY)
    for _ in range(2):
        Looker().look()
    assert (written(), Firing.objects.count()) == (0, 1)
    rule.dry_run = False
    rule.save()
    Looker().look()
    assert (written(), Firing.objects.count()) == (1, 2)


def test_two_rules_at_the_same_moment(clock: Clock, reader: Any) -> None:
    """Each reminds, also of the same field and time."""
    remind()
    remind(name="once more")
    make_loan(reader, due_at=clock.now + DAY)
    run_reminders()
    assert written() == 2


def test_switched_off_and_muted(clock: Clock, reader: Any, configure: Any) -> None:
    """A reminder that is off is not sent."""
    rule = remind()
    make_loan(reader, due_at=clock.now + DAY)
    configure(TRIGGERS=False)
    Looker().look()
    configure(TRIGGERS=True)
    rule.is_active = False
    rule.save()
    Looker().look()
    assert written() == Firing.objects.count() == 0

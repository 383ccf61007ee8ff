"""Reminders: each person once, at the right moment, and never of what is no more."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import InterfaceError, OperationalError, ProgrammingError, connection
from django.utils import timezone

from tests.factories import make_binding, make_template
from tests.school.models import Appointment, Leave
from wechat_notify import duties
from wechat_notify.backends import locmem
from wechat_notify.dispatchers.worker import Worker
from wechat_notify.models import Notification, SendLog, TriggerFailure
from wechat_notify.sending.engine import deliver
from wechat_notify.triggers import remind_on, run_reminders
from wechat_notify.triggers.reminders import Reminder, reminders
from wechat_notify.triggers.reminding import Looker, connect

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_triggers")]

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
UTC = ZoneInfo("UTC")


class Clock:
    """The time that the app and the test see."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 23, 12, tzinfo=ZoneInfo("Asia/Shanghai"))

    def forward(self, by: timedelta) -> None:
        self.now += by


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


@pytest.fixture(autouse=True)
def nothing_is_sent_by_itself(configure: Callable[..., None]) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture
def soon() -> Any:
    return make_template("soon", content="{{time1.DATA}}")


@pytest.fixture
def person() -> Any:
    return make_binding().user


def remind(**options: Any) -> None:
    """A reminder of appointments, a day before unless it is said otherwise."""
    options = {"at": "starts_at", "template": "soon", **options}
    if not options.keys() & {"before", "after"}:
        options["before"] = DAY

    @remind_on(Appointment, **options)
    def tell(appointment: Appointment) -> dict[str, Any]:
        return {"users": appointment.person, "data": {"time1": appointment.starts_at or "8:00"}}


def book(person: Any, starts_at: datetime | None = None, **fields: Any) -> Appointment:
    return Appointment.objects.create(person=person, starts_at=starts_at, **fields)


def written() -> int:
    return Notification.objects.filter(source="reminder").count()


@contextmanager
def unreadable(*names: str, error: type[Exception] = ProgrammingError) -> Iterator[None]:
    """No query that has all of these names succeeds."""

    def refuse(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("SELECT") and all(name in sql for name in names):
            raise error("column does not exist")
        return execute(sql, *args)

    with connection.execute_wrapper(refuse):
        yield


def remind_of_leaves() -> None:
    @remind_on(Leave, at="start", before=DAY, template="soon")
    def tell(leave: Leave) -> dict[str, Any]:
        return {"users": leave.person, "data": {"time1": leave.start}}


# -- when -------------------------------------------------------------------------------------


def test_a_day_before(clock: Clock, soon: Any, person: Any) -> None:
    """Not before its moment, once after it, and it expires at the appointment."""
    remind()
    appointment = book(person, clock.now + DAY + HOUR)
    run_reminders()
    assert written() == 0
    clock.forward(HOUR)
    for _ in range(3):
        run_reminders()
        clock.forward(MINUTE)
    notification = Notification.objects.get()
    assert notification.expires_at == appointment.starts_at
    assert notification.logs.get().user == person


@pytest.mark.parametrize("after", [HOUR, timedelta(0)])
def test_after(clock: Clock, soon: Any, person: Any, after: timedelta) -> None:
    """After the moment, or at it; then there is no moment at which it is of no use."""
    remind(after=after)
    book(person, clock.now)
    clock.forward(after)
    run_reminders()
    assert Notification.objects.get().expires_at is None


@pytest.mark.parametrize(("late", "count"), [(14 * MINUTE, 1), (16 * MINUTE, 0)])
def test_missed_by_an_outage(
    clock: Clock, soon: Any, person: Any, late: timedelta, count: int
) -> None:
    """It is sent a little late, and not at all in the morning; unless ``grace`` says so."""
    remind()
    remind(before=2 * DAY, grace=12 * HOUR)
    book(person, clock.now + DAY)
    clock.forward(late)
    run_reminders()
    assert written() == count
    book(person, clock.now + 2 * DAY - 11 * HOUR)
    run_reminders()
    assert written() == count + 1


def test_booked_too_late(clock: Clock, soon: Any, person: Any) -> None:
    """Skipped, not late."""
    remind()
    book(person, clock.now + 3 * HOUR)
    for _ in range(5):
        run_reminders()
        clock.forward(HOUR)
    assert written() == 0


def test_moved(clock: Clock, soon: Any, person: Any) -> None:
    """Before it is due, the old time does not matter; afterwards, the new time reminds again."""
    remind()
    appointment = book(person, clock.now + DAY)
    Appointment.objects.update(starts_at=clock.now + 3 * DAY)
    run_reminders()
    assert written() == 0
    clock.forward(2 * DAY)
    run_reminders()
    Appointment.objects.filter(pk=appointment.pk).update(starts_at=clock.now + 2 * DAY)
    clock.forward(DAY)
    run_reminders()
    assert written() == 2


def test_cancelled_deleted_or_without_a_time(clock: Clock, soon: Any, person: Any) -> None:
    """Nothing is left that could remind."""
    remind(when=lambda appointment: not appointment.is_cancelled)
    book(person, clock.now + DAY, is_cancelled=True)
    book(person, None)
    book(person, clock.now + DAY).delete()
    run_reminders()
    assert written() == 0


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Shanghai"])
def test_a_change_of_the_clocks(
    clock: Clock, soon: Any, person: Any, settings: Any, zone: str
) -> None:
    """24 hours are 24 hours; a day before 8:00 by the calendar is 8:00."""
    settings.TIME_ZONE = zone
    here = ZoneInfo(zone)
    night = datetime(2026, 11, 1, 8, tzinfo=here)  # New York sets its clocks back at 2:00
    remind()
    remind(at="day", time=time(8), before=DAY)
    book(person, night, day=date(2026, 11, 1))
    moments = []
    clock.now = night - DAY - 3 * HOUR
    while clock.now < night:
        before = written()
        run_reminders()
        if written() > before:
            moments.append((clock.now, written() - before))
        clock.forward(10 * MINUTE)
    by_hours = night.astimezone(UTC) - DAY
    by_days = datetime(2026, 10, 31, 8, tzinfo=here)
    expected = [by_hours, by_days] if by_hours != by_days else [by_hours]
    assert sorted(found.astimezone(UTC) for found, _count in moments) == sorted(
        moment.astimezone(UTC) for moment in expected
    )
    assert written() == 2


def test_a_date(clock: Clock, soon: Any, person: Any) -> None:
    """At a time of day, in the site's time zone."""
    remind(at="day", time=time(20), before=timedelta(0))
    remind(at="day", time=time(9), after=DAY)
    book(person, day=clock.now.date())
    run_reminders()
    assert written() == 0
    clock.now = clock.now.replace(hour=20, minute=5)
    run_reminders()
    assert written() == 1
    clock.now = clock.now.replace(hour=9, minute=1) + DAY
    run_reminders()
    run_reminders()
    assert written() == 2


# -- once -------------------------------------------------------------------------------------


def test_once_across_processes(clock: Clock, soon: Any, person: Any) -> None:
    """Another process that looks at the same moment writes nothing again."""
    remind()
    book(person, clock.now + DAY)
    lookers = [Looker(), Looker()]
    for looker in lookers * 2:
        looker.look()
    assert written() == 1


def test_each_reminder_of_an_object(clock: Clock, soon: Any, person: Any) -> None:
    """One function may remind at two times, and each of them once."""
    for before in (DAY, HOUR):
        remind(before=before)
    book(person, clock.now + DAY)
    run_reminders()
    clock.forward(DAY - HOUR)
    run_reminders()
    assert written() == 2


def test_a_module_that_is_imported_twice(clock: Clock, soon: Any, person: Any) -> None:
    """It reminds once."""
    remind()
    remind()
    assert len(reminders()) == 1


def test_a_failure_is_told_once(clock: Clock, person: Any) -> None:
    """And does not keep the others from being reminded."""

    @remind_on(Appointment, at="starts_at", before=DAY, template="soon")
    def tell(appointment: Appointment) -> dict[str, Any]:
        if appointment.is_cancelled:
            raise LookupError("no such room")
        return {"users": person, "data": {"time1": appointment.starts_at}}

    make_template("soon", content="{{time1.DATA}}")
    book(person, clock.now + DAY, is_cancelled=True)
    book(person, clock.now + DAY)
    looker = Looker()
    for _ in range(3):
        looker.look()
        clock.forward(MINUTE)
    assert written() == 1
    assert TriggerFailure.objects.count() == 1


def test_a_database_that_is_locked(
    clock: Clock, soon: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its reminder is tried again, at the next look too; the others do not wait for it."""
    module = sys.modules["wechat_notify.models.database"]
    monkeypatch.setattr(module, "CONFLICT_SECONDS", 0.05)
    locked = book(person, clock.now + DAY)
    book(person, clock.now + DAY)
    is_locked = True

    @remind_on(Appointment, at="starts_at", before=DAY, template="soon")
    def tell(appointment: Appointment) -> dict[str, Any]:
        if is_locked and appointment == locked:
            raise OperationalError("database is locked")
        return {"users": person, "data": {"time1": appointment.starts_at}}

    looker = Looker()
    looker.look()
    assert written() == 1
    is_locked = False
    looker.look()
    assert written() == 2


@pytest.mark.parametrize("column", ["start", "reason"], ids=["search", "read"])
@pytest.mark.parametrize("error", [ProgrammingError, OperationalError])
def test_a_reminder_that_fails_keeps_no_others_back(
    clock: Clock, soon: Any, person: Any, column: str, error: type[Exception]
) -> None:
    """Be it that what is due cannot be found, or cannot be read. It is tried again at each look."""
    remind_of_leaves()
    remind()
    Leave.objects.create(person=person, reason="rest", start=clock.now + DAY)
    book(person, clock.now + DAY)
    looker = Looker()
    with unreadable("school_leave", column, error=error):
        looker.look()
    assert written() == 1
    failure = TriggerFailure.objects.get()
    assert (failure.about, failure.error) == ("Leave", f"{error.__name__}: column does not exist")
    looker.look()
    assert written() == 2


# -- when it is sent --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.update(is_cancelled=True),
        lambda rows: rows.update(starts_at=timezone.now() + 9 * DAY),
        lambda rows: rows.update(starts_at=None),
        lambda rows: rows.delete(),
    ],
)
def test_looked_at_again_when_it_is_sent(clock: Clock, soon: Any, person: Any, change: Any) -> None:
    """What was cancelled, moved or deleted since it was written is not sent."""
    remind(when=lambda appointment: not appointment.is_cancelled)
    book(person, clock.now + DAY)
    gone = book(person, clock.now + DAY)
    run_reminders()
    change(Appointment.objects.filter(pk=gone.pk))
    deliver()
    assert sorted(SendLog.objects.values_list("status", flat=True)) == ["cancelled", "sent"]
    assert len(locmem.outbox) == 1


def test_what_cannot_be_asked_is_not_sent(clock: Clock, soon: Any, person: Any) -> None:
    """An error of ``when`` is told, and delivery goes on."""
    answers = [True]
    remind(when=lambda appointment: answers.pop())
    book(person, clock.now + DAY)
    run_reminders()
    deliver()
    assert SendLog.objects.get().status == "cancelled"
    assert "IndexError" in TriggerFailure.objects.get().error


@pytest.mark.parametrize(
    "trouble", [OperationalError("the server closed the connection"), InterfaceError("closed")]
)
@pytest.mark.parametrize(("answer", "status"), [(True, "sent"), (False, "cancelled")])
def test_a_moments_trouble_of_the_database_cancels_nothing(
    clock: Clock, soon: Any, person: Any, trouble: Exception, answer: bool, status: str
) -> None:
    """Nobody knows whether it still holds: that is asked again a minute later, at no attempt."""
    answers: list[bool | Exception] = [answer, trouble, True]

    def when(appointment: Appointment) -> bool:
        said = answers.pop()
        if isinstance(said, Exception):
            raise said
        return said

    remind(when=when)
    book(person, clock.now + DAY)
    run_reminders()
    for _ in range(2):  # the second run finds nothing that is due
        deliver()
        row = SendLog.objects.get()
        assert (row.status, row.attempts, row.due_at) == ("pending", 0, clock.now + MINUTE)
    assert type(trouble).__name__ in TriggerFailure.objects.get().error
    clock.forward(MINUTE)
    deliver()
    assert SendLog.objects.get().status == status


@pytest.mark.parametrize("error", [ProgrammingError, OperationalError])
def test_objects_that_cannot_be_read_keep_no_others_back(
    clock: Clock, soon: Any, person: Any, error: type[Exception]
) -> None:
    """Of two reminders in one claim, one is sent at once, the other when it can be looked at."""
    remind_of_leaves()
    remind()
    Leave.objects.create(person=person, reason="rest", start=clock.now + DAY)
    book(person, clock.now + DAY)
    run_reminders()
    with unreadable("school_leave", error=error):
        deliver()
    assert sorted(SendLog.objects.values_list("status", flat=True)) == ["pending", "sent"]
    assert TriggerFailure.objects.get().about == "Leave"
    clock.forward(MINUTE)
    deliver()
    assert set(SendLog.objects.values_list("status", flat=True)) == {"sent"}


# -- who looks --------------------------------------------------------------------------------


def test_whoever_delivers_reminds(clock: Clock, soon: Any, person: Any) -> None:
    """A worker, without anybody asking it to."""
    remind()
    book(person, clock.now + DAY)
    connect()
    Worker().drain()
    assert len(locmem.outbox) == 1
    assert duties.next_due() > 0


def test_the_switch_of_the_settings(
    clock: Clock, soon: Any, person: Any, configure: Callable[..., None]
) -> None:
    """TRIGGERS = False: nothing is even looked for."""
    remind()
    book(person, clock.now + DAY)
    configure(TRIGGERS=False)
    run_reminders()
    assert written() == 0


def test_a_run_ends_in_time(
    clock: Clock, soon: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is left is written by the next run, after what was written has gone out."""
    monkeypatch.setattr("wechat_notify.triggers.reminding.PAGE", 2)
    remind()
    for _ in range(5):
        book(person, clock.now + DAY)
    looker = Looker()
    for number in (2, 4):
        assert looker.look(seconds=-1)
        assert written() == number
    assert not looker.look(seconds=-1)
    assert written() == 5


def test_more_than_a_run_can_write(
    clock: Clock, soon: Any, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One worker writes all of it, a little in each round, and sends it between."""
    monkeypatch.setattr("wechat_notify.triggers.reminding.PAGE", 1)
    monkeypatch.setattr("wechat_notify.triggers.reminding.TURN_SECONDS", -1)
    remind()
    for _ in range(5):
        book(person, clock.now + DAY)
    connect()
    Worker().drain()
    assert len(locmem.outbox) == 5


def test_queries_do_not_grow_with_objects(
    clock: Clock, soon: Any, person: Any, django_assert_num_queries: Any
) -> None:
    """One query where nothing is due, whatever was asked about before."""
    remind()
    for _ in range(5):
        book(person, clock.now + DAY)
    looker = Looker()
    looker.look()
    with django_assert_num_queries(1):
        looker.look()


@pytest.mark.skipif(connection.vendor != "postgresql", reason="asks PostgreSQL's planner")
def test_the_query_uses_the_index(clock: Clock, soon: Any, person: Any) -> None:
    """Among many appointments, those that are due are found by the column's index."""
    remind()
    Appointment.objects.bulk_create(
        [Appointment(person=person, starts_at=clock.now + n * HOUR) for n in range(20_000)]
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE school_appointment")
    (reminder,) = reminders()
    rows = Appointment.objects.filter(**reminder.lookup(clock.now)).order_by()  # type: ignore[arg-type]
    plan = rows.values_list("pk", "starts_at").explain()
    assert "starts_at" in plan.split("Index Cond")[1]
    assert "Seq Scan" not in plan


# -- mistakes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"before": DAY, "after": DAY}, "not both"),
        ({"before": -DAY}, "lengths"),
        ({"before": DAY, "grace": timedelta(0)}, "lengths"),
        ({"at": "day"}, "time="),
        ({"time": time(8)}, "time="),
        ({"at": "person"}, "neither"),
        ({"at": "nothing"}, "nothing"),
    ],
)
def test_what_cannot_remind(options: dict[str, Any], message: str) -> None:
    """It is said when the module is imported."""
    with pytest.raises(TypeError, match=message):
        remind(**options)


def test_a_model_by_name(clock: Clock, soon: Any, person: Any) -> None:
    """As Django's signals take it; the function stays as it was."""

    async def tell(appointment: Appointment) -> dict[str, Any]:
        return {"users": person, "data": {"time1": appointment.starts_at}}

    decorated = remind_on("school.Appointment", at="starts_at", template="soon")(tell)
    assert decorated is tell
    assert isinstance(reminders()[0], Reminder)
    book(person, clock.now)
    run_reminders()
    assert written() == 1

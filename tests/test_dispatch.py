"""Who sends a notification, and what becomes of what cannot be sent now."""

import importlib.util
import logging
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.backends import locmem
from wechat_notify.dispatchers import queue
from wechat_notify.dispatchers.base import get_dispatcher
from wechat_notify.dispatchers.celery import CeleryDispatcher
from wechat_notify.dispatchers.inline import InlineDispatcher
from wechat_notify.dispatchers.limited_time import deliver_within
from wechat_notify.dispatchers.queue import QueueDispatcher
from wechat_notify.dispatchers.tasks import TasksDispatcher
from wechat_notify.exceptions import InvalidSettings
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.sending.report import Report
from wechat_notify.services import cancel, notify, pause, resume_template

pytestmark = pytest.mark.django_db(transaction=True)

ROOM = "wechat_notify.dispatchers"
NOTICES = {"queue": "notices"}
Configure = Callable[..., None]


class ListDispatcher(QueueDispatcher):
    """Queues to a list that the test runs, so that it sees what a broker would hold."""

    queue: list[tuple[dict[str, Any], datetime | None]] = []
    chunk = 10
    fan_out = 3

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        self.queue.append((arguments, run_after))


class ShortSighted(ListDispatcher):
    horizon = timedelta(minutes=10)


class AtOnce(ListDispatcher):
    """A queue that cannot keep a task for later."""

    def can_defer(self) -> bool:
        return False


class Impatient(ListDispatcher):
    task_seconds = 0.3


class InAHurry(InlineDispatcher):
    seconds = 0.3


@pytest.fixture
def tasks(configure: Configure) -> list[Any]:
    """The queue of a dispatcher whose chunks are small."""
    ListDispatcher.queue.clear()
    configure(DISPATCHER="tests.test_dispatch.ListDispatcher")
    make_template()
    return ListDispatcher.queue


def send(count: int = 1, **options: Any) -> Notification:
    return notify([openid(n) for n in range(count)], "order_paid", ORDER, **options)


def inline_with(limit: int | None) -> dict[str, Any]:
    path = "wechat_notify.dispatchers.inline.InlineDispatcher"
    return {"BACKEND": path, "OPTIONS": {"limit": limit}}


def run_next(tasks: list[Any]) -> dict[str, int]:
    arguments, _run_after = tasks.pop(0)
    return queue.run(**arguments)


def statuses() -> dict[str, int]:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


# -- a task queue -----------------------------------------------------------------------------


def test_a_big_notification_is_shared_out_and_sent_to_the_end(tasks: list[Any]) -> None:
    """A few tasks at a time, each leaving a successor while there is more, send everything."""
    notification = send(75)
    assert (
        tasks
        == [({"account": "default", "notifications": [notification.pk], "limit": 10}, None)] * 3
    )
    most = 0
    while tasks:
        most = max(most, len(tasks))
        run_next(tasks)
    assert most == 3
    assert statuses() == {"sent": 75}


def test_a_small_notification_is_one_task(tasks: list[Any]) -> None:
    """What fits into one chunk is one task that leaves none behind."""
    send(10)
    assert len(tasks) == 1
    assert run_next(tasks) == {"sent": 10}
    assert not tasks


def test_counting_stops_where_it_no_longer_matters(tasks: list[Any]) -> None:
    """However big the notification, the dispatcher counts no more rows than it queues tasks for."""
    with CaptureQueriesContext(connection) as queries:
        send(40)
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert len(counts) == 1
    assert "LIMIT 30" in counts[0]


def test_nothing_to_send_queues_nothing(tasks: list[Any]) -> None:
    """A notification to nobody, and one to people who cannot be reached, cost the queue nothing."""
    send(0)
    assert not tasks


def test_a_scheduled_notification_is_one_task_until_it_is_due(tasks: list[Any]) -> None:
    """send_at queues one task for then, which shares the notification out when it runs."""
    due = timezone.now() + timedelta(hours=2)
    notification = send(25, send_at=due)
    assert [run_after for _arguments, run_after in tasks] == [due]
    SendLog.objects.update(due_at=timezone.now())
    run_next(tasks)
    chunk = {"account": "default", "notifications": [notification.pk], "limit": 10}
    assert tasks == [(chunk, None)] * 3


def test_a_queue_that_cannot_look_far_ahead_looks_again(
    tasks: list[Any], configure: Configure
) -> None:
    """Past its horizon a dispatcher queues a task that finds nothing due and queues itself anew."""
    configure(DISPATCHER="tests.test_dispatch.ShortSighted")
    send(25, send_at=timezone.now() + timedelta(days=1))
    for _ in range(2):
        [(_arguments, run_after)] = tasks
        assert run_after is not None
        assert timedelta(minutes=9) < run_after - timezone.now() <= timedelta(minutes=10)
        assert run_next(tasks) == {}


def test_what_is_tried_again_has_a_task_waiting_for_it(tasks: list[Any]) -> None:
    """A row that failed for the moment is sent by a task queued for the time it is due again."""
    locmem.results.add(-1, openid=openid(0), times=100)  # a slow task may try it again itself
    send(3)
    run_next(tasks)
    locmem.results.clear()
    [(_arguments, run_after)] = tasks
    waiting = SendLog.objects.get(status=SendLog.Status.PENDING)
    # The task may have taken so long that the row is due again.
    assert run_after == (waiting.due_at if run_after else None)
    assert run_after or waiting.due_at <= timezone.now()
    SendLog.objects.update(due_at=timezone.now())
    assert run_next(tasks) == {"sent": 1}
    assert not tasks


def test_an_account_at_rest_is_left_alone_until_its_rest_ends(tasks: list[Any]) -> None:
    """Quota used up: one task waits for the end of the rest, nothing spins."""
    locmem.results.add(45009, times=100)
    send(5)
    run_next(tasks)
    [(_arguments, run_after)] = tasks
    rest = Breaker("default").rest()
    assert rest is not None
    assert run_after == rest.until
    locmem.clear()
    Breaker("default").clear()
    run_next(tasks)
    assert statuses() == {"sent": 5}
    assert not tasks


def test_a_rest_that_was_ended_meanwhile_is_not_waited_for(tasks: list[Any]) -> None:
    """The task met a rest that somebody has ended since: it looks again in a minute."""
    notification = send(5)
    dispatcher = get_dispatcher()
    assert isinstance(dispatcher, QueueDispatcher)
    tasks.clear()
    dispatcher.go_on("default", [notification.pk], Report(at_rest={"default"}))
    [(_arguments, run_after)] = tasks
    assert timedelta(0) < run_after - timezone.now() <= queue.RETRY_AFTER


def test_tasks_do_not_spin_while_another_ones_probe_is_out(tasks: list[Any]) -> None:
    """The rest is over and its probe not back: look again in a while, not at once."""
    rest = Breaker("default").trip(45011, "")
    Breaker("default").store(replace(rest, until=timezone.now()))
    send(5)
    assert Breaker("default").allowance() == 1  # somebody else's
    run_next(tasks)
    [(_arguments, run_after)] = tasks
    wait = run_after - timezone.now()
    assert queue.RETRY_AFTER_PROBE / 2 < wait <= queue.RETRY_AFTER_PROBE


def test_rows_that_another_worker_holds_are_looked_after(tasks: list[Any]) -> None:
    """A task that finds all rows in another's hands leaves one for the end of their lease."""
    send(5)
    claimed_at = timezone.now()
    SendLog.objects.update(status=SendLog.Status.SENDING, claimed_at=claimed_at)
    run_next(tasks)
    [(_arguments, run_after)] = tasks
    # Not to the microsecond: the database's clock, as it was measured, is a little off.
    assert abs(run_after - claimed_at - timedelta(seconds=60)) < timedelta(seconds=25)


def test_due_rows_that_cannot_be_taken_do_not_spin(
    tasks: list[Any],
) -> None:
    """Rows due and nothing sent, such as with RATE used up: look again in a minute."""
    send(5)
    dispatcher = get_dispatcher()
    assert isinstance(dispatcher, QueueDispatcher)
    tasks.clear()
    dispatcher.go_on("default", [Notification.objects.get().pk], Report())
    [(_arguments, run_after)] = tasks
    assert timedelta(seconds=50) < run_after - timezone.now() <= queue.RETRY_AFTER


def test_a_task_ends_in_time_and_its_successor_goes_on(
    tasks: list[Any], configure: Configure
) -> None:
    """RATE cannot make a task outlive its queue's patience: it stops and leaves the rest queued."""
    configure(DISPATCHER="tests.test_dispatch.Impatient", RATE="2/h")
    send(5)
    while statuses().get("sent", 0) < 2:  # a task may be over before it has begun to send
        run_next(tasks)
    assert statuses() == {"sent": 2, "pending": 3}
    assert len(tasks) == 1


def test_paused_and_cancelled_notifications_end_their_tasks(tasks: list[Any]) -> None:
    """A task of a notification with nothing left to do queues no successor."""
    pause(send(3))
    run_next(tasks)
    cancel(send(3))
    run_next(tasks)
    assert not tasks
    assert not locmem.outbox


def test_a_task_without_a_notification_delivers_whatever_is_due(tasks: list[Any]) -> None:
    """What Celery beat calls: rows left behind by a lost broker go out."""
    send(3)
    tasks.clear()
    assert queue.run() == {"sent": 3}
    assert not tasks


def test_tasks_of_a_deleted_notification_do_nothing(tasks: list[Any]) -> None:
    """Somebody deleted it while its tasks waited in the queue."""
    send(3)
    send(3, send_at=timezone.now() + timedelta(hours=1))
    SendLog.objects.all().delete()
    Notification.objects.all().delete()
    assert len(tasks) == 2
    assert run_next(tasks) == {}
    assert run_next(tasks) == {}
    assert not tasks


def test_a_queue_without_later_gets_one_task_for_all(
    tasks: list[Any], configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """Where tasks run at once in the caller's process, sharing out would only nest them."""
    configure(DISPATCHER="tests.test_dispatch.AtOnce")
    locmem.results.add(-1, openid=openid(0), times=100)  # a slow task may try it again itself
    send(75)
    assert len(tasks) == 1
    assert run_next(tasks)["sent"] == 74
    assert statuses() == {"sent": 74, "pending": 1}
    assert not tasks
    assert "wait for a worker" in caplog.text


def test_a_queue_without_later_says_what_it_leaves(
    tasks: list[Any], configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """Messages left over at the end of a task that cannot have a successor are named in the log."""
    configure(DISPATCHER="tests.test_dispatch.AtOnce")
    send(5)
    arguments, _run_after = tasks.pop()
    assert queue.run(**arguments, limit=2) == {"sent": 2}
    assert not tasks
    assert "wait for a worker" in caplog.text


# -- the dispatchers there are ----------------------------------------------------------------


def test_inline_sends_up_to_its_limit_and_says_what_waits(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """``limit`` messages leave at once, the rest waits and the log says for whom."""
    configure(DISPATCHER=inline_with(5))
    make_template()
    send(8)
    assert statuses() == {"sent": 5, "pending": 3}
    assert "wechat_deliver" in caplog.text


def test_inline_does_not_go_through_all_that_wait(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """Thousands of notifications may be freed at once: past the limit, one line tells of them."""
    configure(DISPATCHER=inline_with(1))
    template = make_template()
    MessageTemplate.objects.update(paused_at=timezone.now())
    for number in range(5):
        notify([openid(number)], template, ORDER)
    caplog.clear()
    resume_template(template)
    assert statuses() == {"sent": 1, "pending": 4}
    [line] = caplog.records
    assert line.getMessage().startswith("Among 5 notifications: messages due since or at 20")


def test_inline_does_not_let_a_web_request_wait_for_rate(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """With RATE used up for an hour, notify() still returns soon; the rest waits."""
    configure(DISPATCHER="tests.test_dispatch.InAHurry", RATE="2/h")
    make_template()
    send(5)
    assert statuses()["pending"] >= 3  # five, if its time was over before it had begun to send
    assert "wechat_deliver" in caplog.text


def test_an_accounts_own_rate_holds_back_that_account_alone(configure: Configure) -> None:
    """With a RATE of its own one account waits, and the other sends everything."""
    configure(DISPATCHER=f"{ROOM}.worker.WorkerDispatcher", default={"RATE": "2/h"})
    make_template()
    make_template(account="other")
    send(5)
    send(5, account="other")
    sent = SendLog.objects.filter(status=SendLog.Status.SENT)
    while sent.count() < 7:  # its time may be over before it has begun to send
        deliver_within(0.5)
    assert sent.filter(account="default").count() == 2
    assert sent.filter(account="other").count() == 5


def test_inline_without_a_limit_sends_everything(configure: Configure) -> None:
    """``limit`` None: all, however long it takes."""
    configure(DISPATCHER=inline_with(None))
    make_template()
    send(1_200)
    assert statuses() == {"sent": 1_200}


def test_inline_without_leftovers_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """Where everything has gone out there is nothing to warn of."""
    make_template()
    send(8)
    assert statuses() == {"sent": 8}
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_worker_dispatcher_leaves_all_rows_to_workers(configure: Configure) -> None:
    """Nothing is sent by the process that calls notify()."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    make_template()
    send(3)
    assert statuses() == {"pending": 3}


def test_the_tasks_framework_sends_with_its_immediate_backend(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """With Django's default, the immediate backend, notify() sends at once; later is left over."""
    pytest.importorskip("django.tasks" if _has_django_tasks() else "django_tasks")
    configure(DISPATCHER="wechat_notify.dispatchers.tasks.TasksDispatcher")
    make_template()
    send(3)
    assert statuses() == {"sent": 3}
    send(1, send_at=timezone.now() + timedelta(hours=1))
    assert statuses() == {"sent": 3, "pending": 1}
    assert "wait for a worker" in caplog.text


def test_the_tasks_framework_queues_what_is_due_later(
    configure: Configure,
) -> None:
    """A backend that can defer gets the task together with its time."""
    name = "django.tasks" if _has_django_tasks() else "django_tasks"
    backends = pytest.importorskip(f"{name}.backends.dummy")
    later = type("Later", (backends.DummyBackend,), {"supports_defer": True})
    configure(DISPATCHER="wechat_notify.dispatchers.tasks.TasksDispatcher")
    handler = importlib.import_module(name).task_backends
    handler["default"] = later("default", {})
    due = timezone.now() + timedelta(hours=1)
    try:
        make_template()
        send(1, send_at=due)
        [result] = handler["default"].results
    finally:
        del handler["default"]
    assert result.task.run_after == due
    assert result.kwargs["share_out"] is True


def test_celery_sends_with_eager_tasks(configure: Configure) -> None:
    """CELERY_TASK_ALWAYS_EAGER, as developers use it: sent at once, and no task calls itself."""
    celery = pytest.importorskip("celery")
    configure(DISPATCHER="wechat_notify.dispatchers.celery.CeleryDispatcher")
    make_template()
    locmem.results.add(-1, openid=openid(0), times=100)  # a slow task may try it again itself
    app = celery.current_app
    before = app.conf.task_always_eager
    app.conf.task_always_eager = True
    try:
        send(3)
    finally:
        app.conf.task_always_eager = before
    assert statuses() == {"sent": 2, "pending": 1}


def test_celery_takes_the_queue_that_the_settings_name(configure: Configure) -> None:
    """OPTIONS queue: the task stands in that queue of the broker, and in no other."""
    celery = pytest.importorskip("celery")
    before = celery.current_app._get_current_object()
    app = celery.Celery("elsewhere", broker="memory://", set_as_current=True)
    configure(DISPATCHER={"BACKEND": f"{ROOM}.celery.CeleryDispatcher", "OPTIONS": NOTICES})
    make_template()
    try:
        send(3)
        with app.connection_for_read() as broker:
            queued = broker.SimpleQueue("notices").get(block=False)
    finally:
        before.set_current()
    assert queued.headers["task"] == "wechat_notify.deliver"
    assert statuses() == {"pending": 3}


def test_the_tasks_framework_takes_the_queue_that_the_settings_name(configure: Configure) -> None:
    """OPTIONS queue: the task is queued there; one that TASKS does not have is an error."""
    name = "django.tasks" if _has_django_tasks() else "django_tasks"
    dummy = pytest.importorskip(f"{name}.backends.dummy").DummyBackend
    configure(DISPATCHER={"BACKEND": f"{ROOM}.tasks.TasksDispatcher", "OPTIONS": NOTICES})
    handler = importlib.import_module(name).task_backends
    make_template()
    try:
        handler["default"] = dummy("default", {"QUEUES": ["default"]})
        with pytest.raises(InvalidSettings, match="QUEUES in TASKS"):
            send()
        handler["default"] = dummy("default", {"QUEUES": ["default", "notices"]})
        send()
        [result] = handler["default"].results
    finally:
        del handler["default"]
    assert result.task.queue_name == "notices"


@pytest.mark.parametrize("dispatcher", [TasksDispatcher, CeleryDispatcher])
def test_a_missing_package_is_named_before_anything_is_written(
    dispatcher: type[TasksDispatcher | CeleryDispatcher],
    monkeypatch: pytest.MonkeyPatch,
    configure: Configure,
) -> None:
    """Without the package, notify() raises with the pip command, and writes no row."""
    make_template()

    monkeypatch.setitem(sys.modules, dispatcher.TASK_MODULE, None)
    configure(DISPATCHER=f"{dispatcher.__module__}.{dispatcher.__qualname__}")
    with pytest.raises(InvalidSettings, match="pip install"):
        send()
    assert not SendLog.objects.exists()


@pytest.mark.parametrize("path", ["nowhere.Dispatcher", "datetime.datetime", "decimal.Decimal"])
def test_an_unusable_dispatcher_is_named(path: str, configure: Configure) -> None:
    """A path that cannot be imported, or that is no dispatcher, is an error that names it."""
    configure(DISPATCHER=path)
    with pytest.raises(InvalidSettings, match=path):
        get_dispatcher()


@pytest.mark.parametrize(
    ("name", "options", "says"),
    [
        ("inline.InlineDispatcher", {"limits": 5}, "no option 'limits' .it knows: limit"),
        ("worker.WorkerDispatcher", {"limit": 5}, "no option 'limit' .it knows: none"),
        *(("inline.InlineDispatcher", {"limit": wrong}, "limit") for wrong in (0, "5", True)),
        ("celery.CeleryDispatcher", {"queue": ["notices"]}, "queue"),
        ("tasks.TasksDispatcher", {"queue": 5}, "queue"),
    ],
)
def test_a_wrong_option_is_named(
    name: str, options: dict[str, Any], says: str, configure: Configure
) -> None:
    """An option that the dispatcher does not know, or a value of the wrong kind, is an error."""
    configure(DISPATCHER={"BACKEND": f"{ROOM}.{name}", "OPTIONS": options})
    with pytest.raises(InvalidSettings, match=says):
        get_dispatcher()


def _has_django_tasks() -> bool:
    return importlib.util.find_spec("django.tasks") is not None

"""What is urgent overtakes what is for many: in a run, whatever it was started for."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.factories import ORDER, openid
from wechat_notify.backends.base import BaseBackend
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import cancel, notify, pause, resume
from wechat_notify.types import Outcome, SendResult, TemplateMessage

Status = SendLog.Status
URGENT, NORMAL, BULK = Notification.Priority
Write = Callable[..., Notification]
pytestmark = pytest.mark.django_db(transaction=True)

WORKER = "wechat_notify.dispatchers.worker.WorkerDispatcher"


class SlowBackend(BaseBackend):
    """Notes who gets a message, and answers after a while."""

    supports_repeats = True
    seconds = 0.02
    left: list[str] = []
    _lock = threading.Lock()

    def send(self, message: TemplateMessage) -> SendResult:
        with self._lock:
            self.left.append(message.openid)
            number = len(self.left)
        time.sleep(self.seconds)
        return SendResult(Outcome.ACCEPTED, 0, msgid=number)


@pytest.fixture
def slow(configure: Callable[..., None]) -> type[SlowBackend]:
    """Four threads, a batch of 100 rows, and a backend that takes its time."""
    configure(
        default={"BACKEND": "tests.test_urgent.SlowBackend", "CONCURRENCY": 4},
        DISPATCHER=WORKER,
        BATCH_SIZE=100,
    )
    SlowBackend.left = []
    SlowBackend.seconds = 0.02
    return SlowBackend


@pytest.fixture
def write(template: MessageTemplate) -> Write:
    """Write so many rows, to people of a number of their own on."""
    first = 0

    def notification(people: int, **options: Any) -> Notification:
        nonlocal first
        users = [openid(first + number) for number in range(people)]
        first += people
        return notify(users, template, ORDER, **options)

    return notification


def places(backend: type[SlowBackend], notification: Notification) -> list[int]:
    """At which places of all that left its messages left."""
    mine = set(notification.logs.values_list("openid", flat=True))
    return [place for place, one in enumerate(backend.left) if one in mine]


def once_sent(number: int, act: Callable[[], object]) -> Callable[[engine.Report], None]:
    """For ``progress``: do this when the results of so many are written. In the engine's thread,
    since SQLite in memory is one connection."""
    done = []

    def progress(report: engine.Report) -> None:
        if report.sent >= number and not done:
            done.append(act())

    return progress


# -- the order of what is there ---------------------------------------------------------------


def test_the_most_urgent_leaves_first(slow: type[SlowBackend], write: Write) -> None:
    """Whatever was written first."""
    bulk, normal, urgent = write(150), write(5), write(5, priority=URGENT)
    assert engine.deliver().sent == 160
    assert places(slow, urgent)[-1] < 12
    assert places(slow, normal)[-1] < 24
    assert len(places(slow, bulk)) == 150


def test_a_run_for_a_crowd_sends_what_is_more_urgent_first(
    slow: type[SlowBackend], write: Write
) -> None:
    """Another notification's too, and it is no part of the run's limit."""
    bulk, urgent, second = write(300), write(3, priority=URGENT), write(200)
    report = engine.deliver(notification_id=bulk.pk, limit=150)
    assert places(slow, urgent)[-1] < 10
    assert bulk.logs.filter(status=Status.SENT).count() == 150
    assert report.sent == len(slow.left) == 153 + len(places(slow, second))
    assert 5 <= len(places(slow, second)) <= 20, "a tenth for another crowd"


def test_a_run_for_one_person_is_over_with_that_person(
    slow: type[SlowBackend], write: Write
) -> None:
    """It does not become a worker for everybody."""
    write(300)
    own = write(1)
    assert engine.deliver(notification_id=own.pk).sent == 1
    assert slow.left == list(own.logs.values_list("openid", flat=True))


# -- what comes in the middle of a run --------------------------------------------------------


@pytest.mark.parametrize("is_for_one", [False, True], ids=["worker", "task"])
@pytest.mark.parametrize("priority", [None, URGENT], ids=["normal", "urgent"])
def test_one_message_overtakes_the_crowd(
    slow: type[SlowBackend], write: Write, is_for_one: bool, priority: int | None
) -> None:
    """It leaves after the few of the next quarter second, before what is claimed already."""
    bulk = write(600)
    made: list[Notification] = []
    report = engine.deliver(
        notification_id=bulk.pk if is_for_one else None,
        progress=once_sent(40, lambda: made.append(write(1, priority=priority))),
        interval=0.1,
    )
    assert report.sent == 601
    [place] = places(slow, made[0])
    assert 40 <= place < 250


def test_one_message_does_not_wait_for_slow_calls_of_the_crowd(
    slow: type[SlowBackend], write: Write
) -> None:
    """Rows that wait in the threads' own queue are overtaken: only calls in flight go on."""
    slow.seconds = 0.4
    write(120)
    made: list[Notification] = []
    stop = threading.Event()

    def then_stop(report: engine.Report) -> None:
        come(report)
        if made and made[0].logs.filter(status=Status.SENT).exists():
            stop.set()

    come = once_sent(4, lambda: made.append(write(1)))
    engine.deliver(progress=then_stop, interval=0.1, stop=stop)
    [place] = places(slow, made[0])
    assert place <= 20, "five rounds of four threads"


def test_a_second_crowd_starts_while_the_first_is_sent(
    slow: type[SlowBackend], write: Write
) -> None:
    """With the next claim, and from then on they share."""
    first = write(600)
    made: list[Notification] = []
    engine.deliver(progress=once_sent(20, lambda: made.append(write(100))), interval=0.1)
    theirs = places(slow, made[0])
    assert theirs[0] < 300
    assert theirs[-1] < places(slow, first)[-1]


def test_a_trickle_of_urgent_ones_does_not_stop_the_crowd(
    slow: type[SlowBackend], write: Write
) -> None:
    """Urgent ones keep coming, as many as can be sent; the crowd goes on beside them."""
    crowd = write(300, priority=BULK)
    stop = threading.Event()
    write(200, priority=URGENT)

    def go_on_writing(report: engine.Report) -> None:
        if SendLog.objects.waiting().filter(priority=URGENT).count() < 150:
            write(100, priority=URGENT)
        if len(slow.left) >= 500:
            stop.set()

    engine.deliver(progress=go_on_writing, interval=0.1, stop=stop)
    assert len(places(slow, crowd)) >= 40


def test_rate_grants_the_urgent_ones_first(
    slow: type[SlowBackend], write: Write, configure: Callable[..., None]
) -> None:
    """With RATE used up by a crowd, the next that may go is the urgent one."""
    configure(RATE="40/s")
    slow.seconds = 0
    write(100)
    made: list[Notification] = []
    engine.deliver(progress=once_sent(20, lambda: made.append(write(1, priority=URGENT))))
    [place] = places(slow, made[0])
    assert place < 85


def test_a_paused_crowd_and_a_cancelled_one_leave_nothing_behind(
    slow: type[SlowBackend], write: Write
) -> None:
    """What was claimed beside urgent ones goes back, and is sent once after the resume."""
    held, ended = write(200), write(200)
    urgent = write(3, priority=URGENT)
    act = once_sent(20, lambda: (pause(held), cancel(ended)))
    engine.deliver(progress=act, interval=0.1)
    assert set(urgent.logs.values_list("status", flat=True)) == {"sent"}
    resume(held)
    engine.deliver()
    assert held.counts["sent"] == 200
    assert ended.counts["sent"] + ended.counts["cancelled"] == 200
    assert len(slow.left) == len(set(slow.left))

"""Claims, leases and pauses in any order: none starves, nothing is lost, nothing is doubled."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import ORDER, openid
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending import claims, database_clock, outbox
from wechat_notify.sending.claims import Claims, ClaimsForSome
from wechat_notify.sending.outbox import Claimed
from wechat_notify.sending.recording import Result, record
from wechat_notify.sending.wanted import Wanted
from wechat_notify.services import pause, resume

Status = SendLog.Status
Priority = Notification.Priority
pytestmark = pytest.mark.django_db(transaction=True)

LEASE = 60
WINDOW = timedelta(minutes=9)
WORKERS = 3

workers = st.integers(0, WORKERS - 1)
wanted = st.integers(1, 25)
which = st.integers(0, 9)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.sampled_from(Priority), st.integers(1, 30)),
        st.tuples(st.just("claim"), workers, wanted),
        st.tuples(st.just("claim_for_one"), workers, wanted, which),
        st.tuples(st.just("overtake"), workers, wanted, st.sampled_from(Priority)),
        st.tuples(st.just("send"), workers, wanted),
        st.tuples(st.just("retry"), workers, wanted),
        st.tuples(st.just("hand_back"), workers),
        st.tuples(st.just("crash"), workers, wanted),
        st.tuples(st.just("leases_end")),
        st.tuples(st.just("pause"), which),
        st.tuples(st.just("resume"), which),
    ),
    max_size=30,
)


class Site:
    """Some workers on one database, and a WeChat that knows a repeat by its row."""

    def __init__(self, template: MessageTemplate) -> None:
        self._template = template
        self._claims = [Claims("default") for _ in range(WORKERS)]
        self._held: list[list[Claimed]] = [[] for _ in range(WORKERS)]
        self._on_wire: Counter[int] = Counter()
        self._recorded: set[int] = set()
        self._notifications: list[Notification] = []

    def do(self, name: str, *arguments: Any) -> None:
        getattr(self, name)(*arguments)

    def write(self, priority: Priority, people: int) -> None:
        made = Notification.objects.create(template=self._template, data=ORDER, priority=priority)
        self._notifications.append(made)
        SendLog.objects.bulk_create(
            SendLog(
                notification=made,
                account="default",
                priority=priority,
                openid=openid(number),
                due_at=timezone.now(),
            )
            for number in range(people)
        )

    def claim(self, worker: int, number: int) -> None:
        due = self._due()
        rows = self._claims[worker].take(number, number)
        self._take_in(worker, rows)
        assert len(rows) == min(number, sum(due.values())), "nothing due is left out of a claim"
        found = Counter(row.priority for row in rows)
        for priority, waiting in due.items():
            assert found[priority] >= min(waiting, number // 10)

    def claim_for_one(self, worker: int, number: int, place: int) -> None:
        if (own := self._chosen(place)) is None:
            return
        due = SendLog.objects.waiting().filter(notification=own, due_at__lte=timezone.now()).count()
        claiming = ClaimsForSome("default", Wanted([("default", own.pk)]))
        rows = claiming.take(number, number)
        self._take_in(worker, rows)
        assert claiming.counted(rows) >= min(due, number // 10)
        assert all(row.priority <= own.priority for row in rows)
        assert bool(rows) == bool(due)

    def overtake(self, worker: int, number: int, than: Priority) -> None:
        due = sum(count for priority, count in self._due().items() if priority < than)
        rows = self._claims[worker].take_more_urgent(than, number)
        self._take_in(worker, rows)
        assert len(rows) == min(number, due)

    def send(self, worker: int, number: int) -> None:
        sent = self._leave(worker, number)
        written = record([Result(row.pk, row.claimed_at, Status.SENT) for row in sent])
        assert written == len(sent), "the lease was valid when they left"
        self._recorded |= {row.pk for row in sent}

    def retry(self, worker: int, number: int) -> None:
        """No answer: the row is tried again, in doubt."""
        now = timezone.now()
        rows = self._leave(worker, number)
        record(
            [Result(row.pk, row.claimed_at, Status.PENDING, due_at=now, doubt=now) for row in rows]
        )

    def hand_back(self, worker: int) -> None:
        rows, self._held[worker] = self._held[worker], []
        now = timezone.now()
        record(
            [
                Result(row.pk, row.claimed_at, Status.PENDING, now, row.doubt, attempted=False)
                for row in rows
            ]
        )

    def crash(self, worker: int, number: int) -> None:
        """kill -9 while some are on their way, whose results nobody writes."""
        self._leave(worker, number)
        self._held[worker] = []
        self._claims[worker] = Claims("default")

    def leases_end(self) -> None:
        """Also of workers that live: they must not send what they hold any more."""
        now = timezone.now()
        outbox.requeue_abandoned(
            "default", now=now + timedelta(seconds=LEASE), due_at=now, lease=LEASE, window=WINDOW
        )

    def pause(self, place: int) -> None:
        if (chosen := self._chosen(place)) is not None:
            pause(chosen)

    def resume(self, place: int) -> None:
        if (chosen := self._chosen(place)) is not None:
            resume(chosen)

    def end_well(self) -> None:
        """Everything goes on: after so many claims each row was sent, and recorded once."""
        for notification in self._notifications:
            resume(notification)
        for worker in range(WORKERS):
            self._held[worker] = []
        self.leases_end()
        rows = SendLog.objects.count()
        for _ in range(rows // 10 + 2):
            self.claim(0, 10)
            self.send(0, 10)
        assert SendLog.objects.filter(status=Status.SENT).count() == rows
        assert len(self._recorded) == rows
        assert set(self._on_wire) == self._recorded

    def _chosen(self, place: int) -> Notification | None:
        if not self._notifications:
            return None
        return self._notifications[place % len(self._notifications)]

    def _due(self) -> Counter[int]:
        due = SendLog.objects.waiting().filter(due_at__lte=timezone.now())
        return Counter(due.values_list("priority", flat=True))

    def _take_in(self, worker: int, rows: list[Claimed]) -> None:
        pks = {row.pk for row in rows}
        assert len(pks) == len(rows)
        assert not pks & self._recorded, "what was sent is never claimed again"
        self._held[worker] += rows

    def _leave(self, worker: int, number: int) -> list[Claimed]:
        """Let so many rows leave, if they are still this worker's."""
        chosen, self._held[worker] = self._held[worker][:number], self._held[worker][number:]
        held = outbox.mark_on_wire(chosen, now=database_clock.now())
        gone = [row for row in chosen if row.pk in held]
        for row in gone:
            assert row.pk not in self._recorded, "accepted, and sent again"
            assert bool(self._on_wire[row.pk]) == (row.doubt is not None), "an unknown repeat"
            self._on_wire[row.pk] += 1
        return gone


@pytest.fixture
def only_workers(configure: Callable[..., None]) -> None:
    """Not in each example: every change of a setting lies on top of those before."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.mark.usefixtures("only_workers")
@given(steps)
@settings(max_examples=60)
def test_whatever_happens_each_row_is_sent_once_and_none_starves(
    template: MessageTemplate,
    monkeypatch: pytest.MonkeyPatch,
    happening: list[tuple[Any, ...]],
) -> None:
    """Priorities, leases, crashes, retries and pauses interleaved, on the database of this run."""
    SendLog.objects.all().delete()
    Notification.objects.all().delete()
    with monkeypatch.context() as patched:
        patched.setattr(claims, "LOOK_SECONDS", 0)
        site = Site(template)
        for step in happening:
            site.do(*step)
        site.end_well()

"""The default dispatcher within one process: when its thread starts, and what it is handed."""

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, ClassVar

import pytest
import requests
from django.core.cache import caches
from django.db import OperationalError, transaction
from django.test import Client
from django.test import utils as django_test
from django.utils import timezone
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.factories import ORDER, make_template, openid
from tests.waiting import wait_until
from wechat_notify.backends import locmem
from wechat_notify.dispatchers.background import BackgroundDispatcher
from wechat_notify.dispatchers.caretaker import Caretaker
from wechat_notify.dispatchers.inline import InlineDispatcher
from wechat_notify.dispatchers.queue import QueueDispatcher
from wechat_notify.dispatchers.sender_thread import SenderThread, sender
from wechat_notify.dispatchers.worker import WorkerDispatcher
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.receipts.soon import settle_soon
from wechat_notify.sending.forks_record import hosts_without_threads
from wechat_notify.services import notify
from wechat_notify.wechat import threads

Status = SendLog.Status
Configure = Callable[..., None]
BACKGROUND = "wechat_notify.dispatchers.background.BackgroundDispatcher"


def tell(number: int = 1) -> Notification:
    return notify(openid(number), "order_paid", ORDER)


def threads_of_ours() -> list[str]:
    names = [thread.name for thread in threading.enumerate()]
    return [name for name in names if name.startswith("wechat-notify")]


@pytest.fixture
def as_served(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> Iterator[None]:
    """This process is one that serves a site: Django does not know that a test runs.

    The thread of the test has ended when it is over.
    """
    monkeypatch.delattr(django_test._TestState, "saved_data")
    sender.forget()
    yield
    sender.get().end()
    wait_until(lambda: not threads_of_ours())
    sender.forget()


# -- in tests ---------------------------------------------------------------------------------


@pytest.fixture
def in_tests(configure: Configure) -> Iterator[None]:
    """The default dispatcher in a user's test: whatever happens, no thread has been started."""
    configure(DISPATCHER=BACKGROUND)
    sender.forget()
    yield
    assert not threads_of_ours()
    assert not locmem.outbox


def test_no_thread_after_a_commit(in_tests: None, transactional_db: None) -> None:
    """A test that really commits."""
    make_template()
    tell()
    with transaction.atomic():
        tell()
    assert SendLog.objects.count() == 2


def test_no_thread_after_callbacks_that_are_captured(
    in_tests: None, template: MessageTemplate, django_capture_on_commit_callbacks: Any
) -> None:
    """``captureOnCommitCallbacks(execute=True)``, in a test that is rolled back."""
    with django_capture_on_commit_callbacks(execute=True) as callbacks:
        tell()
    assert len(callbacks) == 1


def test_no_thread_after_a_request(in_tests: None, db: None) -> None:
    """The test client sends ``request_started``, too."""
    assert Client().get("/nowhere/").status_code == 404


def test_no_thread_after_a_receipt(in_tests: None, db: None) -> None:
    """Receipts are settled in the request."""
    settle_soon()


def test_no_thread_of_a_live_server(in_tests: None, live_server: Any) -> None:
    """A server in a thread of the test's own process."""
    assert requests.get(f"{live_server.url}/nowhere/", timeout=120).status_code == 404


# -- many in one transaction ------------------------------------------------------------------


class Recorded:
    """Notes the notifications of each call of ``dispatch_all()``."""

    calls: ClassVar[list[list[int]]] = []

    def dispatch_all(self, notifications: list[Notification]) -> None:
        self.calls.append([notification.pk for notification in notifications])
        super().dispatch_all(notifications)  # type: ignore[misc]


class Inline(Recorded, InlineDispatcher):
    pass


class Worker(Recorded, WorkerDispatcher):
    pass


class Queue(Recorded, QueueDispatcher):
    tasks: ClassVar[list[dict[str, Any]]] = []

    def enqueue(self, arguments: dict[str, Any], run_after: datetime | None) -> None:
        self.tasks.append(arguments)


class Background(Recorded, BackgroundDispatcher):
    pass


@pytest.fixture(params=["Inline", "Worker", "Queue", "Background"])
def calls(request: Any, configure: Configure) -> list[list[int]]:
    """The calls of ``dispatch_all()`` of each kind of dispatcher."""
    configure(DISPATCHER=f"tests.test_background.{request.param}")
    Recorded.calls.clear()
    Queue.tasks.clear()
    return Recorded.calls


def test_twenty_in_one_transaction_are_handed_over_once(
    calls: list[list[int]], transactional_db: None
) -> None:
    """In the order in which they were written, and for a queue as one task."""
    make_template()
    with transaction.atomic():
        made = [tell(number).pk for number in range(20)]
        assert not calls
    assert calls == [made]
    assert [task["notifications"] for task in Queue.tasks] in ([], [made])


def test_captured_callbacks_are_merged_too(
    calls: list[list[int]], template: MessageTemplate, django_capture_on_commit_callbacks: Any
) -> None:
    """Twice in one test, whose transaction never ends."""
    for expected in (1, 2):
        with django_capture_on_commit_callbacks(execute=True):
            made = [tell(number).pk for number in range(3)]
        assert len(calls) == expected
        assert calls[-1] == made


def test_what_is_undone_leaves_the_next_transaction_alone(
    calls: list[list[int]], transactional_db: None
) -> None:
    """A transaction that is rolled back hands over nothing, then or later."""
    make_template()
    write((True, [None, None]))
    assert not calls
    with transaction.atomic():
        made = [tell(3).pk, tell(4).pk]
    assert calls == [made]


# A block: notify() calls and blocks within it, and whether it is rolled back.
BLOCKS = st.recursive(
    st.just(None),
    lambda inner: st.tuples(st.booleans(), st.lists(inner, min_size=1, max_size=4)),
    max_leaves=8,
)


class UndoneError(Exception):
    pass


def write(block: Any) -> list[int]:
    """Carry out a block. Returns the notifications that it leaves."""
    if block is None:
        return [tell().pk]
    undone, inner = block
    made: list[int] = []
    try:
        with transaction.atomic():
            for one in inner:
                made += write(one)
            if undone:
                raise UndoneError
    except UndoneError:
        return []
    return made


@pytest.mark.django_db(transaction=True)
@hypothesis_settings(max_examples=25)
@given(st.lists(BLOCKS, min_size=1, max_size=3))
def test_savepoints_that_are_rolled_back(configure: Configure, blocks: list[Any]) -> None:
    """Whatever is rolled back between, the rest of a transaction is handed over in one call."""
    configure(DISPATCHER="tests.test_background.Worker")
    if not MessageTemplate.objects.exists():
        make_template()
    Recorded.calls.clear()
    with transaction.atomic():
        made = [pk for block in blocks for pk in write(block)]
    assert Recorded.calls == ([made] if made else [])


# -- the thread -------------------------------------------------------------------------------


def test_the_thread_starts_with_the_first_message(as_served: None, configure: Configure) -> None:
    """Not before, and there is one of it."""
    configure(DISPATCHER=BACKGROUND)
    make_template()
    assert not threads_of_ours()
    with transaction.atomic():  # SQLite in memory refuses to wait for the thread
        for number in range(5):
            tell(number)
    wait_until(lambda: len(locmem.outbox) == 5)
    assert threads_of_ours().count("wechat-notify") == 1


def test_the_thread_starts_with_the_first_request(as_served: None, configure: Configure) -> None:
    """And sends what a process that has ended wrote."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    make_template()
    tell()
    configure(DISPATCHER=BACKGROUND)
    Client().get("/nowhere/")
    wait_until(lambda: len(locmem.outbox) == 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"DISPATCHER": "tests.no.such.Dispatcher"},
        {"DISPATCHER": "tests.test_background.tell"},
        {"DISPATCHER": "tests.test_background.Breaks"},
        {"DISPATCHER": 7},
        {"DISPATCHER": {"BACKEND": BACKGROUND, "OPTIONS": {"threads": 0}}},
        {"ACCOUNTS": {}},
        {"ACCOUNTS": {"default": {"BACKEND": "tests.no.such.Backend"}}},
        {"CACHE": "nowhere"},
        {"LEASE": "long"},
    ],
    ids=str,
)
def test_wrong_settings_break_no_request(as_served: None, settings: Any, wrong: Any) -> None:
    """The page is answered whatever WECHAT_NOTIFY says."""
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "DISPATCHER": BACKGROUND, **wrong}
    assert Client().get("/nowhere/").status_code == 404


class Breaks(BackgroundDispatcher):
    """A dispatcher whose own code is wrong."""

    def check(self) -> None:
        raise ValueError("no such queue")


def test_where_no_thread_can_be_started(
    as_served: None,
    configure: Configure,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages are sent at once, it is logged once, and the doctor and the dashboard can tell.

    A minute later, the process may be able to.
    """
    configure(DISPATCHER=BACKGROUND)
    make_template()
    threads._here.forget()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as machine:
        machine.setattr(threading.Thread, "start", refuse)
        assert tell(1).logs.get().status == Status.SENT
        assert tell(2).logs.get().status == Status.SENT
    assert caplog.text.count("cannot run threads") == 1
    assert len(hosts_without_threads()) == 1
    later = time.monotonic() + threads.AGAIN_SECONDS
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert threads.threads_run()


def test_a_thread_that_python_refuses_while_it_ends(
    as_served: None, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is sent at once, too, and says nothing about the server."""
    configure(DISPATCHER=BACKGROUND)
    make_template()
    threads._here.forget()

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert tell().logs.get().status == Status.SENT
    assert not hosts_without_threads()


def test_a_database_that_fails_at_the_first_look(as_served: None, configure: Configure) -> None:
    """What is due is found a moment later, not after a minute."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    make_template()
    tell()
    configure(DISPATCHER="tests.test_background.Fails")
    Fails.times = 1
    Client().get("/nowhere/")
    wait_until(lambda: len(locmem.outbox) == 1)


class Fails(BackgroundDispatcher):
    """Its database refuses so many times."""

    times: ClassVar[int] = 0

    @contextmanager
    def entered(self, context: Hashable) -> Iterator[None]:
        if Fails.times:
            Fails.times -= 1
            raise OperationalError("the database system is starting up")
        yield


def test_a_cache_that_is_down_keeps_nothing_back(
    as_served: None, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread goes on when the cache is there again."""
    configure(DISPATCHER=BACKGROUND)
    make_template()
    cache, asked = type(caches["default"]), []

    def fail(*args: Any, **options: Any) -> None:
        asked.append(threading.current_thread().name)
        raise ConnectionError

    with monkeypatch.context() as down:
        for name in ("add", "get", "set"):
            down.setattr(cache, name, fail)
        tell()
        wait_until(lambda: "wechat-notify" in asked)
        assert not locmem.outbox
    wait_until(lambda: len(locmem.outbox) == 1)


# -- a database that depends on the thread ----------------------------------------------------


class Tenants(BackgroundDispatcher):
    """As a site with django-tenants would write it: the schema is the thread's."""

    here: ClassVar[threading.local] = threading.local()
    entries: ClassVar[list[tuple[str, Hashable]]] = []

    def current_context(self) -> Hashable:
        return getattr(self.here, "schema", None)

    def all_contexts(self) -> Iterable[Hashable]:
        return ["north", "south"]

    @contextmanager
    def entered(self, context: Hashable) -> Iterator[None]:
        self.entries.append((threading.current_thread().name, context))
        self.here.schema = context
        try:
            yield
        finally:
            del self.here.schema


def test_the_context_of_a_request_is_restored_in_the_thread(
    as_served: None, configure: Configure
) -> None:
    """What a request hands over is sent in its context, and each of all contexts is looked at."""
    configure(DISPATCHER="tests.test_background.Tenants")
    Tenants.entries.clear()
    Tenants.here.schema = "east"
    make_template()
    tell()
    wait_until(lambda: len(locmem.outbox) == 1)
    wait_until(
        lambda: {context for _name, context in Tenants.entries} == {"north", "south", "east"}
    )
    assert {name for name, _context in Tenants.entries} == {"wechat-notify"}
    assert Tenants.here.schema == "east"


class NorthFails(Tenants):
    """The database of the first tenant refuses, after it was reached so many times."""

    reached: ClassVar[int] = 0

    @contextmanager
    def entered(self, context: Hashable) -> Iterator[None]:
        if context == "north":
            if not NorthFails.reached:
                raise OperationalError("the database system is in recovery mode")
            NorthFails.reached -= 1
        with super().entered(context):
            yield


@pytest.mark.parametrize("reached", [0, 1], ids=["look", "run"])
def test_one_tenant_in_trouble_stops_no_other(
    as_served: None, configure: Configure, caplog: pytest.LogCaptureFixture, reached: int
) -> None:
    """Be it when it is looked at, or when its messages are sent: it is logged, and that is all."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    make_template()
    tell()
    configure(DISPATCHER="tests.test_background.NorthFails")
    NorthFails.reached = reached
    Client().get("/nowhere/")
    wait_until(lambda: len(locmem.outbox) == 1)
    wait_until(lambda: "was interrupted. It goes on in 1 s." in caplog.text)
    assert "in recovery mode" in caplog.text


def test_one_tenant_in_trouble_delays_no_other(
    transactional_db: None, configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """However long its own trouble lasts, the thread wakes when another's message is due."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    make_template()
    notify(openid(1), "order_paid", ORDER, send_at=timezone.now() + timedelta(seconds=12))
    NorthFails.reached = 0
    thread, dispatcher = SenderThread(), NorthFails({})
    waits = [thread._turn(dispatcher) for _ in range(8)]
    assert max(waits) <= 12
    lines = [one for one in caplog.records if "was interrupted" in one.getMessage()]
    assert len(lines) == 9  # the look, and eight runs
    assert [bool(one.exc_info) for one in lines] == [True] * 2 + [False] * 7


# -- one caretaker ----------------------------------------------------------------------------


def held_by(monkeypatch: pytest.MonkeyPatch, *, host: str | None = None, pid: int) -> None:
    """Another process has become the caretaker, and has not let go."""
    with monkeypatch.context() as other:
        other.setattr(os, "getpid", lambda: pid)
        if host is not None:
            other.setattr("socket.gethostname", lambda: host)
        assert Caretaker(None).__enter__().is_this


def ended_process() -> int:
    """The number of a process that ran and does not any more."""
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    return child


def test_one_caretaker_at_a_time() -> None:
    """Of each context; the next one may be when it has let go."""
    with Caretaker(None) as first, Caretaker(None) as second, Caretaker("north") as elsewhere:
        assert first.is_this
        assert not second.is_this
        assert elsewhere.is_this
    with Caretaker(None) as third:
        assert third.is_this


def test_a_killed_caretaker_of_this_host_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """At once, as it can be seen that its process is gone."""
    held_by(monkeypatch, pid=ended_process())
    with Caretaker(None) as caretaker:
        assert caretaker.is_this


def test_a_caretaker_that_runs_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """On this host, and on another one, of whose processes nothing can be seen."""
    held_by(monkeypatch, pid=os.getppid())
    with Caretaker(None) as caretaker:
        assert not caretaker.is_this
    caches["default"].clear()
    held_by(monkeypatch, host="another", pid=ended_process())
    with Caretaker(None) as caretaker:
        assert not caretaker.is_this


def test_a_caretaker_does_not_let_go_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """One whose hold has ended meanwhile leaves its follower's alone."""
    with Caretaker(None):
        caches["default"].clear()
        held_by(monkeypatch, pid=os.getppid())
    with Caretaker(None) as caretaker:
        assert not caretaker.is_this

"""manage.py wechat_deliver: the worker, as a person and as cron meet it."""

import io
import os
import signal
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper
from django.db import OperationalError, connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.backends import locmem
from wechat_notify.delivery import engine, worker
from wechat_notify.delivery.engine import Report
from wechat_notify.delivery.worker import Worker, last_seen
from wechat_notify.management import progress
from wechat_notify.management.progress import ProgressLine
from wechat_notify.models import Notification, Receipt, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., None]
Status = SendLog.Status


@pytest.fixture(autouse=True)
def only_workers_send(configure: Configure) -> None:
    configure(DISPATCHER="wechat_notify.delivery.dispatch.WorkerDispatcher")


def write(count: int = 1, **options: Any) -> Notification:
    name = f"order_paid_{options.get('account', 'default')}"
    template = make_template(name, account=options.pop("account", "default"))
    return notify([openid(n) for n in range(count)], template, ORDER, **options)


def deliver(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("wechat_deliver", *arguments, stdout=out, **options)
    return out.getvalue()


def statuses() -> dict[str, int]:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


# -- what it sends ----------------------------------------------------------------------------


def test_it_drains_what_is_due_and_says_so() -> None:
    """Without arguments everything due is sent, and one line says how much."""
    write(3)
    assert deliver() == "Done: 3 sent.\n"
    assert statuses() == {"sent": 3}


def test_nothing_to_do_is_no_error() -> None:
    """From cron, on an empty outbox, it says that nothing was sent and exits with 0."""
    assert deliver("--once") == "Done: 0 sent.\n"


def test_rows_of_a_dead_worker_are_taken_up() -> None:
    """A row whose lease has ended is sent by the next run."""
    write(2)
    SendLog.objects.update(status=Status.SENDING, claimed_at=timezone.now() - timedelta(seconds=90))
    deliver()
    assert statuses() == {"sent": 2}


def test_max_is_the_most_it_handles() -> None:
    """--max N handles N messages, over however many batches, and leaves the rest."""
    write(7)
    deliver("--max=5")
    assert statuses() == {"sent": 5, "pending": 2}


def test_one_account_only() -> None:
    """--account leaves the messages of other accounts alone."""
    write(1)
    write(2, account="other")
    deliver("--account=other")
    assert {log.account for log in SendLog.objects.filter(status=Status.SENT)} == {"other"}
    assert statuses() == {"pending": 1, "sent": 2}


def test_one_notification_only() -> None:
    """--notification leaves all others alone."""
    write(1)
    chosen = write(2, account="other")
    deliver(f"--notification={chosen.pk}")
    assert set(SendLog.objects.filter(status=Status.SENT)) == set(chosen.logs.all())


@pytest.mark.parametrize(
    ("argument", "complaint"),
    [
        ("--account=nobody", "nobody"),
        ("--notification=4711", "no notification 4711"),
        ("--max=0", "1 or more"),
        ("--interval=0", "more than 0"),
        ("--interval=soon", "more than 0"),
    ],
)
def test_a_wrong_argument_is_named(argument: str, complaint: str) -> None:
    """A typo is a clear error, never an account that quietly has nothing due."""
    with pytest.raises(CommandError, match=complaint):
        deliver(argument)


# -- what it says -----------------------------------------------------------------------------


def test_the_summary_tells_the_fates_apart() -> None:
    """Sent, failed and to be tried again are counted each."""
    locmem.results.add(47003)
    locmem.results.add(-1)
    write(4)
    assert deliver().splitlines() == [
        "Done: 2 sent, 1 failed, 1 to be tried again.",
        "1 still waiting; manage.py wechat_doctor says what for.",
    ]


def test_the_summary_says_why_an_account_rests_and_until_when() -> None:
    """Quota used up: the reason, the time and the errcode, in plain words."""
    locmem.results.add(45009, times=50)
    write(3)
    said = deliver()
    assert "Account 'default' is at rest" in said
    assert "quota" in said
    assert "until 20" in said
    assert "45009" in said
    assert statuses() == {"pending": 3}


def test_the_summary_names_an_account_that_cannot_send(configure: Configure) -> None:
    """A backend that cannot be made leaves its rows waiting and is pointed out."""
    write(1)
    configure(default={"BACKEND": "wechat_notify.backends.wechat.WeChatBackend", "APP_ID": ""})
    assert "wechat_doctor" in deliver()
    assert statuses() == {"pending": 1}


def test_verbosity_0_says_nothing() -> None:
    """-v 0 is silent, for those who want only the exit code."""
    write(1)
    assert deliver(verbosity=0) == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def report(sent: int) -> Report:
    made = Report()
    made.counts["sent"] = sent
    return made


def test_a_terminal_sees_one_line_that_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bar with share, counts and speed is drawn over itself, and gone at the end."""
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0)
    terminal = Terminal()
    with ProgressLine(OutputWrapper(terminal), total=10) as line:
        line(report(5))
        line(report(10))
    text = terminal.getvalue()
    assert "\n" not in text
    assert "[############............]  50% 5 sent" in text
    assert "100% 10 sent" in text
    assert text.endswith("\r\x1b[K")


def test_a_log_file_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """No carriage return, no escape codes; and not a line for every batch."""
    out = io.StringIO()
    with ProgressLine(OutputWrapper(out), total=10) as line:
        line(report(1))
        monkeypatch.setattr(progress, "LINE_SECONDS", 0)
        line(report(5))
    assert out.getvalue().startswith(" 50% 5 sent, ")
    assert out.getvalue().count("\n") == 1
    assert "\r" not in out.getvalue()


def test_without_a_total_there_is_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that stays cannot know how much will come."""
    monkeypatch.setattr(progress, "REDRAW_SECONDS", 0)
    terminal = Terminal()
    with ProgressLine(OutputWrapper(terminal)) as line:
        line(report(5))
    assert "%" not in terminal.getvalue()


# -- how long it stays ------------------------------------------------------------------------


def test_ctrl_c_ends_watch_with_a_summary() -> None:
    """SIGINT while idle: no traceback, exit 0, and the old handlers are back."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    write(1)
    said = deliver("--watch", "--interval=0.05")
    timer.join()
    assert "Done: 1 sent." in said
    assert "Stopped." in said
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_it_runs_outside_the_main_thread() -> None:
    """Without signal handlers, which only the main thread may have."""

    def run() -> None:
        call_command("wechat_deliver", verbosity=0)
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(timeout=10)
    assert not thread.is_alive()


def test_watch_ends_at_max() -> None:
    """--watch --max N exits once N messages are handled, so that a supervisor starts it afresh."""
    write(5)
    assert "Done: 3 sent." in deliver("--watch", "--max=3")


def test_an_idle_worker_looks_less_and_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interval doubles up to four times its length, and is short again after work."""
    idle = Worker()
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 4:
            write(1)
        if len(waits) == 6:
            idle.stop.set()

    monkeypatch.setattr(idle.stop, "wait", wait)
    idle.watch(1.0)
    assert waits == [1, 2, 4, 4, 1, 2]
    assert statuses() == {"sent": 1}


class Outage:
    """A database, or cache, that fails for a number of runs."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self._error = error
        self._deliver = engine.deliver

    def __call__(self, **options: Any) -> Report:
        if self.left:
            self.left -= 1
            raise self._error
        return self._deliver(**options)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "DATABASE_WAIT_FIRST", 0.001)


@pytest.mark.parametrize("error", [OperationalError("gone away"), ConnectionError("redis")])
def test_watch_outlasts_a_restart(
    error: Exception,
    impatient: None,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A database or cache that restarts is waited for, and the log says so."""
    monkeypatch.setattr(engine, "deliver", Outage(8, error))
    write(1)
    assert "Done: 1 sent." in deliver("--watch", "--max=1")
    assert "goes on in" in caplog.text


def test_once_outlasts_a_moment(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadlock or a locked file is tried again within a run."""
    monkeypatch.setattr(engine, "deliver", Outage(2, OperationalError("deadlock")))
    write(1)
    assert deliver() == "Done: 1 sent.\n"


def test_once_gives_up_in_words(impatient: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that stays away is a CommandError, for cron to mail, not a traceback."""
    monkeypatch.setattr(engine, "deliver", Outage(99, OperationalError("connection refused")))
    write(1)
    with pytest.raises(CommandError, match="does not answer"):
        deliver()


def test_what_was_done_before_an_interruption_counts(
    impatient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The summary holds what a run had written before the database failed under it."""
    real = engine.deliver
    runs = iter([2, None])

    def deliver_then_fail(**options: Any) -> Report:
        limit = next(runs)
        if limit is None:
            return real(**options)
        real(**{**options, "limit": limit})
        raise OperationalError("gone away")

    monkeypatch.setattr(engine, "deliver", deliver_then_fail)
    write(5)
    assert deliver() == "Done: 5 sent.\n"


def test_a_worker_leaves_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others can see when a worker was last at work, for which account."""
    assert last_seen("default") is None
    deliver("--account=default")
    seen = last_seen("default")
    assert seen is not None
    assert timezone.now() - seen < timedelta(seconds=30)
    assert last_seen("other") is None


def test_an_idle_worker_only_reads() -> None:
    """Looking for work takes two SELECTs and no lock."""
    with CaptureQueriesContext(connection) as queries:
        Worker().drain()
    ours = [query["sql"] for query in queries if SendLog._meta.db_table in query["sql"]]
    assert len(ours) == 2
    assert all(sql.startswith("SELECT") and "FOR UPDATE" not in sql for sql in ours)


def test_a_long_run_shows_progress(monkeypatch: pytest.MonkeyPatch, configure: Configure) -> None:
    """Lines appear while a run is on, with the totals of all its rounds."""
    monkeypatch.setattr(progress, "LINE_SECONDS", 0)
    configure(DISPATCHER="wechat_notify.delivery.dispatch.WorkerDispatcher", BATCH_SIZE=100)
    write(250)
    lines = deliver().splitlines()
    assert lines[-1] == "Done: 250 sent."
    assert lines[0].startswith(" 40% 100 sent")


def test_a_worker_settles_the_receipts_that_wait() -> None:
    """With nothing left to send, what WeChat has said meanwhile still reaches its rows."""
    notification = notify([openid(1)], make_template(), ORDER)
    deliver()
    log = notification.logs.get()
    Receipt.objects.create(
        account="default",
        openid=log.openid,
        msgid=log.msgid,
        status="success",
        event_at=timezone.now(),
    )
    deliver()
    log.refresh_from_db()
    assert log.status == SendLog.Status.DELIVERED

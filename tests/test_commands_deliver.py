"""manage.py wechat_deliver: the worker, as a person and as cron meet it."""

import io
import os
import signal
import socket
import threading
import time
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
from wechat_notify.dispatchers.signs_of_life import last_seen
from wechat_notify.dispatchers.worker import Worker
from wechat_notify.management.progress import ProgressLine
from wechat_notify.models import MessageTemplate, Notification, Receipt, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.engine import Report
from wechat_notify.services import notify
from wechat_notify.types import Outcome, SendResult

pytestmark = pytest.mark.django_db(transaction=True)

Configure = Callable[..., None]
Status = SendLog.Status


@pytest.fixture(autouse=True)
def only_workers_send(configure: Configure) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


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
    usual = [
        "Done: 2 sent, 1 failed, 1 to be tried again.",
        "1 still waiting; manage.py wechat_doctor says what for.",
    ]
    # A run that takes longer than the row waits tries it again itself.
    slow = ["Done: 3 sent, 1 failed, 1 to be tried again."]
    assert deliver().splitlines() in (usual, slow)


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


def test_the_summary_quotes_what_wechat_said_to_an_account() -> None:
    """WeChat's own words stand beside ours, with all that they name."""
    text = "api unauthorized, 203.0.113.9 rid: 5f2a-1b"
    locmem.results.add(SendResult(Outcome.REFUSED, 48001, text), times=50)
    write(3)
    assert f"WeChat's words: “{text}”" in deliver()


def test_the_summary_names_a_host_that_is_not_whitelisted(
    wechat: Sandbox, known_template: MessageTemplate
) -> None:
    """40164 speaks of this host: its name, WeChat's own words and the IP address to add."""
    text = "invalid ip 203.0.113.9 ipv6 ::ffff:203.0.113.9, not in whitelist"
    wechat.fail(40164, times=None, path="/cgi-bin/message/template/send", errmsg=text)
    notify([openid(n) for n in range(3)], known_template, ORDER)
    said = deliver()
    assert f"WeChat refuses server {socket.gethostname()} since 20" in said
    assert f"WeChat's words: “{text}" in said
    assert "Add 203.0.113.9 to the account's IP whitelist" in said


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


def test_a_terminal_sees_one_line_that_moves() -> None:
    """A bar with share, counts and speed is drawn over itself, and gone at the end."""
    terminal = Terminal()
    with ProgressLine(OutputWrapper(terminal), total=10, redraw_seconds=0) as line:
        line(report(5))
        line(report(10))
    text = terminal.getvalue()
    assert "\n" not in text
    assert "[############............]  50% 5 sent" in text
    assert "100% 10 sent" in text
    assert text.endswith("\r\x1b[K")


@pytest.mark.parametrize(("seconds", "lines"), [(0, 2), (60, 0)])
def test_a_log_file_gets_plain_lines_now_and_then(seconds: float, lines: int) -> None:
    """No carriage return, no escape codes; and not a line for every batch."""
    out = io.StringIO()
    with ProgressLine(OutputWrapper(out), total=10, line_seconds=seconds) as line:
        line(report(1))
        line(report(5))
    assert out.getvalue().count("\n") == out.getvalue().count("sent, ") == lines
    assert ("\n 50% 5 sent, " in out.getvalue()) is (lines > 0)
    assert "\r" not in out.getvalue()


def test_without_a_total_there_is_no_bar() -> None:
    """A worker that stays cannot know how much will come."""
    terminal = Terminal()
    with ProgressLine(OutputWrapper(terminal)) as line:
        line(report(5))
    assert "%" not in terminal.getvalue()


# -- how long it stays ------------------------------------------------------------------------


def test_ctrl_c_ends_watch_with_a_summary() -> None:
    """SIGINT while idle: no traceback, exit 0, and the old handlers are back."""
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    def press_ctrl_c() -> None:
        while not locmem.outbox:
            time.sleep(0.005)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    person = threading.Thread(target=press_ctrl_c, daemon=True)
    person.start()
    write(1)
    said = deliver("--watch", "--interval=0.05")
    person.join()
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
    thread.join(timeout=60)
    assert not thread.is_alive()


def test_watch_ends_at_max() -> None:
    """--watch --max N exits once N messages are handled, so that a supervisor starts it afresh."""
    write(5)
    assert "Done: 3 sent." in deliver("--watch", "--max=3")


class Waits(threading.Event):
    """A worker's ``stop`` that takes no time, and says how long the worker would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.seconds.append(timeout or 0)
        if len(self.seconds) == 4:
            write(1)
        if len(self.seconds) == 6:
            self.set()
        return self.is_set()


def test_an_idle_worker_looks_every_interval() -> None:
    """However long it has idled; after work it looks again at once."""
    if connection.vendor == "postgresql":
        pytest.skip("there it listens: tests/services/test_wakeups.py")
    idle = Worker()
    idle.stop = waits = Waits()
    idle.watch(1.0)
    assert waits.seconds == [1] * 6
    assert statuses() == {"sent": 1}


def test_other_databases_are_asked_for_nothing() -> None:
    """Only PostgreSQL can wake a worker: elsewhere notify() runs no statement after the commit."""
    with CaptureQueriesContext(connection) as queries:
        write()
    last = queries[-1]["sql"]
    assert last == ("NOTIFY wechat_notify" if connection.vendor == "postgresql" else "COMMIT")


class Outage:
    """A database that refuses a number of claims, after so many messages have left.

    ``only``: it refuses the statements that begin so instead.
    """

    def __init__(self, times: int, error: Exception, *, after: int = 0, only: str = "") -> None:
        self.left = times
        self._only = only
        self._error = error
        self._after = after

    def __call__(self, execute: Any, sql: str, *more: Any) -> Any:
        claims = "WITH due" in sql or "SKIP LOCKED" in sql
        refuses = sql.startswith(self._only) if self._only else claims
        if refuses and self.left and len(locmem.outbox) >= self._after:
            self.left -= 1
            raise self._error
        return execute(sql, *more)


class NoWaits(threading.Event):
    """A worker's ``stop`` whose waits end at once."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


def impatient(**options: Any) -> Worker:
    """A worker that tries again at once where others wait for the database."""
    worker = Worker(**options)
    worker.stop = NoWaits()
    return worker


@pytest.mark.parametrize("error", [OperationalError("gone away"), ConnectionError("redis")])
def test_watch_outlasts_a_restart(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    """A database or cache that restarts is waited for, and the log says so."""
    write(1)
    worker = impatient(limit=1)
    with connection.execute_wrapper(Outage(8, error)):
        worker.watch(1)
    assert worker.report.sent == 1
    assert "goes on in" in caplog.text


def test_once_outlasts_a_moment() -> None:
    """A deadlock or a locked file is tried again within a run."""
    write(1)
    worker = impatient()
    with connection.execute_wrapper(Outage(2, OperationalError("deadlock"))):
        worker.drain()
    assert worker.report.sent == 1


def test_once_gives_up() -> None:
    """A database that stays away ends the run after a few tries."""
    write(1)
    outage = Outage(99, OperationalError("connection refused"))
    with connection.execute_wrapper(outage), pytest.raises(OperationalError):
        impatient().drain()
    assert outage.left == 99 - 5


def test_a_database_that_is_away_is_told_in_words() -> None:
    """It is a CommandError, for cron to mail, not a traceback."""
    away = connection.execute_wrapper(Outage(99, OperationalError("refused"), only="SELECT"))
    with away, pytest.raises(CommandError, match="does not answer"):
        deliver()


def test_what_was_done_before_an_interruption_counts(
    configure: Configure, caplog: pytest.LogCaptureFixture
) -> None:
    """The summary holds what a run had written before the database failed under it."""
    configure(CONCURRENCY=1, BATCH_SIZE=2)
    write(20)
    worker = impatient()
    with connection.execute_wrapper(Outage(1, OperationalError("gone away"), after=1)):
        worker.drain()
    assert worker.report.sent == 20
    assert "goes on in" in caplog.text


def test_a_worker_leaves_signs_of_life() -> None:
    """Others can see when a worker was last at work, for which account."""
    assert last_seen("default") is None
    deliver("--account=default")
    seen = last_seen("default")
    assert seen is not None
    assert timezone.now() - seen < timedelta(minutes=5)
    assert last_seen("other") is None


def test_an_idle_worker_only_reads() -> None:
    """Looking for work takes one SELECT and no lock."""
    with CaptureQueriesContext(connection) as queries:
        Worker().drain()
    ours = [query["sql"] for query in queries if SendLog._meta.db_table in query["sql"]]
    assert len(ours) == 1
    assert all(sql.startswith("SELECT") and "FOR UPDATE" not in sql for sql in ours)


def test_a_long_run_shows_progress(configure: Configure) -> None:
    """Lines appear while a run is on, with the totals of all its rounds."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher", BATCH_SIZE=100)
    write(250)
    out = io.StringIO()
    line = ProgressLine(OutputWrapper(out), total=250, line_seconds=0)
    Worker(progress=line).drain()
    assert [text.partition(",")[0] for text in out.getvalue().splitlines()] == [
        " 40% 100 sent",
        " 80% 200 sent",
        "100% 250 sent",
    ]


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

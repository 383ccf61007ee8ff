"""Workers that wait for PostgreSQL's NOTIFY, in real processes: woken, deaf, cut off.

They have an interval of ten minutes, so that whatever they send has woken them.
"""

import importlib.util
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.databases import database_url
from tests.factories import ORDER, openid
from tests.services.conftest import SHORT, Site
from tests.services.postgresql import own_server, pgbouncer, pooled, postgres
from tests.wire import wire
from wechat_notify.dispatchers.wakeups import Listener, notify_workers
from wechat_notify.services import notify

psycopg = pytest.importorskip("psycopg")

pytestmark = [pytest.mark.services, pytest.mark.slow]

# The last statement of a connection that has heard its echo.
LISTENING = "FROM pg_stat_activity WHERE datname = current_database() AND query ILIKE"
COUNT = f"SELECT count(*) {LISTENING} %s"
CUT = f"SELECT pg_terminate_backend(pid) {LISTENING} %s"

WORKER = "wechat_notify.dispatchers.worker.WorkerDispatcher"
NEVER = "--interval=600"
DEAF = "The worker is not woken, and looks for messages at its interval."


def server_url() -> str:
    return database_url(Path())  # only SQLite needs a directory


def on_server(statement: str, url: str = "") -> int:
    """Run one of the statements above for connections that listen; its first value."""
    with psycopg.connect(url or server_url(), autocommit=True) as asking:
        row = asking.execute(statement, ["LISTEN wechat_notify"]).fetchone()
    return int(row[0]) if row else 0


def watch(site: Site, interval: str = NEVER, **environment: str) -> subprocess.Popen[bytes]:
    return site.manage("wechat_deliver", "--watch", interval, **environment)


def watch_and_hear(site: Site, **environment: str) -> subprocess.Popen[bytes]:
    """A worker that has heard its echo. It looks for messages once more after that."""
    before = on_server(COUNT)
    worker = watch(site, **environment)
    site.wait_until(lambda: on_server(COUNT) > before)
    return worker


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site with a template, and nothing to send."""
    if connection.vendor != "postgresql":
        pytest.skip("PostgreSQL alone has NOTIFY")
    made = make_site()
    made.ask("notify", 0)
    return made


@contextmanager
def through_pgbouncer(mode: str) -> Iterator[str]:
    if pgbouncer() is None:
        pytest.skip("PgBouncer is not installed")
    with pooled(server_url(), mode) as url:
        yield url


# -- what wakes it ----------------------------------------------------------------------------


def test_a_new_message_wakes_a_worker(site: Site) -> None:
    """And once more, when it has gone back to sleep."""
    watch_and_hear(site)
    site.ask("notify", 1)
    site.wait_until_received(1)
    site.ask("notify", 1)
    site.wait_until_counted({"sent": 2})
    assert DEAF not in site.logs


def test_with_psycopg_2(site: Site) -> None:
    """The same where Django has only the older driver, in both processes."""
    if importlib.util.find_spec("psycopg2") is None:
        pytest.skip("psycopg2 is not installed")
    watch_and_hear(site, PSYCOPG2="1")
    site.ask("notify", 1, PSYCOPG2="1")
    site.wait_until_counted({"sent": 1})


def test_what_becomes_due_by_itself(site: Site) -> None:
    """A message for later and one to be tried again leave in their time, and no earlier."""
    watch_and_hear(site)
    site.ask("notify", 1, 3)
    site.wechat.fail(-1, times=1)
    site.ask("notify", 1)
    site.wait_until_counted({"sent": 2})
    assert site.ask("early") == 0
    assert set(site.wechat.counts.values()) == {1}


def test_what_a_killed_worker_had_claimed(site: Site) -> None:
    """A worker that sleeps wakes when the lease of another one's rows ends."""
    site.wechat.latency = 60
    killed = watch(site, **SHORT)
    site.ask("notify", 1)
    site.wait_until(lambda: site.wechat.max_in_flight == 1)
    killed.kill()
    killed.wait()
    site.wechat.latency = 0
    watch_and_hear(site, **SHORT)
    site.wait_until_counted({"sent": 1})


def test_sigterm_ends_a_worker_that_listens(site: Site) -> None:
    """Long before its interval is over, with exit 0, and its connection is closed."""
    worker = watch_and_hear(site)
    worker.send_signal(signal.SIGTERM)
    assert site.ended(worker) == 0, site.logs
    site.wait_until(lambda: on_server(COUNT) == 0)


def test_one_statement_for_a_transaction(site: Site, configure: Callable[..., None]) -> None:
    """Twenty calls send one NOTIFY, after the commit; what is rolled back sends none."""
    configure(DISPATCHER=WORKER)
    with CaptureQueriesContext(connection) as queries:
        with transaction.atomic():
            for number in range(20):
                notify(openid(number), "order_paid", ORDER)
        with suppress(ZeroDivisionError), transaction.atomic():
            notify(openid(21), "order_paid", ORDER)
            raise ZeroDivisionError
    said = [query["sql"] for query in queries]
    assert said.count("NOTIFY wechat_notify") == 1
    assert said.index("NOTIFY wechat_notify") == said.index("COMMIT") + 1


def test_a_notify_that_fails_does_not_fail_the_request(
    site: Site, configure: Callable[..., None], caplog: pytest.LogCaptureFixture
) -> None:
    """The rows are written; it is logged once, and again only after one has succeeded."""
    configure(DISPATCHER=WORKER)

    def refuse(execute: Any, sql: str, *more: Any) -> Any:
        if sql.startswith("NOTIFY"):
            raise OperationalError("the queue is full")
        return execute(sql, *more)

    def write(*people: int) -> None:
        for number in people:
            notify(openid(number), "order_paid", ORDER)

    with connection.execute_wrapper(refuse):
        write(1, 2)
    assert caplog.text.count("the queue is full") == 1
    write(3)
    with connection.execute_wrapper(refuse):
        write(4)
    assert caplog.text.count("the queue is full") == 2
    assert site.ask("counts") == {"pending": 4}


# -- where nothing is heard -------------------------------------------------------------------


def test_through_a_pooler_in_transaction_mode(site: Site) -> None:
    """LISTEN succeeds, and the echo says that nothing is heard: the interval sends."""
    with through_pgbouncer("transaction") as url:
        watch(site, "--interval=1", DATABASE_URL=url)
        site.wait_until(lambda: DEAF in site.logs)
        site.ask("notify", 2, DATABASE_URL=url)
        site.wait_until_counted({"sent": 2})
        assert site.logs.count(DEAF) == 1
        assert on_server(COUNT) == 0
        site.close()


def test_a_worker_that_goes_past_the_pooler(site: Site) -> None:
    """What others write through a pooler in transaction mode wakes it: NOTIFY gets through."""
    watch_and_hear(site)
    with through_pgbouncer("transaction") as url:
        site.ask("notify", 1, DATABASE_URL=url)
    site.wait_until_counted({"sent": 1})


def test_through_a_pooler_in_session_mode(site: Site) -> None:
    """It keeps the connection for the worker, who is woken as without it."""
    with through_pgbouncer("session") as url:
        watch_and_hear(site, DATABASE_URL=url)
        site.ask("notify", 1, DATABASE_URL=url)
        site.wait_until_counted({"sent": 1})
        assert DEAF not in site.logs
        site.close()


def test_a_listening_connection_that_is_cut(site: Site) -> None:
    """It is said once, and another connection listens soon."""
    watch_and_hear(site)
    on_server(CUT)
    site.wait_until(lambda: DEAF in site.logs)
    site.wait_until(lambda: on_server(COUNT) == 1)
    site.ask("notify", 1)
    site.wait_until_counted({"sent": 1})
    assert site.logs.count(DEAF) == 1


def test_a_line_that_is_dead_without_a_word(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A firewall has forgotten the connection: the next echo does not come, and that is noticed."""
    server = connection.settings_dict
    stop = threading.Event()
    connection.ensure_connection()
    with wire(f"http://{server['HOST']}:{server['PORT']}") as line, Listener(prove_every=1) as ear:
        with monkeypatch.context() as patch:  # only the listening connection goes over the wire
            patch.setitem(server, "PORT", urlsplit(line.url).port)
            assert ear.wait(30, stop)
        assert ear.hears
        assert not ear.wait(2, stop), "an echo wakes nobody"
        assert ear.hears
        line.silence()
        notify_workers("default")
        assert ear.wait(30, stop), "it may have been woken meanwhile"
        assert not ear.hears
        assert DEAF in caplog.text


def test_postgresql_restarts(site: Site) -> None:
    """The worker outlasts it, sends what is written then, and is woken again afterwards."""
    if postgres() is None:
        pytest.skip("there is no PostgreSQL server to start")
    with own_server() as server:
        own = {"DATABASE_URL": server.url}
        site.ask("migrate", **own)
        site.ask("notify", 0, **own)
        worker = watch(site, **own)
        site.wait_until(lambda: on_server(COUNT, server.url) == 1)
        server.stop()
        site.wait_until(lambda: "goes on in" in site.logs)
        server.start()
        site.ask("notify", 1, **own)
        site.wait_until(lambda: site.ask("counts", **own) == {"sent": 1})
        site.wait_until(lambda: on_server(COUNT, server.url) == 1)
        site.ask("notify", 1, **own)
        site.wait_until(lambda: site.ask("counts", **own) == {"sent": 2})
        assert worker.poll() is None
        site.close()

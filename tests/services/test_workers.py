"""Worker processes side by side on real databases: nothing doubled, nothing left."""

import contextlib
import signal
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection

from tests.services.conftest import Site


def share(site: Site, workers: int, messages: int) -> None:
    """Let workers that start together share one notification; everybody must get exactly one."""
    site.ask("notify", messages)
    processes = [site.manage("wechat_deliver", "--verbosity=2") for _ in range(workers)]
    assert [process.wait(timeout=100) for process in processes] == [0] * workers, site.logs
    assert site.ask("counts") == {"sent": messages}, site.logs
    assert len(site.wechat.counts) == messages
    assert set(site.wechat.counts.values()) == {1}
    assert site.wechat.duplicates == 0
    assert site.wechat.token_fetches == 1


def test_two_workers_share_a_sqlite_file(sqlite_site: Site) -> None:
    """2 workers on SQLite, 1,000 rows: no row is sent twice, all are sent."""
    share(sqlite_site, workers=2, messages=1_000)


@pytest.mark.services
@pytest.mark.slow
def test_four_workers_share_ten_thousand_messages(make_site: Callable[..., Site]) -> None:
    """4 workers on PostgreSQL or MariaDB, 10,000 rows: no row is sent twice, all are sent."""
    share(make_site(), workers=4, messages=10_000)


def test_sigterm_ends_a_watching_worker_cleanly(sqlite_site: Site) -> None:
    """SIGTERM in the middle of a run: exit 0, nothing left in flight, the rest waits."""
    sqlite_site.wechat.latency = 0.1
    sqlite_site.ask("notify", 2_000)
    worker = sqlite_site.manage("wechat_deliver", "--watch")
    sqlite_site.wait_until_received(20)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=20) == 0, sqlite_site.logs
    counts = sqlite_site.ask("counts")
    assert counts.keys() == {"sent", "pending"}, sqlite_site.logs
    assert counts["sent"] == len(sqlite_site.wechat.counts)
    sqlite_site.wechat.latency = 0
    assert sqlite_site.manage("wechat_deliver").wait(timeout=60) == 0
    assert sqlite_site.ask("counts") == {"sent": 2_000}
    assert sqlite_site.wechat.duplicates == 0


def test_a_watching_worker_finds_what_comes_later(sqlite_site: Site) -> None:
    """--watch sends what is written while it idles, without anybody telling it."""
    sqlite_site.manage("wechat_deliver", "--watch", "--interval=0.1")
    sqlite_site.ask("notify", 3)
    sqlite_site.wait_until_counted({"sent": 3})


CUT = {
    "postgresql": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "mysql": "SELECT id FROM information_schema.processlist "
    "WHERE db = DATABASE() AND id <> CONNECTION_ID()",
}


def cut_connections() -> None:
    """Hang up on every other client of the test database, as a restart does."""
    with connection.cursor() as cursor:
        cursor.execute(CUT[connection.vendor])
        found = cursor.fetchall()
        if connection.vendor == "mysql":
            for (number,) in found:
                with contextlib.suppress(OperationalError):  # gone by itself
                    cursor.execute("KILL %s", [number])


@pytest.mark.services
def test_a_watching_worker_outlasts_a_restart_of_the_database(
    make_site: Callable[..., Site],
) -> None:
    """Connections cut again and again in mid-run: the worker goes on, each message goes once."""
    site = make_site()
    site.wechat.latency = 0.05
    site.ask("notify", 600)
    worker = site.manage("wechat_deliver", "--watch", "--interval=0.1")
    for people in (50, 150, 250, 350):
        site.wait_until_received(people)
        cut_connections()
    site.wait_until_received(600)
    site.wait_until_counted({"sent": 600})
    assert set(site.wechat.counts.values()) == {1}
    assert worker.poll() is None

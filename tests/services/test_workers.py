"""Worker processes side by side on real databases: nothing doubled, nothing left."""

import contextlib
import signal
from collections.abc import Callable

import pytest
from django.db import OperationalError, connection

from tests.factories import openid
from tests.services.conftest import SHORT, Site

pytestmark = pytest.mark.slow


def share(site: Site, workers: int, messages: int) -> None:
    """Let workers that start together share one notification; everybody must get exactly one."""
    site.ask("notify", messages)
    processes = [site.manage("wechat_deliver", "--verbosity=2") for _ in range(workers)]
    assert [site.ended(process) for process in processes] == [0] * workers, site.logs
    site.wait_until_counted({"sent": messages})
    assert len(site.wechat.counts) == messages
    assert set(site.wechat.counts.values()) == {1}
    assert site.wechat.duplicates == 0
    assert site.wechat.token_fetches == 1


def test_two_workers_share_a_sqlite_file(sqlite_site: Site) -> None:
    """2 workers on SQLite, 1,000 rows: no row is sent twice, all are sent."""
    share(sqlite_site, workers=2, messages=1_000)


@pytest.mark.services
def test_four_workers_share_ten_thousand_messages(make_site: Callable[..., Site]) -> None:
    """4 workers on PostgreSQL or MariaDB, 10,000 rows: no row is sent twice, all are sent."""
    share(make_site(), workers=4, messages=10_000)


def overtake(site: Site, messages: int, *, for_one: bool) -> None:
    """A worker in the middle of a crowd, and one message for one person written meanwhile."""
    site.wechat.latency = 0.08
    crowd = site.ask("notify", messages)
    only = [f"--notification={crowd}"] if for_one else []
    worker = site.manage("wechat_deliver", *only)
    site.wait_until_received(messages // 20)
    site.wechat.latency = 10  # while the other process starts, which takes as long as it takes
    site.ask("notify", 1)
    site.wechat.latency = 0.08
    one = openid(messages)
    site.wait_until(lambda: one in site.wechat.counts)
    assert len(site.wechat.counts) < messages // 2, "it arrived long before the crowd was done"
    site.wechat.latency = 0
    assert site.ended(worker) == 0, site.logs
    site.wait_until_counted({"sent": messages + 1})
    assert set(site.wechat.counts.values()) == {1}
    assert site.wechat.duplicates == 0


def test_one_message_overtakes_a_crowd_on_sqlite(sqlite_site: Site) -> None:
    """Even where the worker was started for the crowd's own notification."""
    overtake(sqlite_site, 2_000, for_one=True)


@pytest.mark.services
@pytest.mark.parametrize("for_one", [False, True], ids=["for all", "for the crowd only"])
def test_one_message_overtakes_a_crowd(make_site: Callable[..., Site], for_one: bool) -> None:
    """The same on PostgreSQL or MariaDB."""
    overtake(make_site(), 4_000, for_one=for_one)


def test_sigterm_ends_a_watching_worker_cleanly(sqlite_site: Site) -> None:
    """SIGTERM in the middle of a run: exit 0, nothing left in flight, the rest waits."""
    sqlite_site.wechat.latency = 0.1
    sqlite_site.ask("notify", 800)
    worker = sqlite_site.manage("wechat_deliver", "--watch")
    sqlite_site.wait_until_received(20)
    worker.send_signal(signal.SIGTERM)
    assert sqlite_site.ended(worker) == 0, sqlite_site.logs
    counts = sqlite_site.counts()
    assert counts.keys() == {"sent", "pending"}, sqlite_site.logs
    assert counts["sent"] == len(sqlite_site.wechat.counts)
    sqlite_site.wechat.latency = 0
    assert sqlite_site.ended(sqlite_site.manage("wechat_deliver")) == 0
    sqlite_site.wait_until_counted({"sent": 800})
    assert sqlite_site.wechat.duplicates == 0


def test_a_watching_worker_finds_what_comes_later(sqlite_site: Site) -> None:
    """--watch sends what is written while it idles, without anybody telling it."""
    sqlite_site.manage("wechat_deliver", "--watch", "--interval=0.1")
    sqlite_site.ask("notify", 3)
    sqlite_site.wait_until_counted({"sent": 3})


def test_what_a_killed_worker_had_not_sent_yet_goes_out(sqlite_site: Site) -> None:
    """kill -9 to the only worker, the next one comes after WeChat's window: few are uncertain.

    Those on the wire, and those that were about to be: at most 2.25 for each of eight threads.
    """
    sqlite_site.wechat.latency = 1.0
    sqlite_site.ask("notify", 300)
    worker = sqlite_site.manage("wechat_deliver", "--watch")
    sqlite_site.wait_until(lambda: sqlite_site.wechat.max_in_flight == 8)
    worker.kill()
    worker.wait()
    sqlite_site.wechat.latency = 0
    assert sqlite_site.ask("age", 720) >= 100
    assert sqlite_site.ended(sqlite_site.manage("wechat_deliver")) == 0
    counts = sqlite_site.counts()
    assert counts["uncertain"] <= 18, counts
    assert counts["sent"] == 300 - counts["uncertain"]
    assert set(sqlite_site.wechat.counts.values()) == {1}
    assert len(sqlite_site.wechat.counts) >= counts["sent"]


@pytest.mark.services
def test_hosts_whose_clocks_differ_leave_nothing_in_doubt(make_site: Callable[..., Site]) -> None:
    """One clock is fifteen minutes ahead: leases and windows go by the database's."""
    site = make_site()
    site.wechat.latency = 0.05
    site.ask("notify", 1_500)
    workers = [site.manage("wechat_deliver", CLOCK_AHEAD=ahead) for ahead in ("0", "900", "-900")]
    assert [site.ended(worker) for worker in workers] == [0] * 3, site.logs
    site.wait_until_counted({"sent": 1_500})
    assert set(site.wechat.counts.values()) == {1}
    assert site.wechat.duplicates == 0
    assert "clock differs from the database's by 900 seconds" in site.logs


@pytest.mark.services
def test_a_host_whose_clock_is_slow_takes_over_in_time(make_site: Callable[..., Site]) -> None:
    """The lease of a killed worker's rows ends by the database's clock, also for a lone worker."""
    site = make_site()
    site.wechat.latency = 1.0
    site.ask("notify", 8)
    worker = site.manage("wechat_deliver", **SHORT)
    site.wait_until(lambda: site.wechat.max_in_flight == 8)
    worker.kill()
    worker.wait()
    site.manage("wechat_deliver", "--watch", "--interval=0.1", CLOCK_AHEAD="-600", **SHORT)
    site.wait_until_counted({"sent": 8})
    assert set(site.wechat.counts.values()) == {1}


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

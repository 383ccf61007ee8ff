"""Triggers of several processes at once: each person once."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.services.conftest import Site
from tests.services.servers import runserver
from tests.sizes import FULL, sized

pytestmark = pytest.mark.slow

BACKGROUND = {"DISPATCHER": "wechat_notify.dispatchers.background.BackgroundDispatcher"}


def remind(site: Site, people: int) -> None:
    """Two workers and a served site, all of which look: everybody is reminded exactly once."""
    site.ask("book", people)
    runserver(site, "--noreload", **BACKGROUND).get("nowhere/")
    for _ in range(2):
        site.manage("wechat_deliver", "--watch", "--interval=0.2")
    site.wait_until(lambda: len(site.wechat.counts) >= people, seconds=max(300, people / 20))
    # One more looks for itself, whatever the others have done.
    alone = site.manage("wechat_deliver", CACHE_URL="locmemcache://")
    assert alone.wait(timeout=max(300, people / 100)) == 0, site.logs
    site.wait_until_counted({"sent": people})
    assert set(site.wechat.counts.values()) == {1}, site.logs
    assert len(site.wechat.counts) == people


def test_reminders_on_a_sqlite_file(sqlite_site: Site) -> None:
    """60 appointments at one moment."""
    remind(sqlite_site, 60)


@pytest.mark.services
@pytest.mark.timeout(7_200 if FULL else 600)
def test_reminders_on_a_server(make_site: Callable[..., Site]) -> None:
    """On PostgreSQL and MariaDB 150 appointments at one moment, under CHAOS=1 100,000."""
    remind(make_site(), sized(150, 100_000))


def pay_at_once(site: Site, where: Path, processes: int) -> None:
    """All of them have loaded the order before any saves it; the key makes it one message."""
    pk = site.ask("order")
    paying = [
        site.start("tests.services.site", "pay", str(pk), str(where)) for _ in range(processes)
    ]
    site.wait_until(lambda: len(list(where.glob("loaded-*"))) == processes)
    (where / "next").write_text(str(time.time() + 1))
    (where / "next").rename(where / "moment")
    assert [site.ended(process) for process in paying] == [0] * processes, site.logs
    assert site.ask("counts") == {"pending": 1}, site.logs


def test_the_same_order_is_paid_by_two_processes_at_once(sqlite_site: Site, tmp_path: Path) -> None:
    """On SQLite, where one waits for the other."""
    pay_at_once(sqlite_site, tmp_path, 2)


@pytest.mark.services
def test_the_same_order_is_paid_by_eight_processes_at_once(
    make_site: Callable[..., Site], tmp_path: Path
) -> None:
    """On PostgreSQL and MariaDB, where they meet."""
    pay_at_once(make_site(), tmp_path, 8)

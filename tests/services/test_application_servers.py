"""Real application servers: no request waits for WeChat, and everybody gets their own message.

They fork after WeChat has been called, and no row gets another's msgid.
"""

import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection

from tests.factories import openid
from tests.services import servers
from tests.services.conftest import Site
from tests.services.servers import GUNICORN, UWSGI, Server, tried
from tests.sizes import WARM_UP, sized
from tests.wire import Wire, wire
from wechat_notify.sandbox.server import Sandbox

pytestmark = [pytest.mark.services, pytest.mark.slow]

INLINE = {"DISPATCHER": "wechat_notify.dispatchers.inline.InlineDispatcher"}
BACKGROUND = {"DISPATCHER": "wechat_notify.dispatchers.background.BackgroundDispatcher"}
FEW = 2
"""Option ``threads`` of the servers below."""
FEW_THREADS = {**BACKGROUND, "DISPATCHER_OPTIONS": f'{{"threads": {FEW}}}'}
SEND = "/cgi-bin/message/template/send"
# What a page that waited for WeChat would not say.
NOT_YET = {"pending", "sending"}


@pytest.fixture
def line(fake: Sandbox) -> Iterator[Wire]:
    with wire(fake.url) as made:
        yield made


@pytest.fixture
def site(sqlite_site: Site, line: Wire) -> Site:
    sqlite_site.send_through(line)
    return sqlite_site


# -- inline: a page waits, and says what became of its message --------------------------------


@pytest.mark.parametrize("options", tried(GUNICORN))
def test_gunicorn_inline(site: Site, options: list[str]) -> None:
    """Each class of workers, with the application loaded before the fork and after it."""
    server = servers.gunicorn(site, options, **INLINE)
    everybody_gets_their_own(site, server, loads=1 if "--preload" in options else 3)


@pytest.mark.parametrize("options", tried(UWSGI))
def test_uwsgi_inline(site: Site, options: list[str]) -> None:
    """With the options that a site may have forgotten, and without."""
    server = servers.uwsgi(site, options, **INLINE)
    everybody_gets_their_own(site, server, loads=3 if "--lazy-apps" in options else 1)


def everybody_gets_their_own(site: Site, server: Server, *, loads: int) -> None:
    """Each person gets one message, and their row the msgid that WeChat gave that message."""
    people = sized(60)
    site.wait_until(lambda: len(site.wechat.messages) == loads * len(WARM_UP))
    # Slow enough for two processes on one connection to take each other's answers.
    site.wechat.latency = 0.02
    pages = server.get_all([f"tell/{number}/" for number in range(people)])
    site.wechat.latency = 0
    # A request that has waited for ten seconds leaves its message to others.
    late = [page for page in pages if page.json()["counts"] != {"sent": 1}]
    assert all(page.elapsed > timedelta(seconds=10) for page in late), site.logs
    if late:
        assert site.ended(site.manage("wechat_deliver")) == 0, site.logs
    assert [site.wechat.counts[openid(number)] for number in range(people)] == [1] * people
    rows_are_right(site)


def rows_are_right(site: Site) -> None:
    given = [[message.openid, message.msgid] for message in site.wechat.messages]
    assert sorted(site.ask("sent")) == sorted(given), site.logs


# -- in the background ------------------------------------------------------------------------


@pytest.mark.parametrize("options", tried(GUNICORN))
def test_gunicorn(site: Site, line: Wire, options: list[str]) -> None:
    """Each class of workers, with the application loaded before the fork and after it."""
    server = servers.gunicorn(site, options, **FEW_THREADS)
    nobody_waits(site, line, server, loads=1 if "--preload" in options else 3)
    # A graceful end: what is in flight is finished, and the rest given back.
    site.wechat.latency = 0.2
    server.get(f"tell/{sized(100)}/people/")
    before = len(site.wechat.messages)
    site.wait_until(lambda: len(site.wechat.messages) > before + FEW)
    server.process.send_signal(signal.SIGTERM)
    assert site.ended(server.process) == 0, site.logs
    counts = site.ask("counts")
    assert counts.keys() == {"sent", "pending"}, site.logs
    assert counts["sent"] == len(site.wechat.messages)


@pytest.mark.parametrize(
    "options",
    tried({name: UWSGI[name] for name in ("hooks and threads", "threads only")}),
)
def test_uwsgi(site: Site, line: Wire, options: list[str]) -> None:
    """With threads; with and without Python's at-fork hooks."""
    nobody_waits(site, line, servers.uwsgi(site, options, **FEW_THREADS), loads=1)


def test_uwsgi_without_threads(site: Site) -> None:
    """A thread would stand still between two requests, so each request sends its own message."""
    server = servers.uwsgi(site, UWSGI["plain"], **BACKGROUND)
    everybody_gets_their_own(site, server, loads=1)
    told = site.logs.count("This process cannot run threads of its own")
    assert 1 <= told <= server.processes
    assert "cannot run threads, so requests wait" in site.ask("doctor")


def test_uvicorn(site: Site, line: Wire) -> None:
    """ASGI, two processes. It ends by SIGTERM itself, so what is in flight waits for its lease."""
    server = servers.uvicorn(site, **FEW_THREADS)
    nobody_waits(site, line, server, loads=0)
    site.wechat.latency = 0.2
    people = sized(100)
    server.get(f"tell/{people}/people/")
    before = len(site.wechat.messages)
    site.wait_until(lambda: len(site.wechat.messages) > before + FEW)
    server.process.send_signal(signal.SIGTERM)
    site.ended(server.process)
    site.wechat.latency = 0
    site.ask("end_leases")
    servers.uvicorn(site, **FEW_THREADS).get("threads/")
    site.wait_until(lambda: site.ask("counts").keys() == {"sent"})
    assert sum(site.wechat.counts.values()) == site.ask("counts")["sent"]
    rows_are_right(site)


def test_runserver_that_reloads(site: Site, line: Wire, tmp_path: Path) -> None:
    """A changed file starts the server anew while it sends."""
    (tmp_path / "own_settings.py").write_text("from tests.services.settings import *\n")
    own = {"DJANGO_SETTINGS_MODULE": "own_settings", "PYTHONPATH": str(tmp_path)}
    server = servers.runserver(site, **FEW_THREADS, **own)
    nobody_waits(site, line, server, loads=0)
    site.wechat.latency = 0.1
    server.get("tell/60/people/")
    before = len(site.wechat.messages)
    site.wait_until(lambda: len(site.wechat.messages) > before + FEW)
    (tmp_path / "own_settings.py").write_text("from tests.services.settings import *  # changed\n")
    site.wait_until(lambda: "own_settings.py changed, reloading" in site.logs)
    # The old process answers for a moment more; the new one sends from its first request on.
    site.wait_until(lambda: _serves(server) and site.ask("counts").keys() == {"sent"})
    rows_are_right(site)


def _serves(server: Server) -> bool:
    try:
        return server.get("threads/").status_code == 200
    except OSError:  # between two processes
        return False


def nobody_waits(site: Site, line: Wire, server: Server, *, loads: int) -> None:
    """Pages are there before WeChat has answered; everybody gets one message, by few calls.

    ``loads``: how many processes have sent to ``WARM_UP`` when they loaded the application.
    """
    people, most = sized(12), server.processes * FEW
    server.get("threads/")  # what uWSGI's loading process has written waits for a first request
    site.wait_until(lambda: len(site.wechat.messages) == loads * len(WARM_UP))
    site.wechat.latency = 0.1
    connections = []
    for wave in range(2):
        numbers = range(wave * people, (wave + 1) * people)
        line.hold(SEND)
        pages = server.get_all([f"tell/{number}/" for number in numbers])
        assert {page.status_code for page in pages} == {200}, site.logs
        assert {status for page in pages for status in page.json()["counts"]} <= NOT_YET, site.logs
        # The one that uses the database, and those that call WeChat.
        assert _threads(server) <= 1 + FEW
        line.release()
        site.wait_until(
            lambda: len(site.wechat.messages) == loads * len(WARM_UP) + (wave + 1) * people  # noqa: B023
        )
        connections.append(site.wechat.connections)
    assert [site.wechat.counts[openid(number)] for number in range(2 * people)] == [1] * 2 * people
    assert site.wechat.max_in_flight <= most
    assert connections[1] <= 2 * most, connections  # of them, a few asked for the token
    site.wait_until(lambda: site.ask("counts") == {"sent": len(site.wechat.messages)})
    site.wait_until(lambda: _threads(server) <= 1)
    rows_are_right(site)


def _threads(server: Server) -> int:
    """How many threads of the app a process has, of those that answer just now."""
    return max(page.json()["threads"] for page in server.get_all(["threads/"] * 9))


# -- bad days ---------------------------------------------------------------------------------


def test_a_process_that_is_killed(site: Site) -> None:
    """kill -9 to gunicorn's workers at random instants: others take over, and nobody gets two."""
    server = servers.gunicorn(site, GUNICORN["threads"], **BACKGROUND)
    site.wait_until(lambda: len(site.wechat.messages) == servers.PROCESSES * len(WARM_UP))
    site.wechat.latency = 0.05
    times, people = sized(2, 50), 60
    for number in range(times):
        server.get(f"tell/{people}/people/")
        site.pause(0.01 + 0.013 * (number * 7 % 31))
        site.kill_children(server.process)
        site.wait_until(lambda: _serves(server))
        site.ask("end_leases")
    server.get_all(["threads/"] * 9)
    site.wait_until(lambda: site.ask("counts").keys() == {"sent"})
    everybody = {site.wechat.counts[openid(number)] for number in range(people)}
    assert everybody == {times}
    rows_are_right(site)


def test_wechat_is_dead_for_a_while(site: Site, line: Wire) -> None:
    """It refuses connections, then it never answers: no page notices, and all arrives later."""
    people, seconds = sized(8, 200), sized(3, 60)
    server = servers.gunicorn(site, GUNICORN["threads"], **BACKGROUND)
    site.wait_until(lambda: len(site.wechat.messages) == servers.PROCESSES * len(WARM_UP))
    for number, trouble in enumerate([line.cut, line.silence]):
        numbers = range(number * people, (number + 1) * people)
        trouble()
        pages = server.get_all([f"tell/{one}/" for one in numbers])
        assert {status for page in pages for status in page.json()["counts"]} <= NOT_YET
        site.pause(seconds)
        # Those that still come, although the first ones are known not to get through.
        assert server.get(f"tell/{numbers[0]}/").status_code == 200
        line.mend()
        site.wait_until(lambda: site.wechat.counts[openid(numbers[-1])] == 1)  # noqa: B023
    site.wait_until(lambda: site.ask("counts").keys() == {"sent"})
    expected = {openid(one): 2 if one % people == 0 else 1 for one in range(2 * people)}
    assert {one: site.wechat.counts[one] for one in expected} == expected


def test_no_connection_is_held_while_nothing_is_sent(make_site: Callable[..., Site]) -> None:
    """On a database server: a thread that sleeps has none, and one that sends has one."""
    site = make_site()
    site.ask("notify", 0)
    server = servers.gunicorn(site, GUNICORN["threads"], **BACKGROUND)
    site.wait_until(lambda: len(site.wechat.messages) == servers.PROCESSES * len(WARM_UP))
    site.wechat.latency = 0.5
    before = _connections()
    server.get_all([f"tell/{number}/" for number in range(30)])
    assert _connections() <= before + servers.PROCESSES * (4 + 1)
    site.wait_until_counted({"sent": 30 + servers.PROCESSES * len(WARM_UP)})
    site.wait_until(lambda: _connections() <= before)


def _connections() -> int:
    """How many connections the database has."""
    everybody = {
        "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()",
        "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = database()",
    }
    with connection.cursor() as cursor:
        cursor.execute(everybody[connection.vendor])
        return int(cursor.fetchone()[0])


# -- Celery -----------------------------------------------------------------------------------


def test_a_celery_task_that_notifies(celery_site: Site, line: Wire) -> None:
    """Its pool's processes have a thread each: the task ends at once, and everybody is told."""
    celery_site.ask("notify", 0)
    celery_site.send_through(line)
    line.hold(SEND)
    celery_site.start(
        *("celery", "-A", "tests.services.celery_app", "worker", "--loglevel=INFO"),
        *("--concurrency=2", "--without-gossip", "--without-mingle", "--without-heartbeat"),
        **FEW_THREADS,
    )
    people = sized(8)
    celery_site.ask("tell", people)
    celery_site.wait_until(lambda: celery_site.logs.count("told: ") == people)
    told = [one for one in celery_site.logs.splitlines() if "told: " in one]
    assert not any("'sent'" in one for one in told), told
    line.release()
    celery_site.wait_until_counted({"sent": people})
    assert celery_site.wechat.counts == {openid(number): 1 for number in range(people)}
    assert celery_site.wechat.max_in_flight <= 2 * FEW

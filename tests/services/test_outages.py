"""Networks that are cut and mended under real worker processes: time is lost, messages are not."""

import os
import subprocess
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from django.db import connection

from tests.services.conftest import SHORT, TEMPLATE, Site
from tests.sizes import sized
from tests.wire import Wire, wire
from wechat_notify.sandbox.server import Sandbox

pytestmark = [pytest.mark.services, pytest.mark.slow]

SEND = "/cgi-bin/message/template/send"
# Settings' CONCURRENCY, and how many messages a worker marks as about to leave at most.
THREADS = 8
MARKED = 18


def watch(site: Site, **environment: str) -> subprocess.Popen[bytes]:
    return site.manage("wechat_deliver", "--watch", "--interval=0.1", **{**SHORT, **environment})


# -- the database -----------------------------------------------------------------------------


@pytest.fixture
def database_line(make_site: Callable[..., Site]) -> Iterator[Wire]:
    with wire(os.environ.get("DATABASE_URL", "")) as made:
        yield made


def test_the_database_away(make_site: Callable[..., Site], database_line: Wire) -> None:
    """Cut off in mid-run for longer than a lease: nothing is lost, few are called again."""
    messages = sized(900, 3_000)
    site = make_site()
    name = connection.settings_dict["NAME"]
    port = urlsplit(database_line.url).port
    url = urlsplit(os.environ["DATABASE_URL"])
    login = url.netloc.rpartition("@")[0]
    through = url._replace(netloc=f"{login}@127.0.0.1:{port}", path=f"/{name}").geturl()
    site.wechat.latency = 0.05
    site.ask("notify", messages)
    watch(site, DATABASE_URL=through)
    site.wait_until_received(100)
    database_line.cut()
    site.pause(sized(10, 15))
    database_line.mend()
    site.wait_until_received(messages)
    site.wait_until_counted({"sent": messages})
    assert set(site.wechat.counts.values()) == {1}
    assert site.wechat.duplicates <= MARKED
    assert site.wechat.calls[SEND] <= messages + MARKED


# -- WeChat -----------------------------------------------------------------------------------


def test_wechat_away_and_silent(sqlite_site: Site) -> None:
    """Refused connections, then silence, under a worker that watches: all arrive, each once."""
    site, seconds = sqlite_site, sized(3, 20)
    with wire(site.wechat.url) as line:
        site.wechat.latency = 0.05
        site.ask("notify", 400)
        watch(site, SANDBOX_URL=line.url)
        site.wait_until_received(50)
        line.cut()
        site.pause(seconds)
        line.mend()
        site.wait_until_received(200)
        line.silence()
        site.pause(seconds + 5)  # TIMEOUT is five seconds
        assert site.ask("doubtful") <= MARKED
        line.mend()
        site.wait_until_received(400)
        site.wait_until(lambda: site.ask("counts").keys() <= {"sent", "uncertain"})
    counts = site.ask("counts")
    assert counts.get("uncertain", 0) <= THREADS
    assert sum(counts.values()) == 400
    assert set(site.wechat.counts.values()) == {1}


# -- one host ---------------------------------------------------------------------------------


@pytest.fixture
def unlisted(fake: Sandbox) -> Iterator[str]:
    """WeChat's address as a host sees it that is not on the whitelist."""
    with Sandbox(app_id=fake.app_id, any_openid=True, templates=[TEMPLATE]) as refusing:
        refusing.fail(40164, "invalid ip 203.0.113.7, not in whitelist", times=None)
        yield refusing.url
        assert refusing.messages == []
        assert sum(refusing.calls.values()) <= 40, "it must rest, and not hammer"


@pytest.fixture
def unplugged(fake: Sandbox) -> Iterator[str]:
    """WeChat's address as a host sees it that has no network."""
    with wire(fake.url) as line:
        line.cut()
        yield line.url
        assert line.connections == 0


TROUBLE = {"unlisted": "203.0.113.7", "unplugged": "Connection refused"}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_one_hosts_trouble_is_its_own(
    sqlite_site: Site, trouble: str, request: pytest.FixtureRequest
) -> None:
    """One of two worker hosts gets nothing through: it rests, and the other sends everything."""
    site, messages = sqlite_site, sized(300)
    site.ask("notify", messages)
    bad = watch(site, HOST="bad", SANDBOX_URL=request.getfixturevalue(trouble))
    site.wait_until(lambda: TROUBLE[trouble] in site.logs)
    site.wait_until_counted({"pending": messages})
    watch(site, HOST="good")
    site.wait_until_counted({"sent": messages})
    assert set(site.wechat.counts.values()) == {1}
    assert site.wechat.duplicates == 0
    assert bad.poll() is None

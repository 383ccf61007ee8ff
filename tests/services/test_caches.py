"""Caches that are not there, die, or are full, of libraries that swallow errors or raise them."""

import importlib.util
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.factories import openid
from tests.services.conftest import Site
from tests.services.ports import answers, free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.services, pytest.mark.slow]

LIBRARIES: dict[str, tuple[str, dict[str, Any]]] = {
    "django-redis that ignores": (
        "django_redis",
        {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": "redis://127.0.0.1:{port}/0",
            "OPTIONS": {"IGNORE_EXCEPTIONS": True, "SOCKET_CONNECT_TIMEOUT": 1},
        },
    ),
    "Django's Redis": (
        "redis",
        {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:{port}/0",
        },
    ),
    "pymemcache that ignores": (
        "pymemcache",
        {
            "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
            "LOCATION": "127.0.0.1:{port}",
            "OPTIONS": {"ignore_exc": True, "connect_timeout": 1},
        },
    ),
    "Django's memcached": (
        "pymemcache",
        {
            "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
            "LOCATION": "127.0.0.1:{port}",
        },
    ),
}
REDIS = ("redis-server", "--save", "", "--appendonly", "no", "--port")
MEMCACHED = ("memcached", "--user=nobody", "--listen=127.0.0.1", "--port")
SERVERS = {"django_redis": REDIS, "redis": REDIS, "pymemcache": MEMCACHED}
INLINE = "wechat_notify.dispatchers.inline.InlineDispatcher"


def settings_of(library: str, port: str) -> str:
    """A library's cache, as JSON for the site's settings."""
    module, cache = LIBRARIES[library]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"needs {module}")
    return json.dumps(cache).replace("{port}", port)


@pytest.fixture(params=LIBRARIES)
def cache(request: Any) -> str:
    """A cache whose server is not there."""
    return settings_of(request.param, str(free_port()))


@pytest.fixture
def run_server(tmp_path: Any) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts a cache server of the test's own on a port."""
    started: list[subprocess.Popen[bytes]] = []

    def run(command: tuple[str, ...], port: str, *options: str) -> subprocess.Popen[bytes]:
        if shutil.which(command[0]) is None:
            pytest.skip(f"needs {command[0]}")
        started.append(
            subprocess.Popen([*command, port, *options], cwd=tmp_path, stdout=subprocess.DEVNULL)
        )
        wait_until(lambda: answers(int(port)))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def test_notify_does_not_wait_for_a_cache_that_is_down(sqlite_site: Site, cache: str) -> None:
    """The rows are written at once, wait for a token, and go out when the cache is back."""
    started = time.monotonic()
    sqlite_site.ask("notify", 0)
    usual = time.monotonic() - started
    sqlite_site.ask("notify", 3, CACHE=cache, DISPATCHER=INLINE)
    assert time.monotonic() - started < 2 * usual + 38  # once, it took 40 s for each call
    assert sqlite_site.ask("counts") == {"pending": 3}
    assert sqlite_site.wechat.token_fetches <= 1
    sqlite_site.manage("wechat_deliver", "--watch", "--interval=0.1")
    sqlite_site.wait_until_counted({"sent": 3})
    assert set(sqlite_site.wechat.counts.values()) == {1}


def test_callbacks_do_not_depend_on_the_cache(sqlite_site: Site, cache: str) -> None:
    """Receipts and follow events are written down, each repeat harmlessly, and answered."""
    done = sqlite_site.ask("callbacks", CACHE=cache)
    assert done == {
        "codes": [200] * 6,
        "receipts": 1,
        "follows": {openid(1): False, openid(2): True},
    }


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_cache_killed_in_mid_run(
    sqlite_site: Site, library: str, run_server: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """A worker goes on when it is back; no message is lost, and none comes twice."""
    port = str(free_port())
    cache = settings_of(library, port)
    command = SERVERS[LIBRARIES[library][0]]
    server = run_server(command, port)
    sqlite_site.wechat.latency = 0.05
    sqlite_site.ask("notify", 400)
    worker = sqlite_site.manage("wechat_deliver", "--watch", "--interval=0.1", CACHE=cache)
    sqlite_site.wait_until_received(50)
    server.kill()
    server.wait()
    sqlite_site.pause(3)
    run_server(command, port)
    sqlite_site.wait_until_counted({"sent": 400})
    assert set(sqlite_site.wechat.counts.values()) == {1}
    assert worker.poll() is None
    assert sqlite_site.wechat.token_fetches <= 3


def fill(server: Any) -> None:
    """Write until Redis refuses to take more."""
    for number in range(1_000):
        server.set(f"filler-{number}", b"x" * 10_000)


@pytest.mark.parametrize("library", ["django-redis that ignores", "Django's Redis"])
def test_a_cache_that_is_full(
    sqlite_site: Site, library: str, run_server: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """It takes nothing more, so there is no token; when there is room again, all goes out, once."""
    client = pytest.importorskip("redis")
    port = str(free_port())
    cache = settings_of(library, port)
    run_server(REDIS, port, "--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
    server = client.Redis(port=int(port))
    full = client.exceptions.ResponseError
    with pytest.raises(full, match="maxmemory"):
        fill(server)
    sqlite_site.ask("notify", 40)
    worker = sqlite_site.manage("wechat_deliver", "--watch", "--interval=0.1", CACHE=cache)
    sqlite_site.pause(3)
    assert not sqlite_site.wechat.counts
    server.flushall()
    server.close()
    sqlite_site.wait_until_counted({"sent": 40})
    assert set(sqlite_site.wechat.counts.values()) == {1}
    assert worker.poll() is None


@pytest.mark.parametrize("library", ["pymemcache that ignores", "Django's memcached"])
def test_a_cache_that_evicts(
    sqlite_site: Site, library: str, run_server: Callable[..., subprocess.Popen[bytes]]
) -> None:
    """Whatever it forgets in mid run, all goes out, once, with the token that was fetched."""
    port = str(free_port())
    cache = settings_of(library, port)
    run_server(MEMCACHED, port)
    sqlite_site.wechat.latency = 0.05
    sqlite_site.ask("notify", 200)
    sqlite_site.manage("wechat_deliver", "--watch", "--interval=0.1", CACHE=cache)
    forgotten = 0
    while len(sqlite_site.wechat.counts) < 200:
        with socket.create_connection(("127.0.0.1", int(port))) as connection:
            connection.sendall(b"flush_all\r\n")
            assert connection.recv(4) == b"OK\r\n"
        forgotten += 1
        assert forgotten < 3_000
        sqlite_site.pause(0.2)
    sqlite_site.wait_until_counted({"sent": 200})
    assert set(sqlite_site.wechat.counts.values()) == {1}
    assert sqlite_site.wechat.token_fetches <= forgotten + 1

"""Real services, named by the environment, and real processes that use them."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from django.db import connection

from tests.databases import database_url, sqlite_url
from tests.factories import ORDER_CONTENT
from tests.sizes import FULL
from tests.wire import Wire
from wechat_notify.sandbox.server import Sandbox

ROOT = Path(__file__).parent.parent.parent
TEMPLATE = {
    "template_id": f"{'order_paid':_<43}",
    "title": "订单支付成功通知",
    "content": ORDER_CONTENT,
}


class Site:
    """A project in a directory of its own: web processes, workers, and their logs.

    ``wechat`` is the fake WeChat it sends to; ``environment`` names its services.
    """

    def __init__(self, where: Path, wechat: Sandbox, **environment: str) -> None:
        self.wechat = wechat
        self._where = where
        self._environment = {
            "CACHE_URL": f"filecache://{where}/cache",
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.services.settings",
            "SANDBOX_URL": wechat.url,
            "SANDBOX_APP_ID": wechat.app_id,
            **environment,
        }
        self._file = self._environment["DATABASE_URL"].partition("sqlite:///")[2]
        self._processes: list[subprocess.Popen[bytes]] = []
        self._logs: list[IO[bytes]] = []

    def send_through(self, line: Wire) -> None:
        """Let what is started from now on reach WeChat over this wire."""
        self._environment["SANDBOX_URL"] = line.url

    def ask(self, *command: object, **environment: str) -> Any:
        """One command of site.py, run to its end; its answer."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.services.site", *map(str, command)],
            cwd=ROOT,
            env={**self._environment, **environment},
            capture_output=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start ``python -m command``; it is killed at the end if it still runs."""
        return self.run(sys.executable, "-m", *command, **environment)

    def run(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start any program in the site's environment; it is killed at the end, too."""
        log = (self._where / f"{len(self._logs)}.log").open("wb")
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**self._environment, **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
            # A group of its own, so that a pool's children can be killed with it.
            start_new_session=True,
        )
        self._processes.append(process)
        self._logs.append(log)
        return process

    def manage(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        return self.start("django", *command, **environment)

    @staticmethod
    def kill_children(process: subprocess.Popen[bytes]) -> None:
        """kill -9 to each process that this one has started."""
        of_thread = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        for pid in of_thread.read_text().split():
            os.kill(int(pid), signal.SIGKILL)

    @property
    def logs(self) -> str:
        """What all processes printed."""
        return "\n".join(Path(log.name).read_text(errors="replace") for log in self._logs)

    @staticmethod
    def pause(seconds: float) -> None:
        """Let trouble last."""
        time.sleep(seconds)

    def wait_until(self, condition: Callable[[], bool], seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{self.ask('counts')}\n{self.logs}"
            time.sleep(0.1)

    def ended(self, process: subprocess.Popen[bytes]) -> int:
        """Wait until a process has ended; its exit code."""
        return process.wait(timeout=300)

    def wait_until_received(self, people: int) -> None:
        """Wait until so many people have got a message."""
        self.wait_until(lambda: len(self.wechat.counts) >= people)

    def counts(self) -> dict[str, int]:
        """Messages by status, of which no more are expected, or for those who look until they are.

        In a SQLite file they are read from here: a process with all of Django ten times a second
        would take the time of those that are looked at. An answer comes at once, so that whoever
        expects something of another process waits for it.
        """
        if not self._file:
            return dict(self.ask("counts"))
        with closing(sqlite3.connect(self._file, timeout=60)) as database:
            rows = "SELECT status, COUNT(*) FROM wechat_notify_sendlog GROUP BY status"
            return dict(database.execute(rows))

    def wait_until_counted(self, expected: dict[str, int]) -> None:
        """Wait until the send log says so: results are written a moment after they arrive."""
        self.wait_until(lambda: self.counts() == expected)

    def close(self) -> None:
        for process in self._processes:
            with suppress(ProcessLookupError):  # its children may have outlived it
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for log in self._logs:
            log.close()


SHORT = {"TIMEOUT": "2,5", "LEASE": "8"}
"""Settings of a site where a test waits until a lease has really ended."""


@pytest.fixture
def fake() -> Iterator[Sandbox]:
    # An app id of its own: the server that holds the tokens may serve other tests at this moment.
    app_id = f"wx{uuid.uuid4().hex[:16]}"
    with Sandbox(app_id=app_id, any_openid=True, templates=[TEMPLATE]) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def migrated(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Path:
    """A SQLite file with all tables, a template and nothing to send, to be copied."""
    where = tmp_path_factory.mktemp("migrated")
    with django_db_blocker.unblock():
        url = sqlite_url(where)
    with Sandbox() as nobody:
        site = Site(where, nobody, DATABASE_URL=url)
        site.ask("migrate")
        site.ask("notify", 0)
    return where / "site.sqlite3"


@pytest.fixture
def sqlite_site(request: Any, tmp_path: Path, fake: Sandbox, migrated: Path) -> Iterator[Site]:
    """A site on a SQLite file, with a template, and nothing to send."""
    needs_services = request.node.get_closest_marker("services") is not None
    if connection.vendor != "sqlite" and not (needs_services or FULL):
        pytest.skip("Its database is a SQLite file, whatever DATABASE_URL names: see make test")
    file = shutil.copy(migrated, tmp_path)
    site = Site(tmp_path, fake, DATABASE_URL=f"sqlite:///{file}")
    yield site
    site.close()


@pytest.fixture
def make_site(
    tmp_path: Path, fake: Sandbox, transactional_db: None
) -> Iterator[Callable[..., Site]]:
    """Sites on the test database of the server that DATABASE_URL names."""
    if connection.vendor == "sqlite":
        pytest.skip("needs DATABASE_URL to name a PostgreSQL or MariaDB server")
    sites: list[Site] = []

    def make(**environment: str) -> Site:
        environment.setdefault("DATABASE_URL", database_url(tmp_path))
        sites.append(Site(tmp_path, fake, **environment))
        return sites[-1]

    yield make
    for site in sites:
        site.close()


def _brokers() -> list[Any]:
    """The broker that is named, and the cache too where it is Redis."""
    urls = {"broker": os.environ.get("CELERY_BROKER_URL", "")}
    cache = os.environ.get("CACHE_URL", "")
    if cache.startswith("redis"):
        urls["redis"] = "redis://" + cache.partition("://")[2]
    return [pytest.param(url, id=name) for name, url in urls.items() if url] or [
        pytest.param("", marks=pytest.mark.skip("needs CELERY_BROKER_URL, or a Redis CACHE_URL"))
    ]


@pytest.fixture(params=_brokers())
def celery_site(request: Any, make_site: Callable[..., Site]) -> Iterator[Site]:
    """A site whose notifications go to Celery, on a queue of its own."""
    pytest.importorskip("kombu")
    queue = f"test-{uuid.uuid4().hex[:8]}"
    site = make_site(
        CELERY_BROKER_URL=request.param,
        CELERY_QUEUE=queue,
        DISPATCHER="wechat_notify.dispatchers.celery.CeleryDispatcher",
    )
    yield site
    site.close()  # a worker that lives would declare its queue again
    _forget(queue, request.param)


def _forget(queue: str, broker_url: str) -> None:
    """Leave nothing of a queue, nor of what was taken from it, in the broker."""
    import kombu

    with kombu.Connection(broker_url) as broker:
        channel = broker.default_channel
        if broker_url.startswith("redis"):
            if names := list(channel.client.scan_iter(f"{queue}:*")):
                channel.client.delete(*names)
        else:
            channel.queue_delete(queue)
            channel.exchange_delete(queue)

"""Real application servers, as a site would start them, each with a site's own WSGI or ASGI."""

import importlib.util
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.services.conftest import ROOT, Site
from tests.services.ports import answers, free_port
from tests.sizes import FULL

PROCESSES = 3

GUNICORN = {
    "sync": ["--worker-class=sync"],
    "sync, preloaded": ["--worker-class=sync", "--preload"],
    "threads": ["--worker-class=gthread", "--threads=4"],
    "threads, preloaded": ["--worker-class=gthread", "--threads=4", "--preload"],
    "gevent": ["--worker-class=gevent"],
    "gevent, preloaded": [
        "--worker-class=gevent",
        "--preload",
        "--config=python:tests.services.gunicorn_gevent",
    ],
}
# uWSGI loads the application before it forks, unless --lazy-apps says otherwise. Without the first
# option it runs none of Python's at-fork hooks; without threads, Python's run within requests only.
UWSGI = {
    "plain": [],
    "hooks": ["--py-call-osafterfork"],
    "threads only": ["--enable-threads", "--threads=4"],
    "hooks and threads": ["--py-call-osafterfork", "--enable-threads", "--threads=4"],
    "lazy": ["--lazy-apps"],
}
# The ones that tell the most; the others under "make chaos".
ALWAYS = {"threads", "sync, preloaded", "gevent, preloaded", "plain", "hooks and threads"}


@dataclass(frozen=True)
class Server:
    """A server that was started. ``processes`` of it load the application."""

    process: subprocess.Popen[bytes]
    port: int
    processes: int

    def get(self, path: str) -> requests.Response:
        return requests.get(f"http://127.0.0.1:{self.port}/{path}", timeout=300)

    def get_all(self, paths: list[str]) -> list[requests.Response]:
        """Enough at the same moment for each process to answer some."""
        with ThreadPoolExecutor(9) as browsers:
            return list(browsers.map(self.get, paths))


def tried(variants: dict[str, list[str]]) -> list[Any]:
    return [
        pytest.param(options, id=name)
        for name, options in variants.items()
        if FULL or name in ALWAYS
    ]


def need(*modules: str) -> None:
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"needs {module}")


def gunicorn(
    site: Site, options: list[str], *, processes: int = PROCESSES, **environment: str
) -> Server:
    need("gunicorn", "gevent" if "--worker-class=gevent" in options else "gunicorn")
    port = free_port()
    started = site.start(
        *("gunicorn", f"--bind=127.0.0.1:{port}", f"--workers={processes}"),
        "--timeout=300",
        *(*options, "tests.services.wsgi"),
        **environment,
    )
    # With --preload the parent loads it, and sends from a process of its own.
    return _serving(site, Server(started, port, processes + ("--preload" in options)))


def uwsgi(site: Site, options: list[str], **environment: str) -> Server:
    program = Path(sys.executable).parent / "uwsgi"
    if not program.exists():
        pytest.skip("needs uwsgi")
    port = free_port()
    started = site.run(
        *(str(program), f"--http-socket=127.0.0.1:{port}", "--master", f"--processes={PROCESSES}"),
        *(f"--virtualenv={sys.prefix}", f"--pythonpath={ROOT}", "--module=tests.services.wsgi"),
        *("--need-app", "--die-on-term", *options),
        **environment,
    )
    return _serving(site, Server(started, port, PROCESSES + ("--lazy-apps" not in options)))


def uvicorn(site: Site, **environment: str) -> Server:
    need("uvicorn")
    port = free_port()
    started = site.start(
        *("uvicorn", f"--port={port}", "--workers=2", "tests.services.asgi:application"),
        **environment,
    )
    return _serving(site, Server(started, port, 2))


def runserver(site: Site, *options: str, **environment: str) -> Server:
    port = free_port()
    started = site.manage("runserver", *options, f"127.0.0.1:{port}", **environment)
    return _serving(site, Server(started, port, 1))


def _serving(site: Site, server: Server) -> Server:
    site.wait_until(lambda: answers(server.port))
    return server

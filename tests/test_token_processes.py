"""Real processes with threads share one token through each kind of cache."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.caches import OwnRedisCache
from tests.waiting import PATIENCE, wait_until
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox

ROOT = Path(__file__).parent.parent
THREADS = 8
PROCESSES = 6
NO_DATABASE = {"ENGINE": "django.db.backends.dummy"}


def file_cache(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    location = str(tmp_path / "cache")
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    return {"BACKEND": backend, "LOCATION": location}, NO_DATABASE


def database_cache(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "cache.sqlite3"),
        "OPTIONS": {"timeout": 30, "transaction_mode": "IMMEDIATE"},
    }
    backend = "django.core.cache.backends.db.DatabaseCache"
    return {"BACKEND": backend, "LOCATION": "cache"}, database


def redis_cache(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    cache = dict(settings.CACHES["default"], KEY_PREFIX=uuid.uuid4().hex)
    if "redis" not in cache["BACKEND"].lower():
        pytest.skip("CACHE_URL names no Redis.")
    return cache, NO_DATABASE


@pytest.fixture(params=[file_cache, database_cache, redis_cache])
def processes(request: Any, tmp_path: Path, sandbox: Sandbox) -> Iterator[Callable[..., Any]]:
    """Starts six processes of eight threads that share one cold cache, and lets them send."""
    cache, database = request.param(tmp_path)
    if request.param is database_cache:
        create_cache_table(cache, database)
    job = {
        "url": sandbox.url,
        "app_id": sandbox.app_id,
        "app_secret": sandbox.app_secret,
        "cache": cache,
        "database": database,
        "processes": PROCESSES,
        "threads": THREADS,
        "openid": samples.users()[0].openid,
    }
    started: list[subprocess.Popen[str]] = []

    def run(messages: int, meanwhile: Callable[[], None] = lambda: None) -> list[str]:
        command = [sys.executable, "-m", "tests.token_process"]
        command.append(json.dumps({**job, "messages": messages}))
        parent = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            start_new_session=True,  # so that its children can be killed with it
        )
        started.append(parent)
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        assert parent.stdin is not None
        parent.stdin.write("go\n")
        parent.stdin.flush()
        meanwhile()
        outcomes: list[str] = json.loads(parent.communicate(timeout=PATIENCE)[0])
        return outcomes

    yield run
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if request.param is redis_cache:
        OwnRedisCache(cache["LOCATION"], cache).clear()


def create_cache_table(cache: dict[str, Any], database: dict[str, Any]) -> None:
    connection = sqlite3.connect(database["NAME"])
    connection.execute(
        f"CREATE TABLE {cache['LOCATION']} (cache_key varchar(255) PRIMARY KEY, "
        "value text NOT NULL, expires datetime NOT NULL)"
    )
    connection.close()


def test_processes_fetch_one_token(processes: Callable[..., Any], sandbox: Sandbox) -> None:
    """Six processes of eight threads on a cold shared cache fetch one token and send."""
    assert processes(1) == ["accepted 0"] * PROCESSES * THREADS
    assert sandbox.token_fetches == 1


@pytest.mark.parametrize("keep_serving", [False, True])
def test_revoked_token_costs_two_calls_at_most(
    processes: Callable[..., Any], sandbox: Sandbox, keep_serving: bool
) -> None:
    """A token revoked in mid-flight costs two more calls at most and loses no message."""

    def revoke() -> None:
        wait_until(lambda: len(sandbox.messages) >= 50)
        sandbox.revoke_token(keep_serving=keep_serving)

    assert processes(10, revoke) == ["accepted 0"] * PROCESSES * THREADS * 10
    assert sandbox.token_fetches <= 3


def test_token_refused_for_ever_costs_five_calls_at_most(
    processes: Callable[..., Any], sandbox: Sandbox
) -> None:
    """Where every token is refused, six processes make five calls at most and all are told so."""
    sandbox.fail(40001, times=None)
    assert processes(3) == ["refused 40001"] * PROCESSES * THREADS * 3
    assert sandbox.token_fetches <= 5

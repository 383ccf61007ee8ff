"""Workers killed with -9 at any instant: nothing lost, nothing doubled."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.databases import database_url
from tests.factories import ORDER_CONTENT
from tests.sizes import sized
from tests.waiting import PATIENCE, wait_until
from wechat_notify.sandbox.server import Sandbox

ROOT = Path(__file__).parent.parent
MESSAGES = sized(600, 2_000)
KILLS = sized(30, 100)


class Nursery:
    """The process that forks workers, spoken to line by line."""

    def __init__(self, sandbox: Sandbox, where: Path) -> None:
        environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.crash_settings",
            "CRASH_APP_ID": sandbox.app_id,
            "CRASH_APP_SECRET": sandbox.app_secret,
            "CRASH_API_BASE": sandbox.url,
            "CRASH_CACHE_URL": f"filecache://{where}/cache",
            "DATABASE_URL": database_url(where),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash_nursery"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, command: str) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=PATIENCE)
        self._process.stdout.close()


@pytest.fixture
def crash_site(tmp_path: Path, transactional_db: None) -> Iterator[tuple[Sandbox, Nursery]]:
    template = {
        "template_id": f"{'order_paid':_<43}",
        "title": "订单支付成功通知",
        "content": ORDER_CONTENT,
    }
    with Sandbox(any_openid=True, templates=[template]) as sandbox:
        sandbox.latency = 0.01
        nursery = Nursery(sandbox, tmp_path)
        yield sandbox, nursery
        nursery.close()


@pytest.mark.slow
def test_killed_workers_lose_and_double_nothing(
    crash_site: tuple[Sandbox, Nursery],
) -> None:
    """kill -9 after a random number of messages, many times: everybody gets exactly one.

    What a dead worker had sent and not written down is sent again under the same client_msg_id;
    WeChat absorbs it, and the fake counts it apart.
    """
    sandbox, nursery = crash_site
    chance = random.Random(20261123)
    assert nursery.ask(f"rows {MESSAGES}") == {"pending": MESSAGES}
    for _ in range(KILLS):
        enough = min(len(sandbox.messages) + chance.randrange(12), MESSAGES)
        pid = nursery.ask("spawn")
        wait_until(lambda: len(sandbox.messages) >= enough)  # noqa: B023
        time.sleep(chance.uniform(0, 0.02))
        os.kill(pid, signal.SIGKILL)
        nursery.ask(f"reap {pid}")
    assert nursery.ask("drain") == {"sent": MESSAGES}
    assert len(sandbox.counts) == MESSAGES
    assert set(sandbox.counts.values()) == {1}
    assert sandbox.duplicates > 0, "no kill hit anything: this run proves nothing"

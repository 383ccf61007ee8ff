"""A storm of delivery receipts over many connections, against a site in another process."""

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.wechat_posts import post, receipt

ROOT = Path(__file__).parent.parent
PER_PERSON = 10


def addressee(number: int) -> str:
    """The openid that the message of this number went to."""
    return f"oStorm{number // PER_PERSON:022d}"


class Site:
    """The process, spoken to line by line."""

    def __init__(self, where: Path, **environment: str) -> None:
        environment = {
            "DATABASE_URL": f"sqlite:///{where}/storm.sqlite3",
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.storm_settings",
            **environment,
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.storm_site"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        self.port = int(self._out.readline())

    def ask(self, command: str) -> Any:
        self._in.write(command + "\n")
        self._in.flush()
        return json.loads(self._out.readline())

    def close(self) -> None:
        self._in.close()
        self._process.wait(timeout=30)
        self._out.close()


@dataclass
class Weather:
    """How it went: answers by text, and the seconds that each took."""

    answers: Counter[bytes] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    took: float = 0.0

    def percentile(self, share: float) -> float:
        """Milliseconds that this share of the answers stayed within."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def bodies(count: int) -> list[str]:
    """One receipt for each of ``rows``'s messages, every third a failure, in any order."""
    now = time.time()
    made = [
        receipt(
            addressee(number),
            number,
            "failed:user block" if number % 3 == 0 else "success",
            at=now,
        )
        for number in range(1, count + 1)
    ]
    random.Random(20261123).shuffle(made)
    return made


def blow(port: int, count: int, connections: int) -> Weather:
    """Post all receipts over so many connections at once, each kept open."""
    weather, lock = Weather(), threading.Lock()
    waiting = iter(bodies(count))

    def carry() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                xml = next(waiting, None)
            if xml is None:
                break
            request = post(xml)
            path = f"/wechat/default/callback/?{urlencode(request.query)}"
            begun = time.perf_counter()
            connection.request("POST", path, request.body, {"Content-Type": "text/xml"})
            answer = connection.getresponse().read()
            with lock:
                weather.seconds.append(time.perf_counter() - begun)
                weather.answers[answer] += 1
        connection.close()

    threads = [threading.Thread(target=carry) for _ in range(connections)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    weather.took = time.perf_counter() - begun
    return weather

"""A storm of delivery receipts over many connections, against a site in another process."""

import http.client
import os
import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

from tests.site_process import SiteProcess
from tests.wechat_posts import post, receipt

PER_PERSON = 10


def addressee(number: int) -> str:
    """The openid that the message of this number went to."""
    return f"oStorm{number // PER_PERSON:022d}"


class Site(SiteProcess):
    """``environment`` may name another database than a SQLite file in ``where``."""

    def __init__(self, where: Path, **environment: str) -> None:
        database = os.environ.get("DATABASE_URL", f"sqlite:///{where}/storm.sqlite3")
        super().__init__(
            "tests.storm_site",
            **{
                "DATABASE_URL": database,
                "DJANGO_SETTINGS_MODULE": "tests.storm_settings",
                **environment,
            },
        )


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
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
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

"""Requests at a steady rate, whatever the server makes of them, and how long each took."""

import http.client
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

# As many as may be late at the same moment.
BROWSERS = 32


@dataclass(frozen=True)
class Latency:
    """Of requests, in milliseconds."""

    p50: float
    p99: float


def latency(port: int, page: str, seconds: float, rate: int) -> Latency:
    """Of ``rate`` requests a second for so long. Each counts from the moment it was due.

    ``page``: the path, in which ``{}`` stands for the request's number.
    """
    begun = time.monotonic() + 0.1
    moments = [(number, begun + number / rate) for number in range(1, int(seconds * rate) + 1)]

    def browse(one: tuple[int, float]) -> float:
        number, moment = one
        time.sleep(max(0.0, moment - time.monotonic()))
        get(port, page.format(number % 1_000 + 1))
        return (time.monotonic() - moment) * 1000

    with ThreadPoolExecutor(BROWSERS) as browsers:
        took = list(browsers.map(browse, moments))
    hundredths = statistics.quantiles(took, n=100)
    return Latency(hundredths[49], hundredths[98])


def get(port: int, path: str) -> str:
    """The text of a page. RuntimeError where it is not answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", f"/{path}")
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    if answer.status != 200:
        raise RuntimeError(f"/{path}: {answer.status}")
    return text

"""How long a message for one person waits behind a message to a crowd, which is being sent."""

import time
from dataclasses import dataclass

from ..api import Api
from ..processes import Child
from ..tasks import Task
from .ways import Way, sender

LATENCY = 80
# So many of the crowd have gone out before the first message for one person is written.
UNDER_WAY = 200
PATIENCE = 60.0


@dataclass(frozen=True)
class Behind:
    """Seconds from commit to arrival of each message for one person; how many never came."""

    crowd: int
    seconds: list[float]
    missing: int


def measure(api: Api, database: str, way: Way, crowd: int, seconds: float) -> Behind:
    """A message for one person about twice a second, behind so many for everybody."""
    api.set_latency(LATENCY)
    task = Task(
        "behind", api.plain, database, seconds, crowd, dispatcher=way.dispatcher, broker=way.broker
    )
    api.take_counts()
    with sender(api, database, way):
        child = Child(task, None)
        try:
            sent = _under_way(api)
            child.go()
            committed = child.sample().found["committed"]
            arrived = api.arrivals()
            sent += api.take_counts()["messages"]
        finally:
            child.end()
    if sent >= crowd:
        raise RuntimeError("The crowd was sent before the time was up: nothing waited behind it.")
    waits = [arrived[openid] - moment for openid, moment in committed.items() if openid in arrived]
    return Behind(crowd, waits, len(committed) - len(waits))


def _under_way(api: Api) -> int:
    """Wait until the crowd is being sent. How many have had their message."""
    sent, patience = 0, time.monotonic() + PATIENCE
    while sent < UNDER_WAY:
        if time.monotonic() > patience:
            raise TimeoutError("Nothing is sent to the crowd.")
        time.sleep(0.1)
        sent += api.take_counts()["messages"]
    return sent

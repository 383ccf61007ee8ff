"""What a child process is asked to do, and what it answers. Standard library only."""

import json
import time
from dataclasses import asdict, dataclass
from typing import Any, Protocol

ACCOUNT = "default"
APP_ID = "wx0123456789abcdef"
APP_SECRET = "0123456789abcdef0123456789abcdef"
CALLBACK_TOKEN = "spamtest"
QUEUE = "wechat-notify-benchmark"
TEMPLATE_ID = "sY7kq0N2Wv3mB8cZ1xL5tR9pD4hJ6gF_aQeUoIyTnKs"
TEMPLATE_NAME = "order_shipped"
URL = "https://shop.school.example/orders/20261123150100000017/?from=wechat&lang=zh-hans"
CONTENT = (
    "商品名称:{{thing1.DATA}}\n下单时间:{{time2.DATA}}\n订单金额:{{amount3.DATA}}\n"
    "订单编号:{{character_string4.DATA}}\n订单状态:{{phrase5.DATA}}"
)
VALUES = {
    "thing1": "手工羊毛围巾（深灰色）等三件商品",
    "time2": "2026年11月23日 15:01",
    "amount3": "1239.80元",
    "character_string4": "SN20261123150100000017",
    "phrase5": "已发货",
}
WIDTH = 32


def openid(number: int) -> str:
    """28 characters, as WeChat's are."""
    return f"oBench{number:022d}"


def message(number: int) -> dict[str, Any]:
    """One message as a client without this project would write it: about 520 bytes of JSON."""
    return {
        "touser": openid(number),
        "template_id": TEMPLATE_ID,
        "url": URL,
        "data": {name: {"value": value} for name, value in VALUES.items()},
        "client_msg_id": f"bench-{number:020d}",
    }


@dataclass(frozen=True)
class Task:
    """One thing to measure. ``kind`` names a module of ``benchmarks.workloads``.

    ``recipients`` is for how many rows are written: by an app run before it starts sending, 0
    where another process has done so. ``database`` is "" for a contender that has none. ``way``
    is one of ``WAYS`` in ``workloads.enqueue`` or ``workloads.request``. ``dispatcher`` is the name
    of a module of ``wechat_notify.dispatchers``, and ``broker`` the URL of Celery's.
    """

    kind: str
    api_base: str = ""
    database: str = ""
    seconds: float = 0.0
    recipients: int = 0
    way: str = ""
    dispatcher: str = "worker"
    broker: str = ""

    def dumps(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def loads(cls, text: str) -> "Task":
        return cls(**json.loads(text))


class Stopwatch:
    """Wall and CPU time since it was made, up to the last lap."""

    def __init__(self) -> None:
        # CLOCK_MONOTONIC: the same for every process of the machine, and no one sets it.
        self.started = self.ended = time.monotonic()
        self._cpu = self._cpu_ended = time.process_time()

    def lap(self) -> None:
        self.ended, self._cpu_ended = time.monotonic(), time.process_time()

    @property
    def lapped(self) -> bool:
        return self.ended > self.started

    @property
    def cpu(self) -> float:
        """User and system seconds of all threads of this process."""
        return self._cpu_ended - self._cpu


class Workload(Protocol):
    """Made by its module's ``make(task)``. Contenders send a few messages then: no cold start."""

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        """Work for about so long, where the work has no end of its own. The answer is JSON.

        Contenders say in ``messages`` how many were accepted, up to the last lap if they take any.
        """


@dataclass(frozen=True)
class Sample:
    """One process's own account of its run.

    ``started`` and ``ended`` are of the clock that all processes of the machine share;
    ``cpu`` is user and system seconds of all its threads, ``peak_mb`` its highest resident size.
    """

    started: float
    ended: float
    cpu: float
    peak_mb: float
    found: dict[str, Any]

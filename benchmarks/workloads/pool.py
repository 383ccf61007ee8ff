"""What a careful programmer writes in an afternoon: one Session, a pool of threads, no database.

No row is claimed, nothing is recorded, a lost answer is an exception: the least that any sender
on requests could do, and so the yardstick of the app's own figures.
"""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ..tasks import APP_ID, APP_SECRET, WIDTH, Stopwatch, Task, Workload, message


class Pool:
    def __init__(self, api_base: str) -> None:
        self._session = requests.Session()
        # The default of ten connections would throw every other one away.
        self._session.mount("http://", HTTPAdapter(pool_maxsize=WIDTH))
        self._session.mount("https://", HTTPAdapter(pool_maxsize=WIDTH))
        body = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
        answer = self._session.post(f"{api_base}/cgi-bin/stable_token", json=body, timeout=10)
        token = answer.json()["access_token"]
        self._url = f"{api_base}/cgi-bin/message/template/send?access_token={token}"
        self._threads = ThreadPoolExecutor(WIDTH)
        self._open_connections()

    def _open_connections(self) -> None:
        together = threading.Barrier(WIDTH)

        def first(number: int) -> None:
            together.wait()
            self._send(number)

        list(self._threads.map(first, range(WIDTH)))

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        until = time.monotonic() + seconds

        def loop(thread: int) -> int:
            sent = 0
            while time.monotonic() < until:
                self._send(sent * WIDTH + thread)
                sent += 1
            return sent

        return {"messages": sum(self._threads.map(loop, range(WIDTH)))}

    def _send(self, number: int) -> None:
        body = json.dumps(message(number), ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        answer = self._session.post(self._url, data=body, headers=headers, timeout=(5, 10)).json()
        if answer["errcode"] != 0:
            raise RuntimeError(answer)


def make(task: Task) -> Workload:
    return Pool(task.api_base)

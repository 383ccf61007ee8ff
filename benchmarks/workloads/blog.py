"""The loop of the blog posts: the token in a global, one ``requests.post`` a recipient."""

import time
from typing import Any

import requests

from ..tasks import APP_ID, APP_SECRET, Stopwatch, Task, Workload, message


class Blog:
    def __init__(self, api_base: str) -> None:
        self._api_base = api_base
        params = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
        answer = requests.get(f"{api_base}/cgi-bin/token", params=params, timeout=10)
        self._token = answer.json()["access_token"]

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        until = time.monotonic() + seconds
        sent = 0
        while time.monotonic() < until:
            self._send(sent)
            sent += 1
        return {"messages": sent}

    def _send(self, number: int) -> None:
        url = f"{self._api_base}/cgi-bin/message/template/send?access_token={self._token}"
        answer = requests.post(url, json=message(number), timeout=10).json()
        if answer["errcode"] != 0:
            raise RuntimeError(answer)


def make(task: Task) -> Workload:
    return Blog(task.api_base)

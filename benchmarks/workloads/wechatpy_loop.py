"""The best-known SDK as its manual shows it: one client, one call a recipient."""

import time
from typing import Any

from wechatpy import WeChatClient  # type: ignore[import-untyped]

from ..tasks import (
    APP_ID,
    APP_SECRET,
    TEMPLATE_ID,
    URL,
    VALUES,
    Stopwatch,
    Task,
    Workload,
    openid,
)


class Client(WeChatClient):  # type: ignore[misc]
    """wechatpy's client with the fake API in place of the host written in its source."""

    def __init__(self, api_base: str) -> None:
        super().__init__(APP_ID, APP_SECRET, timeout=10)
        self.API_BASE_URL = f"{api_base}/cgi-bin/"

    def fetch_access_token(self) -> Any:
        params = {"grant_type": "client_credential", "appid": APP_ID, "secret": APP_SECRET}
        return self._fetch_access_token(url=f"{self.API_BASE_URL}token", params=params)


class Loop:
    def __init__(self, api_base: str) -> None:
        self._client = Client(api_base)
        self._send(0)

    def run(self, seconds: float, stopwatch: Stopwatch) -> dict[str, Any]:
        until = time.monotonic() + seconds
        sent = 0
        while time.monotonic() < until:
            sent += 1
            self._send(sent)
        return {"messages": sent}

    def _send(self, number: int) -> None:
        data = {name: {"value": value} for name, value in VALUES.items()}
        self._client.message.send_template(openid(number), TEMPLATE_ID, data, url=URL)


def make(task: Task) -> Workload:
    return Loop(task.api_base)

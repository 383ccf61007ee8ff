"""A plain caller of the fake WeChat, so that its tests lean on none of the app's own client."""

import json
from typing import Any

import requests

from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox

SEND = "/cgi-bin/message/template/send"
WANG, CHEN, XIAOMING, MAMA, ZHOU = (user.openid for user in samples.users())
ORDER = {
    "character_string1": "20261123150100001",
    "thing2": "秋季校服一套",
    "amount3": "39.80元",
    "time4": "2026年11月23日 15:01",
}


class Api:
    """Calls with a token, JSON in and out."""

    def __init__(self, wechat: Sandbox) -> None:
        self.wechat = wechat
        self.session = requests.Session()
        self.session.trust_env = False
        self._token = ""

    def close(self) -> None:
        self.session.close()

    def classic(self, **query: str) -> dict[str, Any]:
        given = {"appid": self.wechat.app_id, "secret": self.wechat.app_secret, **query}
        return self.get("/cgi-bin/token", {"grant_type": "client_credential", **given})

    def stable(self, **body: Any) -> dict[str, Any]:
        given = {"appid": self.wechat.app_id, "secret": self.wechat.app_secret, **body}
        body = {"grant_type": "client_credential", **given}
        return self.json("POST", "/cgi-bin/stable_token", json=body)

    @property
    def token(self) -> str:
        if not self._token:
            self._token = self.stable()["access_token"]
        return self._token

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        return self.session.request(method, self.wechat.url + path, timeout=60, **options)

    def json(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        # Not answer.json(): WeChat's text/plain without a charset would make it latin-1.
        return json.loads(self.request(method, path, **options).content)

    def get(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        return self.json("GET", path, params=query)

    def business_get(self, path: str, **query: str) -> dict[str, Any]:
        return self.get(path, {"access_token": self.token, **query})

    def post(self, path: str, body: Any, token: str | None = None) -> dict[str, Any]:
        query = {"access_token": self.token if token is None else token}
        return self.json("POST", path, params=query, json=body)

    def message(self, openid: str = WANG, **more: Any) -> dict[str, Any]:
        data = more.pop("data", ORDER)
        return {
            "touser": openid,
            "template_id": samples.ORDER_TEMPLATE_ID,
            "data": {name: {"value": value} for name, value in data.items()},
            **more,
        }

    def send(self, openid: str = WANG, *, token: str | None = None, **more: Any) -> dict[str, Any]:
        return self.post(SEND, self.message(openid, **more), token)

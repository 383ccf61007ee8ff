"""Callbacks as WeChat would post them, sealed by the fake's own code and not by the app's."""

import itertools
import time
from dataclasses import dataclass, replace
from typing import Any

from wechat_notify.sandbox.callback_sender import event_xml, signature
from wechat_notify.sandbox.sealing import PLAIN, envelope, msg_signature, seal

TOKEN = "spamtest"
APP_ID = "wx0123456789abcdef"
AES_KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
OTHER_KEY = "GFEDCBA9876543210zyxwvutsrqponmlkjihgfedcba"
GH = "gh_7f083739789a"
_nonces = itertools.count(1)


@dataclass(frozen=True)
class Post:
    """A request to the callback address."""

    query: dict[str, str]
    body: bytes

    def but(self, body: bytes | None = None, **query: str) -> "Post":
        """The same with something changed."""
        return replace(
            self,
            query={**self.query, **query},
            body=self.body if body is None else body,
        )

    def again(self) -> "Post":
        """The same body, signed anew, as a redelivery might be. Plain mode only."""
        return replace(self, query=signed())

    def to(self, client: Any, url: str = "/wechat/default/callback/") -> Any:
        return client.post(
            url, self.body, content_type="text/xml", query_params=self.query, follow=False
        )


def signed(*, at: float | None = None, token: str = TOKEN, nonce: str = "") -> dict[str, str]:
    """A query string with a good signature."""
    timestamp = str(int(time.time() if at is None else at))
    nonce = nonce or str(next(_nonces))
    return {
        "signature": signature(token, timestamp, nonce),
        "timestamp": timestamp,
        "nonce": nonce,
    }


def post(xml: str, *, mode: str = PLAIN, key: str = AES_KEY, app_id: str = APP_ID) -> Post:
    """A good request with this XML."""
    query = signed()
    if mode == PLAIN:
        return Post(query, xml.encode())
    sealed = seal(xml.encode(), key, app_id)
    query["encrypt_type"] = "aes"
    query["msg_signature"] = msg_signature(TOKEN, query["timestamp"], query["nonce"], sealed)
    return Post(query, envelope(xml, sealed, mode).encode())


def event(openid: str, name: str, *, at: float | None = None, **more: str | int) -> str:
    """An event's XML."""
    return event_xml(GH, openid, int(time.time() if at is None else at), name, more)


def receipt(
    openid: str, msgid: int = 1, status: str = "success", *, at: float | None = None
) -> str:
    """A delivery receipt's XML."""
    return event(openid, "TEMPLATESENDJOBFINISH", at=at, MsgID=msgid, Status=status)


def text_message(openid: str, text: str, msgid: int, *, at: float | None = None) -> str:
    """A text that somebody wrote to the account."""
    created = int(time.time() if at is None else at)
    return (
        f"<xml><ToUserName><![CDATA[{GH}]]></ToUserName>"
        f"<FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>{created}</CreateTime>"
        f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{text}]]></Content>"
        f"<MsgId>{msgid}</MsgId></xml>"
    )

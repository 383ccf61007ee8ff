"""What WeChat tells the site: delivery receipts and events, signed, as XML (WECHAT.md 4, 5)."""

from __future__ import annotations

import hashlib
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .clock import Clock

if TYPE_CHECKING:
    from .state import Account

WORKERS = 4
# No answer in five seconds: the connection is dropped and the request sent again, three times in
# all (WECHAT.md 5).
TIMEOUT = 5
TRIES = 3

# A site under test is on this machine; a proxy from the environment would only be in the way.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def signature(token: str, timestamp: str, nonce: str) -> str:
    """sha1 over token, timestamp and nonce, sorted and joined."""
    joined = "".join(sorted((token, timestamp, nonce)))
    return hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest()


def event_xml(to: str, openid: str, created: int, event: str, more: Mapping[str, str | int]) -> str:
    """An event as WeChat writes it: texts in CDATA, numbers bare."""
    values: dict[str, str | int] = {
        "ToUserName": to,
        "FromUserName": openid,
        "CreateTime": created,
        "MsgType": "event",
        "Event": event,
        **more,
    }
    lines = (f"<{name}>{_xml_value(value)}</{name}>" for name, value in values.items())
    return "<xml>\n" + "\n".join(lines) + "\n</xml>"


def _xml_value(value: str | int) -> str:
    if isinstance(value, int):
        return str(value)
    return "<![CDATA[" + value.replace("]]>", "]]]]><![CDATA[>") + "]]>"


class Callbacks:
    """Posts events to the account's ``callback_url`` from background threads; none: does nothing.

    ``delivered`` counts the posts that were answered with success or an empty body, ``failed``
    those given up.
    """

    def __init__(self, account: Account, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: set[Future[None]] = set()
        self._closing = threading.Event()
        self.delivered = 0
        self.failed = 0

    def receipt(self, openid: str, msgid: int, status: str) -> None:
        """Say how a message fared: ``"success"``, ``"failed:user block"``, …"""
        self.event(openid, "TEMPLATESENDJOBFINISH", MsgID=msgid, Status=status)

    def event(self, openid: str, event: str, **more: str | int) -> None:
        """Tell the site of an event, soon and from another thread."""
        if not self._account.callback_url:
            return
        created = int(self._clock.time())
        body = event_xml(self._account.original_id, openid, created, event, more)
        with self._lock:
            if self._closing.is_set():
                return
            if self._pool is None:
                self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="sandbox-callback")
            future = self._pool.submit(self._deliver, openid, body)
            self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)

    def wait(self, timeout: float = 10.0) -> bool:
        """Wait until everything said so far has been delivered or given up; False: not in time."""
        with self._lock:
            under_way = list(self._under_way)
        return not wait(under_way, timeout).not_done

    def clear(self) -> None:
        """Count anew."""
        self.delivered = self.failed = 0

    def close(self) -> None:
        """Deliver nothing more."""
        with self._lock:
            self._closing.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _deliver(self, openid: str, body: str) -> None:
        done = any(self._post(openid, body) for _ in range(TRIES) if not self._closing.is_set())
        with self._lock:
            self.delivered += done
            self.failed += not done

    def _post(self, openid: str, body: str) -> bool:
        timestamp, nonce = str(int(self._clock.time())), str(secrets.randbelow(10**10))
        query = {
            "signature": signature(self._account.callback_token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": openid,
        }
        joint = "&" if "?" in self._account.callback_url else "?"
        request = urllib.request.Request(  # noqa: S310  (the address is the developer's own)
            f"{self._account.callback_url}{joint}{urlencode(query)}",
            data=body.encode(),
            headers={"Content-Type": "text/xml"},
        )
        try:
            with _opener.open(request, timeout=TIMEOUT) as answer:
                return answer.read(64) in (b"", b"success")
        except (OSError, urllib.error.HTTPError):
            return False

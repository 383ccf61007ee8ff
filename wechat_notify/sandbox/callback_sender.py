"""What WeChat tells the site: delivery receipts and events, signed, as XML (docs/wechat-api.md, 4,
5).

In the account's ``callback_mode``: plain, compatible or safe.
"""

import hashlib
import re
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from urllib.parse import urlencode

from .clock import Clock
from .records import Account
from .sealing import PLAIN, envelope, msg_signature, seal, unseal

WORKERS = 4
# No answer in five seconds: the connection is dropped and the request sent again, three times in
# all (docs/wechat-api.md, 5).
TIMEOUT = 5
TRIES = 3
MOST_OF_A_REPLY = 64 * 1024

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

    ``delivered`` counts the posts that were answered with success, an empty body or a reply,
    ``failed`` those given up. ``replies`` are the replies, opened where they came sealed.
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
        self.replies: list[str] = []

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
        self.replies.clear()

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
        account = self._account
        timestamp, nonce = str(int(self._clock.time())), str(secrets.randbelow(10**10))
        query = {
            "signature": signature(account.callback_token, timestamp, nonce),
            "timestamp": timestamp,
            "nonce": nonce,
            "openid": openid,
        }
        if account.callback_mode != PLAIN:
            sealed = seal(body.encode(), account.encoding_aes_key, account.app_id)
            query["encrypt_type"] = "aes"
            query["msg_signature"] = msg_signature(account.callback_token, timestamp, nonce, sealed)
            body = envelope(body, sealed, account.callback_mode)
        joint = "&" if "?" in account.callback_url else "?"
        request = urllib.request.Request(  # noqa: S310  (the address is the developer's own)
            f"{account.callback_url}{joint}{urlencode(query)}",
            data=body.encode(),
            headers={"Content-Type": "text/xml"},
        )
        try:
            with _opener.open(request, timeout=TIMEOUT) as answer:
                return self._understands(answer.read(MOST_OF_A_REPLY))
        except (OSError, urllib.error.HTTPError):
            return False

    def _understands(self, answer: bytes) -> bool:
        """Success, nothing, or a reply as XML: anything else is a faulty site to WeChat."""
        if answer in (b"", b"success"):
            return True
        text = answer.decode("utf-8", "replace").strip()
        if not text.startswith("<xml>"):
            return False
        sealed = re.search(r"<Encrypt><!\[CDATA\[(.*?)\]\]></Encrypt>", text)
        if sealed is not None:
            key, app_id = self._account.encoding_aes_key, self._account.app_id
            text = unseal(sealed.group(1), key, app_id).decode()
        self.replies.append(text)
        return True

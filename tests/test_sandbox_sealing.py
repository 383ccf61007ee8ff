"""The fake WeChat's encrypted callbacks, and what it makes of a site's replies."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.sandbox_client import WANG
from wechat_notify.sandbox.sealing import COMPATIBLE, PLAIN, SAFE, msg_signature, seal, unseal
from wechat_notify.sandbox.server import Sandbox

TOKEN = "callback-token"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


class Site(ThreadingHTTPServer):
    """Keeps what it gets and answers with ``answer``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[dict[str, str], str]] = []
        self.answer = b"success"


class Handler(BaseHTTPRequestHandler):
    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.got.append((dict(parse_qsl(urlsplit(self.path).query)), body))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *args: object) -> None:
        """Quiet."""


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def wechat(site: Site) -> Iterator[Sandbox]:
    with Sandbox(
        callback_url=f"http://127.0.0.1:{site.server_port}/",
        callback_token=TOKEN,
        encoding_aes_key=KEY,
    ) as sandbox:
        yield sandbox


def sealed_part(body: str) -> str:
    return body.partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]


@pytest.mark.parametrize("mode", [COMPATIBLE, SAFE])
def test_what_is_posted(site: Site, wechat: Sandbox, mode: str) -> None:
    """A sealed copy, signed; in safe mode nothing of the person stands beside it."""
    wechat.account.callback_mode = mode
    wechat.receipt(WANG, 7)
    assert wechat.wait_for_callbacks()
    ((query, body),) = site.got
    sealed = sealed_part(body)
    expected = msg_signature(TOKEN, query["timestamp"], query["nonce"], sealed)
    assert (query["encrypt_type"], query["msg_signature"]) == ("aes", expected)
    opened = unseal(sealed, KEY, wechat.app_id).decode()
    assert "<MsgID>7</MsgID>" in opened
    assert WANG in opened
    assert (WANG in body) is (mode == COMPATIBLE)
    assert "<ToUserName>" in body


def test_plain_is_the_default(site: Site, wechat: Sandbox) -> None:
    """A key alone changes nothing, as in the console."""
    wechat.receipt(WANG, 7)
    assert wechat.wait_for_callbacks()
    ((query, body),) = site.got
    assert "msg_signature" not in query
    assert "Encrypt" not in body


def test_replies_are_kept(site: Site, wechat: Sandbox) -> None:
    """Plain ones as they are, sealed ones opened; both count as an answer."""
    for answer in (b"<xml><a>1</a></xml>", sealed_reply(wechat)):
        site.answer = answer
        wechat.event(WANG, "CLICK")
        assert wechat.wait_for_callbacks()
    assert wechat.state.callbacks.replies == ["<xml><a>1</a></xml>", "<xml>hello</xml>"]
    assert wechat.state.callbacks.delivered == 2
    wechat.clear()
    assert wechat.state.callbacks.replies == []


def sealed_reply(wechat: Sandbox) -> bytes:
    sealed = seal(b"<xml>hello</xml>", KEY, wechat.app_id)
    return f"<xml><Encrypt><![CDATA[{sealed}]]></Encrypt></xml>".encode()


def test_a_message_sealed_for_another_app_id_does_not_open() -> None:
    """As WeChat would not open a reply for another account."""
    with pytest.raises(ValueError, match="another app id"):
        unseal(seal(b"x", KEY, "wx1"), KEY, "wx2")


def test_the_mode_can_be_set_from_another_process(wechat: Sandbox) -> None:
    """By the control API; the key is not shown by anything."""
    settings = {"callback_mode": SAFE, "encoding_aes_key": KEY}
    answer = requests.post(f"{wechat.url}/sandbox/settings", json=settings, timeout=5)
    assert answer.status_code == 200
    assert wechat.account.callback_mode == SAFE
    assert KEY not in repr(wechat.account)


def test_the_command_needs_the_key_for_an_encrypted_mode() -> None:
    """It says so at once."""
    with pytest.raises(CommandError, match="ENCODING_AES_KEY"):
        call_command("wechat_sandbox", "--callback-mode", SAFE)


def test_the_command_plays_the_accounts_own_mode(configure: Any, monkeypatch: Any) -> None:
    """Safe where the account has a key, unless another is asked for."""
    played: list[dict[str, Any]] = []

    class Recorded(Sandbox):
        def __init__(self, **options: Any) -> None:
            played.append(options)
            raise OSError

    monkeypatch.setattr("wechat_notify.management.commands.wechat_sandbox.Sandbox", Recorded)
    configure(default={"ENCODING_AES_KEY": KEY})
    for arguments in ([], ["--callback-mode", COMPATIBLE]):
        with pytest.raises(OSError):  # noqa: PT011 - the recorder's own
            call_command("wechat_sandbox", *arguments)
    configure(default={"ENCODING_AES_KEY": ""})
    with pytest.raises(OSError):  # noqa: PT011
        call_command("wechat_sandbox")
    assert [options["callback_mode"] for options in played] == [SAFE, COMPATIBLE, PLAIN]
    assert played[0]["encoding_aes_key"] == KEY

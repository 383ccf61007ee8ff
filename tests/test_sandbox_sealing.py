"""The fake WeChat's encrypted callbacks, and what it makes of a site's replies."""

import io
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from tests.callback_site import CallbackSite, callback_site
from tests.factories import APP_ID, APP_SECRET
from tests.sandbox_client import WANG, Api
from wechat_notify.sandbox.sealing import COMPATIBLE, SAFE, msg_signature, seal, unseal
from wechat_notify.sandbox.server import Sandbox

TOKEN = "callback-token"
KEY = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


@pytest.fixture
def site() -> Iterator[CallbackSite]:
    with callback_site() as running:
        yield running


@pytest.fixture
def wechat(site: CallbackSite) -> Iterator[Sandbox]:
    with Sandbox(
        callback_url=site.url,
        callback_token=TOKEN,
        encoding_aes_key=KEY,
    ) as sandbox:
        yield sandbox


def sealed_part(body: str) -> str:
    return body.partition("<Encrypt><![CDATA[")[2].partition("]]>")[0]


@pytest.mark.parametrize("mode", [COMPATIBLE, SAFE])
def test_what_is_posted(site: CallbackSite, wechat: Sandbox, mode: str) -> None:
    """A sealed copy, signed; in safe mode nothing of the person stands beside it."""
    wechat.account.callback_mode = mode
    wechat.receipt(WANG, 7)
    assert wechat.wait_for_callbacks(60)
    ((query, body),) = site.got
    sealed = sealed_part(body)
    expected = msg_signature(TOKEN, query["timestamp"], query["nonce"], sealed)
    assert (query["encrypt_type"], query["msg_signature"]) == ("aes", expected)
    opened = unseal(sealed, KEY, wechat.app_id).decode()
    assert "<MsgID>7</MsgID>" in opened
    assert WANG in opened
    assert (WANG in body) is (mode == COMPATIBLE)
    assert "<ToUserName>" in body


def test_plain_is_the_default(site: CallbackSite, wechat: Sandbox) -> None:
    """A key alone changes nothing, as in the console."""
    wechat.receipt(WANG, 7)
    assert wechat.wait_for_callbacks(60)
    ((query, body),) = site.got
    assert "msg_signature" not in query
    assert "Encrypt" not in body


def test_replies_are_kept(site: CallbackSite, wechat: Sandbox) -> None:
    """Plain ones as they are, sealed ones opened; both count as an answer."""
    for answer in (b"<xml><a>1</a></xml>", sealed_reply(wechat)):
        site.answers = [(200, answer)]
        wechat.event(WANG, "CLICK")
        assert wechat.wait_for_callbacks(60)
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


class SendsOneAndStops(io.StringIO):
    """The command's terminal: once the fake WeChat runs, sends a message to it, then Ctrl-C."""

    def flush(self) -> None:
        if "Ctrl-C" in self.getvalue():
            url = self.getvalue().split('API_BASE:    "')[1].split('"')[0]
            account: Any = SimpleNamespace(url=url, app_id=APP_ID, app_secret=APP_SECRET)
            api = Api(account)
            assert api.send()["errcode"] == 0
            api.close()
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("key", "arguments", "sealed", "plain"),
    [
        (KEY, [], True, False),
        (KEY, ["--callback-mode", COMPATIBLE], True, True),
        ("", [], False, True),
    ],
)
def test_the_command_plays_the_accounts_own_mode(
    configure: Any, site: CallbackSite, key: str, arguments: list[str], sealed: bool, plain: bool
) -> None:
    """Safe where the account has a key, unless another is asked for."""
    configure(
        default={"APP_ID": APP_ID, "APP_SECRET": APP_SECRET, "ENCODING_AES_KEY": key},
    )
    out = SendsOneAndStops()
    call_command("wechat_sandbox", "--port=0", "--callback-url", site.url, *arguments, stdout=out)
    ((_query, body),) = site.got
    assert ("Encrypt" in body, WANG in body) == (sealed, plain)
    if sealed:
        assert WANG in unseal(sealed_part(body), KEY, APP_ID).decode()

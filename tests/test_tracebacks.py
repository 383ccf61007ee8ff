"""A traceback, as the DEBUG page and error mails show it, holds no secret, token or message."""

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import responses
from django.core.cache.backends.locmem import LocMemCache
from django.views.debug import ExceptionReporter

from wechat_notify.backends.registry import build_backend
from wechat_notify.conf import settings as app_settings
from wechat_notify.exceptions import ConfigurationError
from wechat_notify.types import TemplateMessage
from wechat_notify.wechat import oauth
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.transport import Transport

API = "http://wechat.invalid"
SEND = "/cgi-bin/message/template/send"
SECRET = "SECRET-NOBODY-MAY-SEE"
TOKEN = "TOKEN-NOBODY-MAY-SEE"
OPENID = "oOPENID-NOBODY-MAY-SEE"
TEXT = "TEXT-NOBODY-MAY-SEE"
HIDDEN = (SECRET, TOKEN, OPENID, TEXT)
MESSAGE = TemplateMessage(OPENID, "T1", {"thing1": {"value": TEXT}})


def page(error: BaseException) -> str:
    """The DEBUG page, with every frame and its local names, and the plain text of a mail."""
    reporter = ExceptionReporter(None, type(error), error, error.__traceback__)
    return reporter.get_traceback_html() + reporter.get_traceback_text()


def check(call: Callable[[], Any], error: type[BaseException]) -> None:
    with pytest.raises(error) as caught:
        call()
    shown = page(caught.value)
    assert "Traceback" in shown
    assert not [hidden for hidden in HIDDEN if hidden in shown]


class Unheard(Exception):
    """An error that nobody foresaw."""


class Leaving(BaseException):
    """A thread or task is told to end."""


def raising(error: BaseException) -> Callable[[Any], Any]:
    def answer(request: Any) -> Any:
        assert request.url
        raise error

    return answer


def new_client(cache: Any = None, mode: str = "stable") -> WeChatClient:
    cache = cache or LocMemCache(uuid.uuid4().hex, {})
    return WeChatClient(
        Transport(API), app_id="wx1", app_secret=SECRET, cache=cache, token_mode=mode
    )


@pytest.mark.parametrize("error", [Unheard("x"), Leaving("x")])
@pytest.mark.parametrize("mode", ["stable", "classic"])
def test_fetching_a_token_shows_no_secret(mode: str, error: BaseException) -> None:
    """Whatever is raised below, the frames that hold the AppSecret do not show it."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as wire:
        wire.add_callback("POST", f"{API}/cgi-bin/stable_token", raising(error))
        wire.add_callback("GET", f"{API}/cgi-bin/token", raising(error))
        check(new_client(mode=mode).tokens.get, type(error))


@pytest.mark.parametrize("body", [f'{{"access_token": "{TOKEN}"}}', f"<{TOKEN}>"])
def test_answer_that_cannot_be_used_shows_no_token(body: str) -> None:
    """A token without a lifetime, or in an answer that cannot be read, is not shown."""
    with responses.RequestsMock() as wire:
        wire.post(f"{API}/cgi-bin/stable_token", body=body)
        check(new_client().tokens.get, Exception)


@pytest.mark.parametrize("error", [Unheard("x"), Leaving("x")])
def test_sending_shows_no_token_and_no_message(error: BaseException) -> None:
    """The same for the token, and for the person and the text of the message."""
    with responses.RequestsMock() as wire:
        wire.post(f"{API}/cgi-bin/stable_token", json={"access_token": TOKEN, "expires_in": 7200})
        wire.add_callback("POST", API + SEND, raising(error))
        client = new_client()
        check(lambda: client.send_template(MESSAGE), type(error))


def test_lost_answer_shows_no_token() -> None:
    """An error of the app's own has no frames and causes of requests under it."""
    with responses.RequestsMock() as wire:
        wire.post(f"{API}/cgi-bin/stable_token", json={"access_token": TOKEN, "expires_in": 7200})
        wire.get(f"{API}/cgi-bin/template/get_all_private_template", body="<html>")
        client = new_client()
        check(client.get_templates, Exception)


@pytest.mark.parametrize("answer", [{}, {"openid": "no openid", "access_token": TOKEN}])
def test_web_authorisation_shows_no_secret(answer: dict[str, str]) -> None:
    """The exchange of a code carries the AppSecret in its address."""
    transport = Transport(API)

    def exchange() -> None:
        oauth.exchange_code(transport, app_id="wx1", app_secret=SECRET, code="c")

    with responses.RequestsMock() as wire:
        wire.get(API + oauth.EXCHANGE_PATH, json=answer)
        check(exchange, Exception)
    with responses.RequestsMock() as wire:
        wire.add_callback("GET", API + oauth.EXCHANGE_PATH, raising(Unheard("x")))
        check(exchange, Unheard)


class BrokenCache(LocMemCache):
    """Takes the lock, and breaks with the token in its hands."""

    def set(self, key: str, value: Any, timeout: Any = None, version: Any = None) -> None:
        packed = json.dumps(value)
        if TOKEN in packed:
            raise ConnectionError("broken pipe")
        super().set(key, value, timeout, version)


def test_cache_that_fails_shows_no_token() -> None:
    """The frames of a cache library hold the token as plain text: they are left out."""
    with responses.RequestsMock() as wire:
        wire.post(f"{API}/cgi-bin/stable_token", json={"access_token": TOKEN, "expires_in": 7200})
        check(new_client(BrokenCache(uuid.uuid4().hex, {})).tokens.get, Exception)


def test_impossible_address_shows_no_secret(settings: Any) -> None:
    """Nor does an error while the backend is made."""
    account = {"APP_ID": "wx1", "APP_SECRET": SECRET, "API_BASE": "nonsense"}
    settings.WECHAT_NOTIFY = {"ACCOUNTS": {"one": account}}
    check(lambda: build_backend("one"), ConfigurationError)


@pytest.mark.parametrize("wrong", [{}, {"TOKEN_MODE": "x"}, {"OPTIONS": 1}, {"NAME": 1}])
def test_wrong_settings_show_no_secret(settings: Any, wrong: dict[str, Any]) -> None:
    """An unknown account, or one with a wrong value, is named without the secrets beside it."""
    keys = ("APP_SECRET", "CALLBACK_TOKEN", "ENCODING_AES_KEY", "PREVIOUS_ENCODING_AES_KEY")
    account = {**dict.fromkeys(keys, SECRET), **wrong}
    settings.WECHAT_NOTIFY = {"ACCOUNTS": {"one": account}}
    check(lambda: app_settings.account("one" if wrong else "two"), ConfigurationError)

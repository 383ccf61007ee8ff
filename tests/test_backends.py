"""Each backend keeps the contract and its own word; the registry has one of each at a time."""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.checks import WARNING

from tests.backend_contract import SAMPLE, BackendContract
from wechat_notify.backends import locmem
from wechat_notify.backends.base import BaseBackend
from wechat_notify.backends.console import ConsoleBackend
from wechat_notify.backends.locmem import LocMemBackend
from wechat_notify.backends.registry import build_backend, close_all, get_backend
from wechat_notify.conf import settings as app_settings
from wechat_notify.exceptions import AccountNotConfigured, ConfigurationError, InvalidSettings
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.types import MiniProgram, Outcome, SendResult, TemplateMessage

Configure = Callable[..., None]

CONSOLE = "wechat_notify.backends.console.ConsoleBackend"
WECHAT = "wechat_notify.backends.wechat.WeChatBackend"
CACHES = "django.core.cache.backends"


class Unfinished(BaseBackend):
    """A site's backend that forgot the one thing it must do."""


class NoBackend:
    """Named as a backend, and none."""


class TestWeChatBackend(BackendContract):
    """Over real HTTP."""

    @pytest.fixture
    def backend(self, wechat: Sandbox) -> Iterator[BaseBackend]:
        backend = build_backend("default")
        yield backend
        backend.close()


class TestConsoleBackend(BackendContract):
    """To a stream."""

    @pytest.fixture
    def backend(self) -> BaseBackend:
        account = app_settings.account("default")
        return ConsoleBackend(replace(account, options={"stream": io.StringIO()}))


class TestLocMemBackend(BackendContract):
    """To a list."""

    @pytest.fixture
    def backend(self) -> BaseBackend:
        return build_backend("default")


# WeChat


def test_wechat_backend_makes_every_call(wechat: Sandbox) -> None:
    """Templates, people, QR codes and diagnosis all reach WeChat through the backend."""
    wechat.account.any_openid = False
    backend = build_backend("default")
    template_id = backend.add_template("47123", ["姓名"])
    assert template_id in {template.template_id for template in backend.get_templates()}
    backend.delete_template(template_id)
    assert template_id not in {template.template_id for template in backend.get_templates()}
    assert backend.get_user(SAMPLE.openid).subscribed
    assert [person.openid for person in backend.get_users([SAMPLE.openid])] == [SAMPLE.openid]
    assert SAMPLE.openid in backend.get_followers().openids
    assert backend.create_qrcode("bind-1", 600).ticket
    backend.send(SAMPLE)
    assert backend.get_quota().used == 1
    refused = backend.send(replace(SAMPLE, openid="oNobody"))
    assert "oNobody" in backend.get_request(refused.rid)["request_body"]
    backend.close()


def test_only_wechat_and_the_outbox_take_repeats(wechat: Sandbox) -> None:
    """A backend must say so itself: WeChat's sends one message for one client_msg_id."""
    assert not BaseBackend.supports_repeats
    assert not ConsoleBackend.supports_repeats
    assert LocMemBackend.supports_repeats
    backend = build_backend("default")
    assert backend.supports_repeats
    for _ in range(2):
        backend.send(replace(SAMPLE, client_msg_id="row-1"))
    assert len(wechat.messages) == 1
    backend.close()


def test_clock_skew_is_told(wechat: Sandbox) -> None:
    """The backend knows from WeChat's answers how far the clocks are apart; others do not."""
    backend = build_backend("default")
    assert backend.clock_skew() is None
    backend.send(SAMPLE)
    assert backend.clock_skew() == pytest.approx(0, abs=60)
    assert LocMemBackend(app_settings.account("default")).clock_skew() is None
    backend.close()


def test_token_lives_in_the_configured_cache(
    wechat: Sandbox, configure: Configure, settings: Any, tmp_path: Path
) -> None:
    """CACHE names the cache that holds the token."""
    backend = f"{CACHES}.filebased.FileBasedCache"
    tokens = {"BACKEND": backend, "LOCATION": str(tmp_path / "tokens")}
    settings.CACHES = {**settings.CACHES, "tokens": tokens}
    configure(CACHE="tokens")
    get_backend("default").send(SAMPLE)
    caches["default"].clear()
    close_all()
    get_backend("default").send(SAMPLE)
    assert wechat.token_fetches == 1


def test_missing_credentials_are_errors(configure: Configure) -> None:
    """Without app id and secret the check says so, and get_backend refuses."""
    configure(default={"BACKEND": WECHAT, "APP_ID": "", "APP_SECRET": ""})
    ids = {message.id for message in build_backend("default").check()}
    assert ids == {"wechat_notify.E010", "wechat_notify.E011"}
    with pytest.raises(ConfigurationError, match=r'"default": APP_ID is missing'):
        get_backend("default")


@pytest.mark.parametrize("blank", [" ", "\n", "\r\n", "\u00a0", "\u3000"])
@pytest.mark.parametrize("name", ["APP_ID", "APP_SECRET"])
def test_blanks_in_credentials_are_warned_of(configure: Configure, name: str, blank: str) -> None:
    """A line end copied along with an app id or secret makes WeChat refuse it."""
    good = {"BACKEND": WECHAT, "APP_ID": "wx1", "APP_SECRET": "s3cret"}
    for value in (good[name] + blank, blank + good[name], f"s3{blank}cret"):
        configure(default={**good, name: value})
        (message,) = build_backend("default").check()
        assert (message.id, message.level) == ("wechat_notify.W013", WARNING)
        assert name in message.msg
        assert "cret" not in message.msg


def test_unknown_cache_is_an_error(configure: Configure) -> None:
    """A CACHE that CACHES does not have is named."""
    configure(default={"BACKEND": WECHAT}, CACHE="nowhere")
    (message,) = build_backend("default").check()
    assert message.id == "wechat_notify.E012"
    assert "nowhere" in message.msg


class OwnDummyCache(DummyCache):
    """A site's own, derived from Django's."""


class OwnLocMemCache(LocMemCache):
    """The same."""


@pytest.mark.parametrize("cache", [f"{CACHES}.dummy.DummyCache", f"{__name__}.OwnDummyCache"])
def test_cache_that_keeps_nothing_is_warned_of(
    configure: Configure, settings: Any, cache: str
) -> None:
    """With a dummy cache every message would need a new token."""
    settings.CACHES = {"default": {"BACKEND": cache}}
    configure(default={"BACKEND": WECHAT})
    (message,) = build_backend("default").check()
    assert (message.id, message.level) == ("wechat_notify.W010", WARNING)


@pytest.mark.parametrize("cache", [f"{CACHES}.locmem.LocMemCache", f"{__name__}.OwnLocMemCache"])
@pytest.mark.parametrize(("mode", "found"), [("classic", ["wechat_notify.W011"]), ("stable", [])])
def test_classic_tokens_want_a_shared_cache(
    configure: Configure, settings: Any, mode: str, found: list[str], cache: str
) -> None:
    """Processes that share no cache invalidate each other's classic token, not the stable one."""
    settings.CACHES = {"default": {"BACKEND": cache}}
    configure(default={"BACKEND": WECHAT, "TOKEN_MODE": mode})
    assert [message.id for message in build_backend("default").check()] == found


@pytest.mark.parametrize(
    "wrong", [{"API_BASE": "api.weixin.qq.com"}, {"OPTIONS": {"ca_bundle": "/nowhere.pem"}}]
)
def test_impossible_settings_name_the_account(configure: Configure, wrong: dict[str, Any]) -> None:
    """What the client cannot work with is a settings error with the account's alias."""
    configure(default={"BACKEND": WECHAT, **wrong})
    with pytest.raises(InvalidSettings, match='"default"'):
        get_backend("default")


# Console


def printed(message: TemplateMessage) -> str:
    stream = io.StringIO()
    account = replace(app_settings.account("default"), options={"stream": stream})
    ConsoleBackend(account).send(message)
    return stream.getvalue()


def test_console_shows_the_message() -> None:
    """Template, values and links can be read; the openid is shortened."""
    message = replace(
        SAMPLE,
        url="https://school.example/view/1/",
        miniprogram=MiniProgram(appid="wxmini", pagepath="pages/order"),
    )
    text = printed(message)
    assert SAMPLE.template_id in text
    assert all(entry["value"] in text for entry in SAMPLE.data.values())
    assert "https://school.example/view/1/" in text
    assert "wxmini pages/order" in text
    assert SAMPLE.openid not in text


def test_console_prints_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a stream of its own it prints where the process prints, wherever that is now."""
    ConsoleBackend(app_settings.account("default")).send(SAMPLE)
    assert SAMPLE.template_id in capsys.readouterr().out


@pytest.mark.parametrize(("debug", "found"), [(False, ["wechat_notify.W012"]), (True, [])])
def test_console_outside_development_is_warned_of(
    settings: Any, configure: Configure, debug: bool, found: list[str]
) -> None:
    """In production, printing in place of sending is hardly meant."""
    settings.DEBUG = debug
    configure(default={"BACKEND": CONSOLE})
    assert [message.id for message in build_backend("default").check()] == found


# Memory


def test_outbox_holds_what_was_accepted() -> None:
    """Accepted messages are kept in order, whole; clear() empties everything."""
    backend = LocMemBackend(app_settings.account("default"))
    second = replace(SAMPLE, openid="oSecond")
    backend.send(SAMPLE)
    backend.send(second)
    assert locmem.outbox == [SAMPLE, second]
    locmem.results.add(-1)
    locmem.clear()
    assert locmem.outbox == []
    assert backend.send(SAMPLE).outcome is Outcome.ACCEPTED


def test_answers_can_be_handed_in() -> None:
    """A test hands in errcodes or whole results, for one openid or for whoever comes next."""
    backend = LocMemBackend(app_settings.account("default"))
    other = replace(SAMPLE, openid="oOther")
    lost = SendResult(Outcome.UNKNOWN, errmsg="no answer")
    locmem.results.add(43004, openid="oOther")
    locmem.results.add(lost, times=2)
    assert backend.send(SAMPLE) == lost
    refused = backend.send(other)
    assert (refused.outcome, refused.errcode) == (Outcome.REFUSED, 43004)
    assert backend.send(other) == lost
    assert backend.send(other).outcome is Outcome.ACCEPTED
    assert locmem.outbox == [other]


# The base


def test_backend_must_define_send() -> None:
    """A backend without send() says what it lacks."""
    backend = Unfinished(app_settings.account("default"))
    with pytest.raises(NotImplementedError, match="Unfinished must define send"):
        backend.send(SAMPLE)
    assert backend.check() == []
    backend.close()


# The registry


def test_backend_is_made_once(wechat: Sandbox) -> None:
    """Every caller gets the same instance, one for each account."""
    assert get_backend("default") is get_backend("default")
    assert get_backend("default") is not get_backend("other")


def test_backend_follows_the_settings(configure: Configure, settings: Any) -> None:
    """Changed settings mean another backend; changed back, yet another, never a stale one."""
    first = get_backend("default")
    configure(default={"BACKEND": CONSOLE})
    assert isinstance(get_backend("default"), ConsoleBackend)
    configure(CONCURRENCY=3)
    second = get_backend("default")
    assert second is get_backend("default")
    configure(CONCURRENCY=4)
    assert get_backend("default") is not second
    assert first is not second


def test_close_all_starts_afresh() -> None:
    """After close_all() the next caller gets a new backend."""
    first = get_backend("default")
    close_all()
    assert get_backend("default") is not first


def test_unknown_account_is_named() -> None:
    """An alias that is not configured is an error that lists those that are."""
    with pytest.raises(AccountNotConfigured, match=r"'nobody'.*'default', 'other'"):
        get_backend("nobody")


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("no.such.Backend", "cannot be imported"),
        ("", "cannot be imported"),
        ("wechat_notify.backends.console.NoSuchBackend", "cannot be imported"),
        (f"{__name__}.NoBackend", "not a subclass of BaseBackend"),
        (f"{__name__}.SAMPLE", "not a subclass of BaseBackend"),
    ],
)
def test_wrong_backend_path_names_the_account(
    configure: Configure, path: str, complaint: str
) -> None:
    """A BACKEND that is missing or none is an error with alias and path."""
    configure(default={"BACKEND": path})
    with pytest.raises(ConfigurationError, match=f'"default".*{complaint}'):
        get_backend("default")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_child_makes_its_own_backend() -> None:
    """A backend, with its connections and locks, is not carried into a forked child."""
    parents = get_backend("default")
    child = os.fork()
    if child == 0:
        os._exit(get_backend("default") is parents)
    assert os.waitpid(child, 0)[1] == 0
    assert get_backend("default") is parents

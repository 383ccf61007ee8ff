"""The client says of every message what is known, asks WeChat rightly, and keeps its secrets."""

import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
import responses
from django.core.cache.backends.locmem import LocMemCache
from requests.exceptions import ConnectionError as RequestsConnectionError

from tests.waiting import wait_until
from wechat_notify.exceptions import TokenError, TransportError, WeChatError
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.types import FollowerPage, Outcome, SendResult, TemplateMessage
from wechat_notify.wechat import oauth
from wechat_notify.wechat.client import WeChatClient
from wechat_notify.wechat.transport import Transport

API = "http://wechat.invalid"
SECRET = "SECRET-NOBODY-MAY-SEE"
TOKEN = "TOKEN-NOBODY-MAY-SEE"
ALICE, BOB, *_ = (user.openid for user in samples.users())
DATA = {
    "thing1": {"value": "家长开放日"},
    "time2": {"value": "2026年11月28日 09:00"},
    "thing3": {"value": "报告厅"},
    "phone_number4": {"value": "0766-66888866"},
}
MESSAGE = TemplateMessage(ALICE, samples.APPOINTMENT_TEMPLATE_ID, DATA)


@pytest.fixture
def wechat() -> Iterator[Sandbox]:
    """A fake WeChat with its sample people and templates."""
    with Sandbox() as running:
        yield running


def new_client(
    wechat: Sandbox, timeout: tuple[float, float] = (20, 20), pool_size: int = 32, **options: Any
) -> WeChatClient:
    return WeChatClient(
        Transport(wechat.url, timeout=timeout, pool_size=pool_size),
        **{
            "app_id": wechat.app_id,
            "app_secret": wechat.app_secret,
            "cache": LocMemCache(uuid.uuid4().hex, {}),
            **options,
        },
    )


@pytest.fixture
def client(wechat: Sandbox) -> Iterator[WeChatClient]:
    client = new_client(wechat)
    yield client
    client.close()


@pytest.fixture
def wire() -> Iterator[responses.RequestsMock]:
    """Exact answers on the wire; the token endpoint has given its token."""
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        answer = {"access_token": TOKEN, "expires_in": 7200}
        mock.post(f"{API}/cgi-bin/stable_token", json=answer)
        mock.get(f"{API}/cgi-bin/token", json=answer)
        yield mock


@pytest.fixture
def wired(wire: responses.RequestsMock) -> WeChatClient:
    """A client that meets those answers."""
    cache = LocMemCache(uuid.uuid4().hex, {})
    return WeChatClient(Transport(API), app_id="wx1", app_secret=SECRET, cache=cache)


def answer_send(wire: responses.RequestsMock, **answer: Any) -> None:
    wire.post(f"{API}/cgi-bin/message/template/send", **answer)


# One message


def test_accepted_message_has_its_msgid(wechat: Sandbox, client: WeChatClient) -> None:
    """WeChat takes the message: errcode 0, and its msgid comes back whole."""
    result = client.send_template(MESSAGE)
    (arrived,) = wechat.messages
    assert result == SendResult(Outcome.ACCEPTED, 0, "ok", msgid=arrived.msgid)
    assert (arrived.openid, arrived.template_id) == (MESSAGE.openid, MESSAGE.template_id)


def test_everything_given_arrives(wire: responses.RequestsMock, wired: WeChatClient) -> None:
    """All fields go out under WeChat's own names, as UTF-8 JSON and not ASCII escapes."""
    answer_send(wire, json={"errcode": 0, "errmsg": "ok", "msgid": 1})
    wired.send_template(
        TemplateMessage(
            ALICE,
            "T1",
            {"thing1": {"value": "围巾", "color": "#173177"}},
            url="https://school.example/view/1/",
            miniprogram={"appid": "wxmini", "pagepath": "pages/order?id=1"},
            client_msg_id="row-1",
        )
    )
    request = wire.calls[-1].request
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    assert request.headers["Content-Length"] == str(len(request.body))
    assert request.params == {"access_token": TOKEN}
    assert "围巾".encode() in request.body
    assert json.loads(request.body) == {
        "touser": ALICE,
        "template_id": "T1",
        "data": {"thing1": {"value": "围巾", "color": "#173177"}},
        "url": "https://school.example/view/1/",
        "miniprogram": {"appid": "wxmini", "pagepath": "pages/order?id=1"},
        "client_msg_id": "row-1",
    }


def test_nothing_that_was_not_given_goes_out(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """No empty url, miniprogram, client_msg_id or color is sent."""
    answer_send(wire, json={"errcode": 0, "errmsg": "ok", "msgid": 1})
    wired.send_template(TemplateMessage(ALICE, "T1", {"thing1": {"value": "x"}}))
    assert json.loads(wire.calls[-1].request.body) == {
        "touser": ALICE,
        "template_id": "T1",
        "data": {"thing1": {"value": "x"}},
    }


@pytest.mark.parametrize(
    ("msgid", "known"),
    [
        (3717005636572528642, 3717005636572528642),
        ("3717005636572528642", 3717005636572528642),
        ("not a number", None),
        (None, None),
        (True, None),
        (3.717005636572529e18, None),
        (-1, None),
        (2**63, None),
        ("9" * 5000, None),
        ([], None),
    ],
)
def test_msgid_may_be_long_or_text(
    wire: responses.RequestsMock, wired: WeChatClient, msgid: Any, known: int | None
) -> None:
    """A 64-bit msgid stays exact, as a number or as text; none at all is still a success."""
    answer_send(wire, json={"errcode": 0, "errmsg": "ok", "msgid": msgid})
    assert wired.send_template(MESSAGE) == SendResult(Outcome.ACCEPTED, 0, "ok", msgid=known)


def test_endless_msgid_is_no_msgid(wire: responses.RequestsMock, wired: WeChatClient) -> None:
    """1e999 is a number in JSON, and none that could be stored."""
    answer_send(wire, body='{"errcode": 0, "errmsg": "ok", "msgid": 1e999}')
    assert wired.send_template(MESSAGE) == SendResult(Outcome.ACCEPTED, 0, "ok")


@pytest.mark.parametrize("status", [302, 401, 407])
def test_what_a_proxy_refuses_is_not_sent(
    wire: responses.RequestsMock, wired: WeChatClient, status: int
) -> None:
    """Nobody but a proxy answers so: the message has not left, and the reason is told."""
    answer_send(wire, status=status)
    result = wired.send_template(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.NOT_SENT, None)
    assert result.errmsg.startswith(f"HTTP {status}: ")


def test_answer_that_is_too_large_leaves_the_message_unknown(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """It left, and what became of it cannot be read."""
    answer_send(wire, body=b" " * 4_000_000)
    result = wired.send_template(MESSAGE)
    assert (result.outcome, result.errmsg) == (Outcome.UNKNOWN, "WeChat's answer is too large.")


def test_missing_errcode_with_a_msgid_is_a_success(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """A success may leave out its errcode."""
    answer_send(wire, json={"msgid": 7})
    assert wired.send_template(MESSAGE) == SendResult(Outcome.ACCEPTED, 0, msgid=7)


def test_object_that_says_nothing_is_no_success(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """Neither errcode nor msgid: whether the message went out is unknown."""
    answer_send(wire, json={})
    result = wired.send_template(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.UNKNOWN, None)


def test_refusal_keeps_errcode_words_and_rid(wechat: Sandbox, client: WeChatClient) -> None:
    """WeChat's no comes back with its number, its own words and the request id."""
    wechat.unfollow(ALICE)
    result = client.send_template(MESSAGE)
    assert (result.outcome, result.errcode, result.endpoint) == (Outcome.REFUSED, 43004, "send")
    assert result.rid
    assert result.rid in result.errmsg


def test_wrong_value_is_named(client: WeChatClient) -> None:
    """47003 comes back with the field that WeChat names."""
    data = {**DATA, "thing1": {"value": "字" * 21}}
    result = client.send_template(TemplateMessage(ALICE, MESSAGE.template_id, data))
    assert result.errcode == 47003
    assert "thing1" in result.errmsg


@pytest.mark.parametrize(
    ("trouble", "options", "outcome"),
    [
        ("reset", {"accepted": True}, Outcome.UNKNOWN),
        ("reset", {"accepted": False}, Outcome.UNKNOWN),
        ("stall", {}, Outcome.UNKNOWN),
        ("truncate", {}, Outcome.UNKNOWN),
        ("truncate", {"cut_connection": False}, Outcome.UNKNOWN),
        ("http_error", {"status": 504}, Outcome.UNKNOWN),
        ("http_error", {"status": 502}, Outcome.UNKNOWN),
        ("http_error", {"status": 500}, Outcome.UNKNOWN),
        ("http_error", {"status": 503}, Outcome.REFUSED),
        ("http_error", {"status": 403}, Outcome.REFUSED),
    ],
)
def test_trouble_on_the_way_is_told_apart(
    wechat: Sandbox, trouble: str, options: dict[str, Any], outcome: Outcome
) -> None:
    """A lost answer is unknown, a closed gate a refusal; neither has an errcode of WeChat's."""
    cache = LocMemCache(uuid.uuid4().hex, {})
    new_client(wechat, cache=cache).tokens.get()
    client = new_client(wechat, timeout=(20, 0.5 if trouble == "stall" else 20), cache=cache)
    getattr(wechat, trouble)(**options)
    result = client.send_template(MESSAGE)
    assert (result.outcome, result.errcode, result.endpoint) == (outcome, None, "send")
    wait_until(lambda: client.send_template(MESSAGE).outcome is Outcome.ACCEPTED)
    client.close()


def test_gateway_page_is_named_by_its_status(wechat: Sandbox, client: WeChatClient) -> None:
    """What the row will show of an error page is its status, not its HTML."""
    wechat.http_error(502)
    assert client.send_template(MESSAGE).errmsg == "HTTP 502"


def test_unreachable_host_is_not_sent(wechat: Sandbox, client: WeChatClient) -> None:
    """With a token in hand and WeChat gone, the message has not left."""
    assert client.send_template(MESSAGE).outcome is Outcome.ACCEPTED
    wechat.stop()
    client.close()
    result = client.send_template(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.NOT_SENT, None)
    wechat.start()


class CacheAway(LocMemCache):
    """A cache server that is away, as Redis reports it."""

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        raise ConnectionError("redis://:password@cache.example")


def test_a_cache_that_fails_costs_no_message(wechat: Sandbox) -> None:
    """Without a token nothing has left, and the cache's own words, which may hold its password,
    are not shown."""
    client = new_client(wechat, cache=CacheAway("away", {}))
    result = client.send_template(MESSAGE)
    assert (result.outcome, result.endpoint) == (Outcome.NOT_SENT, "token")
    assert result.errmsg == "No access token: the cache failed (ConnectionError)."
    client.close()


def test_nothing_is_repeated_but_for_the_token(wechat: Sandbox, client: WeChatClient) -> None:
    """WeChat being busy is for the caller to repeat: the client sends once."""
    wechat.fail(-1)
    assert client.send_template(MESSAGE).errcode == -1
    assert sum(path.endswith("/send") for path in wechat.calls.elements()) == 1


# The token


@pytest.mark.parametrize("mode", ["stable", "classic"])
def test_many_messages_need_one_token(wechat: Sandbox, mode: str) -> None:
    """Sixty-four messages from sixteen threads fetch one token, in either mode."""
    client = new_client(wechat, token_mode=mode, pool_size=16)
    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(lambda _: client.send_template(MESSAGE), range(64)))
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    path = "/cgi-bin/token" if mode == "classic" else "/cgi-bin/stable_token"
    assert wechat.calls[path] == wechat.token_fetches == 1
    assert wechat.connections <= 16
    client.close()


@pytest.mark.parametrize("mode", ["stable", "classic"])
@pytest.mark.parametrize("errcode", [40001, 40014, 42001])
def test_stale_token_is_replaced_unseen(wechat: Sandbox, mode: str, errcode: int) -> None:
    """A token found stale is fetched again, the message repeated once, and nobody notices."""
    client = new_client(wechat, token_mode=mode)
    wechat.fail(errcode)
    assert client.send_template(MESSAGE).outcome is Outcome.ACCEPTED
    assert len(wechat.messages) == 1
    client.close()


@pytest.mark.parametrize("keep_serving", [False, True])
def test_revoked_token_is_replaced(
    wechat: Sandbox, client: WeChatClient, keep_serving: bool
) -> None:
    """So is a revoked one, where the platform goes on handing it out too: then one is forced."""
    client.send_template(MESSAGE)
    wechat.revoke_token(keep_serving=keep_serving)
    assert client.send_template(MESSAGE).outcome is Outcome.ACCEPTED
    assert wechat.token_fetches == (3 if keep_serving else 2)


def test_token_refused_for_ever_is_a_clear_refusal(wechat: Sandbox, client: WeChatClient) -> None:
    """Every token is refused: each message says so, with few calls to the token endpoint."""
    wechat.fail(40001, times=None)
    for _ in range(30):
        result = client.send_template(MESSAGE)
        assert (result.outcome, result.errcode) == (Outcome.REFUSED, 40001)
        assert result.endpoint == "send"
    assert wechat.token_fetches <= 5


def test_wrong_secret_is_told_from_a_stale_token(wechat: Sandbox) -> None:
    """A token endpoint's no comes back as such: nothing was sent, and nothing is repeated."""
    client = new_client(wechat, app_secret="0" * 32, token_mode="classic")
    result = client.send_template(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.REFUSED, 40001)
    assert (result.endpoint, bool(result.rid)) == ("token", True)
    assert wechat.token_fetches == 1
    client.close()


@pytest.mark.parametrize("trouble", ["stall", "http_error", "truncate", "reset"])
def test_trouble_at_the_token_endpoint_is_not_sent(wechat: Sandbox, trouble: str) -> None:
    """Whatever happens to the request for a token, the message itself has not left."""
    client = new_client(wechat, timeout=(20, 0.3))
    getattr(wechat, trouble)(path="/cgi-bin/stable_token", times=None)
    result = client.send_template(MESSAGE)
    assert (result.outcome, result.errcode) == (Outcome.NOT_SENT, None)
    assert (result.endpoint, bool(result.errmsg)) == ("token", True)
    client.close()


@pytest.mark.parametrize(
    "answer", [{}, {"access_token": TOKEN}, {"access_token": "", "expires_in": 7200}]
)
def test_token_answer_without_a_token_is_no_token(answer: dict[str, Any]) -> None:
    """A token endpoint that answers without a token is trouble, not an empty token."""
    with responses.RequestsMock() as wire:
        wire.post(f"{API}/cgi-bin/stable_token", json=answer)
        cache = LocMemCache(uuid.uuid4().hex, {})
        client = WeChatClient(Transport(API), app_id="wx1", app_secret=SECRET, cache=cache)
        result = client.send_template(MESSAGE)
    assert (result.outcome, result.endpoint) == (Outcome.NOT_SENT, "token")


def test_token_requests_are_as_documented(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """stable_token in normal mode by POST, the classic one by GET with its three parameters."""
    wired.tokens.get()
    assert json.loads(wire.calls[-1].request.body) == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": SECRET,
        "force_refresh": False,
    }
    cache = LocMemCache(uuid.uuid4().hex, {})
    WeChatClient(
        Transport(API), app_id="wx1", app_secret=SECRET, cache=cache, token_mode="classic"
    ).tokens.get()
    assert wire.calls[-1].request.params == {
        "grant_type": "client_credential",
        "appid": "wx1",
        "secret": SECRET,
    }


# The other calls


def test_templates_are_listed(wechat: Sandbox, client: WeChatClient) -> None:
    """Each template comes with its texts and industries."""
    listed = {template.template_id: template for template in client.get_templates()}
    for sample in samples.templates():
        template = listed[sample.template_id]
        assert (template.title, template.content) == (sample.title, sample.content)
        assert template.primary_industry == sample.primary_industry


def test_answer_without_a_list_is_no_empty_list(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """An answer that lacks the list is trouble: an empty list would switch every template off."""
    wire.get(f"{API}/cgi-bin/template/get_all_private_template", json={})
    with pytest.raises(TransportError, match="template_list"):
        wired.get_templates()


def test_template_is_added_and_deleted(wechat: Sandbox, client: WeChatClient) -> None:
    """A category template is added by its number and keywords, and deleted by its id."""
    template_id = client.add_template("47123", ["姓名", "时间"])
    assert template_id in {template.template_id for template in client.get_templates()}
    client.delete_template(template_id)
    assert template_id not in {template.template_id for template in client.get_templates()}


def test_refusal_of_a_call_is_raised_in_words(client: WeChatClient) -> None:
    """What WeChat refuses is raised with errcode, cause, next step, rid and the whole answer."""
    with pytest.raises(WeChatError, match="old library") as caught:
        client.add_template("TM00015")
    error = caught.value
    assert (error.errcode, bool(error.rid), error.answer["errcode"]) == (40247, True, 40247)
    assert error.next_step


def test_people_are_looked_up(wechat: Sandbox, client: WeChatClient) -> None:
    """One or many: who follows, with the unionid and whatever else WeChat tells."""
    wechat.change_user(ALICE, unionid="uALICE")
    wechat.unfollow(BOB)
    alice = client.get_user(ALICE)
    assert (alice.openid, alice.subscribed, alice.unionid) == (ALICE, True, "uALICE")
    assert alice.raw["openid"] == ALICE
    found = client.get_users([ALICE, BOB])
    assert [(person.openid, person.subscribed) for person in found] == [(ALICE, True), (BOB, False)]


def test_more_than_a_hundred_people_are_too_many(client: WeChatClient) -> None:
    """The platform takes 100 openids at once; more is the caller's mistake."""
    with pytest.raises(ValueError, match="100"):
        client.get_users(f"o{number}" for number in range(101))


def test_followers_come_by_the_page(wire: responses.RequestsMock, wired: WeChatClient) -> None:
    """The next page is asked for by the last openid; an empty page ends it, without "data" too."""
    url = f"{API}/cgi-bin/user/get"
    first = {"total": 2, "count": 2, "data": {"openid": ["a", "b"]}, "next_openid": "b"}
    wire.get(url, json=first)
    wire.get(url, json={"total": 2, "count": 0, "next_openid": "b"})
    assert wired.get_followers() == FollowerPage(2, ["a", "b"], "b")
    assert wired.get_followers("b") == FollowerPage(2, [], "")
    asked = [
        call.request.params.get("next_openid") for call in wire.calls if "user" in call.request.url
    ]
    assert asked == [None, "b"]


def test_page_of_ten_thousand_followers_is_read(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """The longest answer that WeChat gives is below the limit."""
    openids = [f"o{number:063}" for number in range(10_000)]
    answer = {"total": 10_000, "count": 10_000, "data": {"openid": openids}, "next_openid": "x"}
    wire.get(f"{API}/cgi-bin/user/get", json=answer)
    assert wired.get_followers().openids == openids


ODD = [None, 1, 1e999, "x", [], [1], {}, {"openid": 1}, {"openid": ["a b"]}, {"openid": "ab"}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_answers_of_another_shape_are_transport_errors(
    wire: responses.RequestsMock, wired: WeChatClient, odd: Any
) -> None:
    """Whatever stands where a list, a number or an object should, nothing else is raised."""
    names = ("template_list", "template_id", "user_info_list", "data", "total", "ticket", "url")
    answer = json.dumps(dict.fromkeys([*names, "expire_seconds", "quota", "request"], odd))
    wire.add(responses.GET, re.compile(f"{API}/cgi-bin/(?!token)"), body=answer)
    wire.add(responses.POST, re.compile(f"{API}/cgi-bin/(?!stable_token)"), body=answer)
    calls: list[Callable[[], Any]] = [
        wired.get_templates,
        lambda: wired.add_template("TM1"),
        lambda: wired.get_users(["a"]),
        wired.get_followers,
        lambda: wired.create_qrcode("s", 60),
        wired.get_quota,
        lambda: wired.get_request("1-2-3"),
    ]
    for call in calls:
        with suppress(TransportError):
            call()


@pytest.mark.parametrize(
    "body",
    [
        '{"errcode": 1e999}',
        '{"openid": 1e999}',
        '{"openid": ["o1"]}',
        '{"openid": "o1 \\u0000"}',
        '{"openid": "\\ud800"}',
        '{"openid": "%s"}' % ("o" * 65),
        '{"openid": %s}' % ("[" * 50_000 + "]" * 50_000),
        "[" * 50_000,
        "{}",
        "[]",
        "",
    ],
    ids=lambda body: body[:30],
)
def test_web_authorisation_raises_nothing_else(body: str) -> None:
    """An answer to a code that holds no openid is a TransportError, however odd it is."""
    transport = Transport(API)
    with responses.RequestsMock() as wire:
        wire.get(f"{API}/sns/oauth2/access_token", body=body)
        with pytest.raises(TransportError):
            oauth.exchange_code(transport, app_id="wx1", app_secret=SECRET, code="c")


def test_odd_unionid_is_left_out() -> None:
    """What cannot be a unionid does not keep a person from being bound."""
    transport = Transport(API)
    with responses.RequestsMock() as wire:
        wire.get(f"{API}/sns/oauth2/access_token", body='{"openid": "o1", "unionid": "\\u0000"}')
        person = oauth.exchange_code(transport, app_id="wx1", app_secret=SECRET, code="c")
    assert (person.openid, person.unionid) == ("o1", "")


def test_sandbox_followers_are_listed(client: WeChatClient) -> None:
    """Those who follow are listed, those who stopped are not."""
    page = client.get_followers()
    assert sorted(page.openids) == sorted(u.openid for u in samples.users() if u.subscribed)
    assert (page.total, page.next_openid) == (len(page.openids), "")


def test_qrcode_is_made(wechat: Sandbox, client: WeChatClient) -> None:
    """A temporary code for a scene comes back with its ticket, address and life."""
    code = client.create_qrcode("bind-1", 600)
    (made,) = wechat.state.codes()
    assert (made.ticket, made.scene) == (code.ticket, "bind-1")
    assert (code.expire_seconds, bool(code.url)) == (600, True)


def test_quota_is_told(wechat: Sandbox, client: WeChatClient) -> None:
    """Today's quota of template messages: limit, used and left."""
    wechat.daily_quota = 100
    client.send_template(MESSAGE)
    quota = client.get_quota()
    assert (quota.daily_limit, quota.used, quota.remain) == (100, 1, 99)


def test_failed_request_can_be_looked_up(wechat: Sandbox, client: WeChatClient) -> None:
    """The rid of a refusal leads to what WeChat received, and from where."""
    wechat.unfollow(ALICE)
    request = client.get_request(client.send_template(MESSAGE).rid)
    assert request["client_ip"] == "127.0.0.1"
    assert ALICE in request["request_body"]


def test_looked_up_request_shows_no_token(
    wire: responses.RequestsMock, wired: WeChatClient
) -> None:
    """Should WeChat give the URL back whole, the token in it is taken out."""
    found = {"request_url": f"{API}/send?access_token={TOKEN}", "cost_in_ms": 3}
    wire.post(f"{API}/cgi-bin/openapi/rid/get", json={"errcode": 0, "request": found})
    request = wired.get_request("1-2-3")
    assert TOKEN not in request["request_url"]
    assert request["cost_in_ms"] == 3


def test_calls_replace_a_stale_token_too(wechat: Sandbox, client: WeChatClient) -> None:
    """A management call meets a revoked token as a message does."""
    client.get_templates()
    wechat.revoke_token()
    assert client.get_templates()
    assert wechat.token_fetches == 2


def test_calls_say_clearly_that_every_token_is_refused(
    wechat: Sandbox, client: WeChatClient
) -> None:
    """A management call whose second token is refused too raises the clear error."""
    wechat.fail(40001, path="/cgi-bin/*/get_all_private_template", times=None)
    with pytest.raises(TokenError, match="another program"):
        client.get_templates()


def test_calls_raise_token_errors(wechat: Sandbox) -> None:
    """A wrong app id is a TokenError that says what to check."""
    client = new_client(wechat, app_id="wxwrong")
    with pytest.raises(TokenError, match="APP_ID") as caught:
        client.get_templates()
    assert caught.value.errcode == 40013
    client.close()


def test_refused_address_is_shown(wechat: Sandbox, client: WeChatClient) -> None:
    """40164 carries the address that WeChat saw, for the whitelist."""
    wechat.fail(
        40164,
        "invalid ip 203.0.113.9, not in whitelist",
        path="/cgi-bin/stable_token",
    )
    with pytest.raises(TokenError, match="whitelist") as caught:
        client.get_templates()
    assert caught.value.ip == "203.0.113.9"


# Secrets


def test_no_secret_comes_out(
    wire: responses.RequestsMock,
    wired: WeChatClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither repr, nor errors, nor results, nor logs hold the app secret or the token."""
    caplog.set_level(logging.DEBUG)
    answer_send(wire, json={"errcode": 48001, "errmsg": f"no: access_token={TOKEN}"})
    answer_send(wire, body=RequestsConnectionError(f"{API}?access_token={TOKEN}"))
    wire.get(f"{API}/cgi-bin/template/get_all_private_template", status=502)
    seen = [repr(wired), repr(wired.tokens), repr(wired.transport)]
    seen += [repr(wired.send_template(MESSAGE)) for _ in range(2)]
    with pytest.raises(TransportError) as caught:
        wired.get_templates()
    seen += [repr(caught.value), str(caught.value), caplog.text]
    assert not [text for text in seen if TOKEN in text or SECRET in text]


def test_debug_log_of_a_real_exchange_holds_no_secret(
    wechat: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3's DEBUG lines name the classic token's URL, without its secret."""
    caplog.set_level(logging.DEBUG)
    client = new_client(wechat, token_mode="classic")
    client.send_template(MESSAGE)
    assert "/cgi-bin/token" in caplog.text
    assert wechat.app_secret not in caplog.text
    assert client.tokens.get() not in caplog.text
    client.close()

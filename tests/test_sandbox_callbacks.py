"""What the fake WeChat tells the site by itself: receipts and events, and web authorisation."""

import hashlib
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import pytest

from tests.callback_site import CallbackSite, callback_site
from tests.sandbox_client import MAMA, WANG, ZHOU, Api
from wechat_notify.sandbox.callback_sender import signature
from wechat_notify.sandbox.records import User
from wechat_notify.sandbox.server import Sandbox

TOKEN = "callback-token"


@pytest.fixture
def site() -> Iterator[CallbackSite]:
    with callback_site() as running:
        yield running


@pytest.fixture
def wechat(site: CallbackSite) -> Iterator[Sandbox]:
    with Sandbox(callback_url=site.url, callback_token=TOKEN) as sandbox:
        yield sandbox


@pytest.fixture
def api(wechat: Sandbox) -> Iterator[Api]:
    client = Api(wechat)
    yield client
    client.close()


def test_the_official_signature():
    """The vector of the platform's own page."""
    expected = "f464b24fc39322e44b38aa78f5edd27bd1441696"
    assert signature("AAAAA", "1714036504", "1514711492") == expected


def test_a_receipt_follows_every_accepted_message(site, wechat, api):
    """TEMPLATESENDJOBFINISH with the msgid, signed; nothing for a repeat or a refusal."""
    msgid = api.send(client_msg_id="a")["msgid"]
    api.send(client_msg_id="a")
    api.send("nobody")
    assert wechat.wait_for_callbacks(60)
    ((query, _body),) = site.got
    (fields,) = site.events
    parts = sorted([TOKEN, query["timestamp"], query["nonce"]])
    assert (
        query["signature"]
        == hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()
    )
    assert query["openid"] == fields["FromUserName"] == WANG
    assert fields["MsgType"] == "event"
    assert fields["Event"] == "TEMPLATESENDJOBFINISH"
    assert fields["MsgID"] == str(msgid)
    assert fields["Status"] == "success"
    assert abs(int(fields["CreateTime"]) - wechat.state.clock.time()) < 60


def test_the_status_of_receipts_can_be_set_by_person(site, wechat, api):
    """failed:user block for one, success for the rest."""
    wechat.change_user(MAMA, receipt="failed:user block")
    api.send(MAMA)
    api.send(WANG)
    assert wechat.wait_for_callbacks(60)
    statuses = {fields["FromUserName"]: fields["Status"] for fields in site.events}
    assert statuses == {MAMA: "failed:user block", WANG: "success"}


def test_receipts_and_events_of_ones_own(site, wechat):
    """A test may send a receipt twice, with MsgID 0, or for a message that never was."""
    wechat.receipt(WANG, 0, "failed: system failed")
    wechat.event(WANG, "LOCATION", Latitude="]]><x>")
    assert wechat.wait_for_callbacks(60)
    by_event = {fields["Event"]: fields for fields in site.events}
    assert by_event["TEMPLATESENDJOBFINISH"]["MsgID"] == "0"
    assert by_event["LOCATION"]["Latitude"] == "]]><x>"


def test_an_event_is_told_three_times_and_then_given_up(site, wechat, api):
    """Anything but success or an empty body counts as no answer."""
    site.answers = [(500, b""), (200, b'{"ok":1}'), (200, b"")]
    wechat.event(WANG, "subscribe", EventKey="")
    assert wechat.wait_for_callbacks(60)
    assert len(site.got) == 3
    site.answers = [(500, b"")] * 3
    wechat.event(WANG, "subscribe", EventKey="")
    assert wechat.wait_for_callbacks(60)
    figures = api.get("/sandbox/state")
    assert (figures["receipts"], figures["receipts_failed"]) == (1, 1)


def test_a_site_that_is_down_harms_nobody(api):
    """Messages are taken all the same; a query in the callback address is kept."""
    with Sandbox(callback_url="http://127.0.0.1:9/?site=1") as wechat:
        client = Api(wechat)
        assert client.send()["errcode"] == 0
        assert wechat.wait_for_callbacks(60)
        assert client.get("/sandbox/state")["receipts_failed"] == 1
        client.close()


def test_nothing_is_told_after_the_end(site, wechat):
    """A stopped sandbox is silent."""
    wechat.stop()
    wechat.event(WANG, "subscribe", EventKey="")
    assert wechat.wait_for_callbacks(60)
    assert site.got == []


def test_following_unfollowing_and_scanning_are_told(site, wechat, api):
    """subscribe with the scene prefixed for a newcomer, SCAN without for a follower."""
    body = {
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "bind-1"}},
        "expire_seconds": 600,
    }
    ticket = api.post("/cgi-bin/qrcode/create", body)["ticket"]
    for path in (f"{ZHOU}/scan/", f"{ZHOU}/scan/", f"{ZHOU}/unfollow/", f"{ZHOU}/follow/"):
        api.request("POST", f"/phone/{path}", data={"ticket": ticket})
        assert wechat.wait_for_callbacks(60)
    told = [(fields["Event"], fields["EventKey"], fields.get("Ticket")) for fields in site.events]
    assert told == [
        ("subscribe", "qrscene_bind-1", ticket),
        ("SCAN", "bind-1", ticket),
        ("unsubscribe", "", None),
        ("subscribe", "", None),
    ]


# Web authorisation

BACK = "https://school.example/wechat/back/?next=%2Fme%2F"


def authorize_path(wechat: Sandbox, scope: str = "snsapi_base", **change: str) -> str:
    query = {
        "appid": wechat.app_id,
        "redirect_uri": BACK,
        "response_type": "code",
        "scope": scope,
        "state": "s1",
        **change,
    }
    joined = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"/connect/oauth2/authorize?{joined}"


def authorize(wechat: Sandbox, api: Api, scope: str = "snsapi_base") -> dict[str, str]:
    answer = api.request("GET", authorize_path(wechat, scope), allow_redirects=False)
    assert answer.headers["Location"].startswith(
        "https://school.example/wechat/back/?next=%2Fme%2F"
    )
    return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))


def exchange(wechat: Sandbox, api: Api, code: str, **change: str) -> dict[str, object]:
    query = {"appid": wechat.app_id, "secret": wechat.app_secret, "code": code}
    grant = {"grant_type": "authorization_code", **change}
    return api.get("/sns/oauth2/access_token", {**query, **grant})


def test_silent_authorisation_of_whoever_holds_the_phone(wechat, api):
    """snsapi_base goes straight back with code and state; the code gives the openid, once."""
    api.request("GET", f"/phone/{MAMA}/")
    back = authorize(wechat, api)
    assert (back["next"], back["state"]) == ("/me/", "s1")
    answer = exchange(wechat, api, back["code"])
    assert (answer["openid"], answer["scope"]) == (MAMA, "snsapi_base")
    assert "unionid" not in answer
    assert exchange(wechat, api, back["code"])["errcode"] == 40163


def test_a_code_lives_five_minutes(wechat, api):
    """42003 afterwards, 40029 for one that never was, 41008 for none."""
    wechat.account.phone_user = WANG
    code = authorize(wechat, api)["code"]
    wechat.advance(300)
    assert exchange(wechat, api, code)["errcode"] == 42003
    assert exchange(wechat, api, "nonsense")["errcode"] == 40029
    assert exchange(wechat, api, "")["errcode"] == 41008


def test_a_code_is_not_exchanged_for_wrong_credentials(wechat, api):
    """Each mistake has its errcode."""
    assert exchange(wechat, api, "x", appid="wx1")["errcode"] == 40013
    assert exchange(wechat, api, "x", secret="wrong")["errcode"] == 40125
    assert exchange(wechat, api, "x", grant_type="code")["errcode"] == 40002


def test_a_browser_that_holds_nobodys_phone_is_asked_who_it_is(wechat, api):
    """Every person is a link back to the site."""
    page = api.request("GET", authorize_path(wechat)).text
    assert "这是谁的手机" in page
    links = re.findall(r'href="(https://school[^"]+)"', page.replace("&amp;", "&"))
    codes = [parse_qs(urlsplit(link).query)["code"][0] for link in links]
    assert exchange(wechat, api, codes[0])["openid"] == WANG


def test_consent_can_be_given_and_refused(wechat, api):
    """snsapi_userinfo asks; a refusal comes back without a code."""
    wechat.account.phone_user = WANG
    page = api.request("GET", authorize_path(wechat, "snsapi_userinfo")).text
    assert "允许" in page
    links = re.findall(r'href="(https://school[^"]+)"', page.replace("&amp;", "&"))
    answers = [dict(parse_qsl(urlsplit(link).query)) for link in links]
    assert [("code" in answer, answer["state"]) for answer in answers] == [
        (False, "s1"),
        (True, "s1"),
    ]


def test_the_profile_behind_an_authorisation(wechat, api):
    """Nickname and unionid with snsapi_userinfo only."""
    wechat.account.consent = False
    wechat.follow(User("o1", "阿丽", unionid="u1"))
    wechat.account.phone_user = "o1"
    answer = exchange(wechat, api, authorize(wechat, api, "snsapi_userinfo")["code"])
    assert answer["unionid"] == "u1"
    query = {"access_token": answer["access_token"], "openid": "o1"}
    profile = api.get("/sns/userinfo", query)
    assert (profile["nickname"], profile["unionid"]) == ("阿丽", "u1")
    assert api.get("/sns/userinfo", {**query, "openid": "o2"})["errcode"] == 40003
    assert api.get("/sns/userinfo", {**query, "access_token": "x"})["errcode"] == 40001
    base = exchange(wechat, api, authorize(wechat, api)["code"])
    assert api.get("/sns/userinfo", {"access_token": base["access_token"]})["errcode"] == 48001


def test_a_profile_without_a_unionid(wechat, api):
    """Most accounts have none; people who do not follow can still authorise."""
    wechat.account.consent = False
    wechat.account.phone_user = "oNobody"
    answer = exchange(wechat, api, authorize(wechat, api, "snsapi_userinfo")["code"])
    query = {"access_token": answer["access_token"], "openid": "oNobody"}
    assert "unionid" not in api.get("/sns/userinfo", query)


def test_a_snapshot_page_gives_a_false_openid(wechat, api):
    """is_snapshotuser marks what must not be believed."""
    wechat.change_user(WANG, snapshot=True)
    wechat.account.phone_user = WANG
    answer = exchange(wechat, api, authorize(wechat, api)["code"])
    assert answer["is_snapshotuser"] == 1
    assert answer["openid"] != WANG


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"appid": "wx1"}, "AppID"),
        ({"scope": "snsapi_login"}, "Scope"),
        ({"response_type": "token"}, "Scope"),
        ({"state": "a-b"}, "state"),
        ({"state": "a" * 129}, "state"),
        ({"redirect_uri": "javascript:alert(1)"}, "10003"),
        ({"extra": "1"}, "参数"),
    ],
)
def test_an_authorise_link_that_is_wrong(wechat, api, change, words):
    """A page says what is wrong, and leads nowhere."""
    answer = api.request("GET", authorize_path(wechat, **change), allow_redirects=False)
    assert answer.status_code == 400
    assert words in answer.text


def test_the_order_of_parameters_matters(wechat, api):
    """Swapping scope and response_type does not work, as with the real page."""
    wechat.account.phone_user = WANG
    path = authorize_path(wechat)
    swapped = path.replace(
        "response_type=code&scope=snsapi_base", "scope=snsapi_base&response_type=code"
    )
    assert "依次" in api.request("GET", swapped, allow_redirects=False).text
    popup = api.request("GET", path + "&forcePopup=true", allow_redirects=False)
    assert popup.status_code == 303


def test_only_the_authorised_domain(wechat, api):
    """www.school.example is not school.example."""
    wechat.account.phone_user = WANG
    wechat.account.authorize_domain = "www.school.example"
    assert "10003" in api.request("GET", authorize_path(wechat), allow_redirects=False).text
    wechat.account.authorize_domain = "school.example"
    assert "code" in authorize(wechat, api)

"""The fake WeChat's API: it answers as docs/wechat-api.md says WeChat does."""

import re
from collections.abc import Iterator

import pytest
import requests

from tests.sandbox_client import MAMA, ORDER, SEND, WANG, ZHOU, Api
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.records import Template, User
from wechat_notify.sandbox.server import Sandbox

RID = re.compile(r" rid: [0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}$")


@pytest.fixture
def wechat() -> Iterator[Sandbox]:
    """At the next noon in Beijing, so that no day ends in the middle of a test."""
    with Sandbox() as sandbox:
        in_beijing = sandbox.state.clock.time() + 8 * 3_600
        sandbox.advance(86_400 * 1.5 - in_beijing % 86_400)
        yield sandbox


@pytest.fixture
def api(wechat: Sandbox) -> Iterator[Api]:
    client = Api(wechat)
    yield client
    client.close()


# Tokens


def test_a_classic_token_is_new_at_every_fetch_and_the_old_one_lives_five_minutes(wechat, api):
    """A second process that fetches takes the first one's token away, but not at once."""
    first, second = api.classic(), api.classic()
    assert first["access_token"] != second["access_token"]
    assert second["expires_in"] == 7200
    assert api.send(token=first["access_token"])["errcode"] == 0
    wechat.advance(300)
    assert api.send(token=first["access_token"])["errcode"] == 40001
    assert api.send(token=second["access_token"])["errcode"] == 0


def test_a_stable_token_stays_the_same_with_the_time_it_has_left(wechat, api):
    """Normal mode never invalidates anything."""
    first = api.stable()
    wechat.advance(1000)
    again = api.stable()
    assert again["access_token"] == first["access_token"]
    assert 6190 <= again["expires_in"] <= 6200


def test_a_stable_token_is_replaced_in_its_last_five_minutes_and_both_work(wechat, api):
    """No stable token is ever handed out with less than 300 seconds."""
    first = api.stable()["access_token"]
    wechat.advance(7200 - 299)
    second = api.stable()
    assert second["access_token"] != first
    assert second["expires_in"] == 7200
    assert api.send(token=first)["errcode"] == 0
    wechat.advance(299)
    assert api.send(token=first)["errcode"] == 42001
    assert api.send(token=second["access_token"])["errcode"] == 0


def test_forcing_a_stable_token_is_heeded_twenty_times_a_day_thirty_seconds_apart(wechat, api):
    """force_refresh replaces the token at once, and beyond its limits is ignored."""
    tokens = [api.stable()["access_token"]]
    for _ in range(21):
        tokens.append(api.stable(force_refresh=True)["access_token"])
        wechat.advance(30)
    assert len(set(tokens)) == 21
    assert api.send(token=tokens[0])["errcode"] == 40001
    assert api.send(token=tokens[-1])["errcode"] == 0
    wechat.advance(86_400)
    forced = api.stable(force_refresh=True)["access_token"]
    assert forced not in tokens
    assert api.stable(force_refresh=True)["access_token"] == forced


def test_the_two_kinds_of_token_do_not_invalidate_each_other(wechat, api):
    """A legacy process beside ours goes on working."""
    classic = api.classic()["access_token"]
    api.stable(force_refresh=True)
    wechat.advance(400)
    assert api.send(token=classic)["errcode"] == 0


def test_a_revoked_token_is_refused_and_a_new_one_is_given(wechat, api):
    """revoke_token() makes the next business call meet 40001."""
    api.send()
    wechat.revoke_token()
    assert api.send()["errcode"] == 40001
    assert api.send(token=api.stable()["access_token"])["errcode"] == 0


def test_a_refused_token_can_come_back_until_it_is_forced(wechat, api):
    """keep_serving plays the case for which force_refresh exists."""
    stuck = api.stable()["access_token"]
    wechat.revoke_token(keep_serving=True)
    assert api.stable()["access_token"] == stuck
    assert api.send(token=stuck)["errcode"] == 40001
    assert api.send(token=api.stable(force_refresh=True)["access_token"])["errcode"] == 0


def test_an_expired_token_is_told_from_a_wrong_one(wechat, api):
    """42001 after its time, 40001 for one that never was, 41001 for none."""
    token = api.stable()["access_token"]
    wechat.advance(7200)
    assert api.send(token=token)["errcode"] == 42001
    assert api.send(token="nonsense")["errcode"] == 40001
    assert api.send(token="")["errcode"] == 41001


@pytest.mark.parametrize(
    ("wrong", "errcode"),
    [
        ({"secret": "f" * 32}, 40001),
        ({"secret": "short"}, 40125),
        ({"secret": ""}, 41004),
        ({"appid": "wx1"}, 40013),
        ({"appid": ""}, 41002),
        ({"grant_type": "password"}, 40002),
    ],
)
def test_wrong_credentials_at_the_classic_endpoint(api, wrong, errcode):
    """Each mistake has its own errcode."""
    assert api.classic(**wrong)["errcode"] == errcode


@pytest.mark.parametrize(
    ("wrong", "errcode"),
    [({"secret": "f" * 32}, 40125), ({"appid": "wx1"}, 40013), ({"grant_type": ""}, 40002)],
)
def test_wrong_credentials_at_the_stable_endpoint(api, wrong, errcode):
    """The stable endpoint knows no 40001: a wrong secret is 40125."""
    assert api.stable(**wrong)["errcode"] == errcode


def test_the_quota_of_token_calls(wechat, api):
    """2,000 classic fetches a day, then 45009, until the next day."""
    wechat.state.traffic.limits["/cgi-bin/token"] = 1
    assert "access_token" in api.classic()
    assert api.classic()["errcode"] == 45009
    wechat.advance(86_400)
    assert "access_token" in api.classic()


# Sending


def test_an_accepted_message_is_recorded_as_it_came(wechat, api):
    """Everything of the request can be read again, its bytes too."""
    program = {"appid": "wxprogram", "pagepath": "pages/order?id=1"}
    answer = api.send(url="https://school.example/1/", miniprogram=program, client_msg_id="a-1")
    (message,) = wechat.messages
    assert answer == {"errcode": 0, "errmsg": "ok", "msgid": message.msgid}
    assert message.msgid > 2**53
    assert message.openid == WANG
    assert message.template_id == samples.ORDER_TEMPLATE_ID
    assert message.values() == ORDER
    assert message.url == "https://school.example/1/"
    assert message.miniprogram == program
    assert message.client_msg_id == "a-1"
    assert b"\\u" in message.raw  # requests escapes what is not ASCII


def test_messages_stay_in_order_and_are_counted_by_person(wechat, api):
    """messages, messages_to() and counts agree."""
    for openid in (WANG, MAMA, WANG):
        api.send(openid)
    assert [message.openid for message in wechat.messages] == [WANG, MAMA, WANG]
    assert len(wechat.messages_to(WANG)) == 2
    assert wechat.messages_to("nobody") == []
    assert wechat.counts == {WANG: 2, MAMA: 1}
    ids = [message.msgid for message in wechat.messages]
    assert ids == sorted(set(ids))


def test_a_repeat_within_ten_minutes_is_absorbed(wechat, api):
    """The same openid and client_msg_id is one message, and the repeat gets its msgid."""
    first = api.send(client_msg_id="a-1")
    assert api.send(client_msg_id="a-1") == first
    assert api.send(MAMA, client_msg_id="a-1")["msgid"] != first["msgid"]
    assert (len(wechat.messages), wechat.duplicates) == (2, 1)
    wechat.advance(600)
    assert api.send(client_msg_id="a-1")["msgid"] != first["msgid"]
    assert (len(wechat.messages), wechat.duplicates) == (3, 1)


def test_a_repeat_can_be_answered_with_40241(wechat, api):
    """The other answer that was seen in the wild."""
    wechat.account.repeat_errcode = 40241
    assert api.send(client_msg_id="a-1")["errcode"] == 0
    assert api.send(client_msg_id="a-1")["errcode"] == 40241
    assert (len(wechat.messages), wechat.duplicates) == (1, 1)


@pytest.mark.parametrize(
    ("change", "errcode"),
    [
        ({"openid": "nobody"}, 40003),
        ({"openid": ZHOU}, 43004),
        ({"template_id": "x" * 43}, 40037),
        ({"template_id": ""}, 40036),
        ({"template_id": None}, 40036),
        ({"touser": ""}, 47001),
        ({"data": {}, "url": "https://a.example/" + "x" * 2048}, 40039),
        ({"miniprogram": {"pagepath": "pages/a"}}, 40013),
    ],
)
def test_what_a_message_is_refused_for(wechat, api, change, errcode):
    """Each mistake gets its documented errcode, with a request id, and nothing is delivered."""
    answer = api.send(**change)
    assert answer["errcode"] == errcode
    assert RID.search(answer["errmsg"])
    assert wechat.messages == []


def test_bodies_that_are_no_message(api):
    """Empty, not JSON, not an object, camelCase keys: 44002 and 47001."""
    query = {"access_token": api.token}
    for body, errcode in [
        (b"", 44002),
        (b"{", 47001),
        (b"[]", 47001),
        (b'{"toUser": "x", "data": {}}', 47001),
        (b'{"touser": "x"}', 47001),
        (b"\xff", 47001),
    ]:
        answer = api.request("POST", SEND, params=query, data=body).json()
        assert answer["errcode"] == errcode, body


def test_the_wrong_method(api):
    """43002 where POST is wanted, 43001 where GET is."""
    assert api.business_get(SEND)["errcode"] == 43002
    assert api.get("/cgi-bin/stable_token")["errcode"] == 43002
    assert api.post("/cgi-bin/user/get", {})["errcode"] == 43001


@pytest.mark.parametrize(
    ("change", "errmsg"),
    [
        ({"thing2": "一" * 21}, "argument invalid! data.thing2.value invalid"),
        ({"amount3": "free"}, "argument invalid! data.amount3.value invalid"),
        ({"time4": ""}, "argument invalid! data.time4.value is empty"),
    ],
)
def test_a_value_that_breaks_its_rule(wechat, api, change, errmsg):
    """47003 names the field."""
    answer = api.send(data={**ORDER, **change})
    assert answer["errcode"] == 47003
    assert answer["errmsg"].startswith(errmsg)
    assert wechat.messages == []


def test_a_missing_field(api):
    """47003 for a field that is left out, or given without the key "value"."""
    data = {name: value for name, value in ORDER.items() if name != "thing2"}
    assert "data.thing2.value" in api.send(data=data)["errmsg"]
    message = api.message()
    message["data"]["thing2"] = "秋季校服一套"
    assert "data.thing2.value" in api.post(SEND, message)["errmsg"]


def test_first_remark_and_colour_pass_and_so_do_the_words_of_old_templates(wechat, api):
    """What WeChat filters out is not refused, nor is a historical template's long value."""
    content = "{{first.DATA}}\n订单：{{keyword1.DATA}}\n结果：{{result.DATA}}\n{{remark.DATA}}"
    wechat.add_template(Template("L" * 43, "旧模板", content))
    data = {"keyword1": {"value": "长" * 30, "color": "#173177"}, "first": {"value": "您好"}}
    body = {"touser": WANG, "template_id": "L" * 43, "data": data}
    assert api.post(SEND, body)["errcode"] == 0


def test_a_value_need_not_be_a_text(wechat, api):
    """The documents allow any JSON value."""
    assert api.send(data={**ORDER, "amount3": 39.8})["errcode"] == 0
    assert wechat.messages[0].values()["amount3"] == "39.8"


def test_approved_values(wechat, api):
    """A const takes its approved values or nothing at all."""
    data = {
        "name1": "李小明",
        "time3": "2026年11月24日 08:00",
        "time4": "2026年11月25日 17:30",
        "thing5": "婚礼",
    }
    for value, errcode in [("事假", 0), ("", 0), ("散步", 47003)]:
        more = {"template_id": samples.LEAVE_TEMPLATE_ID, "data": {**data, "const2": value}}
        assert api.send(**more)["errcode"] == errcode, value


def test_a_banned_template_and_a_person_who_refuses(wechat, api):
    """43116 for the template, the person's own errcode for the person."""
    wechat.change_user(MAMA, refuses=43101)
    assert api.send(MAMA)["errcode"] == 43101
    wechat.state.template(samples.ORDER_TEMPLATE_ID).banned = True
    assert api.send()["errcode"] == 43116


def test_only_associated_mini_programs_if_any_are_named(wechat, api):
    """40013 for a mini program of somebody else."""
    program = {"appid": "wxours", "pagepath": "pages/a"}
    assert api.send(miniprogram=program)["errcode"] == 0
    wechat.account.miniprograms = ("wxother",)
    assert api.send(miniprogram=program)["errcode"] == 40013


def test_the_daily_quota(wechat, api):
    """45009 when it is used up, and quota/get tells before."""
    wechat.daily_quota = 2
    assert wechat.daily_quota == 2
    assert [api.send()["errcode"] for _ in range(3)] == [0, 0, 45009]
    assert Sandbox(daily_quota=7).daily_quota == 7
    answer = api.post("/cgi-bin/openapi/quota/get", {"cgi_path": SEND})
    assert answer["quota"] == {"daily_limit": 2, "used": 2, "remain": 0}
    unknown = api.post("/cgi-bin/openapi/quota/get", {"cgi_path": "/cgi-bin/unknown"})
    assert unknown["errcode"] == 76021


def test_a_refused_call_can_be_looked_up_by_its_request_id(wechat, api):
    """rid/get tells what was asked and answered, without token and secret."""
    refused = api.send("nobody")
    rid = refused["errmsg"].rpartition("rid: ")[2]
    request = api.post("/cgi-bin/openapi/rid/get", {"rid": rid})["request"]
    assert "nobody" in request["request_body"]
    assert rid in request["response_body"]
    assert request["request_url"] == f"{SEND}?access_token=***"
    assert request["client_ip"] == "127.0.0.1"
    wrong = api.stable(secret="f" * 32)["errmsg"].rpartition("rid: ")[2]
    request = api.post("/cgi-bin/openapi/rid/get", {"rid": wrong})["request"]
    assert "f" * 32 not in str(request)
    assert api.post("/cgi-bin/openapi/rid/get", {"rid": "?"})["errcode"] == 76003


def test_only_the_last_thousand_refused_calls_are_remembered(wechat, api):
    """A run of failures does not eat the memory."""
    first = wechat.state.traffic.record_failure({})
    for _ in range(1000):
        last = wechat.state.traffic.record_failure({})
    assert api.post("/cgi-bin/openapi/rid/get", {"rid": first})["errcode"] == 76003
    assert api.post("/cgi-bin/openapi/rid/get", {"rid": last})["errcode"] == 0


def test_chinese_comes_as_utf_8_whatever_the_header_says(api):
    """JSON arrives as text/plain, so a client that trusts the header misreads it."""
    path = f"/cgi-bin/template/get_all_private_template?access_token={api.token}"
    answer = api.request("GET", path)
    assert answer.headers["Content-Type"] == "text/plain"
    assert "请假审批提醒".encode() in answer.content


# Templates


def test_the_template_list(api):
    """No errcode on success; content has a placeholder for each field."""
    answer = api.business_get("/cgi-bin/template/get_all_private_template")
    assert "errcode" not in answer
    listed = {entry["template_id"]: entry for entry in answer["template_list"]}
    assert set(listed[samples.LEAVE_TEMPLATE_ID]) == {
        "template_id",
        "title",
        "primary_industry",
        "deputy_industry",
        "content",
        "example",
    }
    assert all(len(template_id) == 43 for template_id in listed)
    assert "{{name1.DATA}}" in listed[samples.LEAVE_TEMPLATE_ID]["content"]


def test_templates_are_added_and_deleted(api):
    """A category template with keywords; the library of old ids is closed."""
    add, delete = "/cgi-bin/template/api_add_template", "/cgi-bin/template/del_private_template"
    answer = api.post(add, {"template_id_short": "47123", "keyword_name_list": ["姓名", "事项"]})
    assert len(answer["template_id"]) == 43
    data = {"thing1": "李小明", "thing2": "开会"}
    assert api.send(template_id=answer["template_id"], data=data)["errcode"] == 0
    assert api.post(delete, {"template_id": answer["template_id"]})["errcode"] == 0
    assert api.send(template_id=answer["template_id"], data=data)["errcode"] == 40037
    assert api.post(delete, {"template_id": answer["template_id"]})["errcode"] == 40037
    assert api.post(add, {"template_id_short": "47123"})["errcode"] == 40246
    old = {"template_id_short": "OPENTM1", "keyword_name_list": ["a"]}
    assert api.post(add, old)["errcode"] == 40247


def test_twenty_five_templates_are_the_most(wechat, api):
    """The 26th is refused."""
    for number in range(25):
        wechat.add_template({"template_id": f"T{number}", "title": "", "content": ""})
    body = {"template_id_short": "1", "keyword_name_list": ["a"]}
    assert api.post("/cgi-bin/template/api_add_template", body)["errcode"] == 45026


# People


def test_what_is_told_of_a_person(wechat, api):
    """A follower has a time and a unionid but no nickname; of others only the openid is told."""
    wechat.follow(User("o1", "阿丽", unionid="u1"))
    info = api.business_get("/cgi-bin/user/info", openid="o1")
    assert (info["subscribe"], info["unionid"], info["nickname"]) == (1, "u1", "")
    assert info["subscribe_time"] > 0
    wechat.unfollow("o1")
    gone = {"subscribe": 0, "openid": "o1"}
    assert api.business_get("/cgi-bin/user/info", openid="o1") == gone
    assert api.business_get("/cgi-bin/user/info", openid="nobody")["errcode"] == 40003


def test_people_by_the_hundred(wechat, api):
    """batchget takes 1 to 100 openids."""
    wanted = [{"openid": WANG, "lang": "zh_CN"}, {"openid": ZHOU}]
    path = "/cgi-bin/user/info/batchget"
    answer = api.post(path, {"user_list": wanted})["user_info_list"]
    assert [entry["subscribe"] for entry in answer] == [1, 0]
    assert api.post(path, {"user_list": wanted * 51})["errcode"] == 40035
    assert api.post(path, {"user_list": []})["errcode"] == 40035
    assert api.post(path, {"user_list": [{"openid": "nobody"}]})["errcode"] == 40003


def test_followers_page_by_page(api):
    """10,000 a page; the last one has an empty next_openid, an empty one has no data."""
    with Sandbox(users=[f"o{number:05}" for number in range(10_001)]) as wechat:
        client = Api(wechat)
        first = client.business_get("/cgi-bin/user/get")
        assert (first["total"], first["count"], first["next_openid"]) == (10_001, 10_000, "o09999")
        second = client.business_get("/cgi-bin/user/get", next_openid="o09999")
        assert (second["data"], second["next_openid"]) == ({"openid": ["o10000"]}, "")
        third = client.business_get("/cgi-bin/user/get", next_openid="o10000")
        assert third == {"total": 10_001, "count": 0, "next_openid": ""}
        client.close()


def test_any_openid_may_be_taken_for_a_follower():
    """For measurements: nobody has to be made known first."""
    with Sandbox(any_openid=True, keep=2) as wechat:
        client = Api(wechat)
        assert [client.send(f"o{number}")["errcode"] for number in range(3)] == [0, 0, 0]
        assert [message.openid for message in wechat.messages] == ["o1", "o2"]
        assert wechat.messages_to("o0") == []
        assert wechat.counts == {"o0": 1, "o1": 1, "o2": 1}
        client.close()


# QR codes


def test_a_qr_code(wechat, api):
    """A temporary code has a ticket, its seconds, and a url that can be opened."""
    body = {
        "expire_seconds": 600,
        "action_name": "QR_STR_SCENE",
        "action_info": {"scene": {"scene_str": "bind-1"}},
    }
    answer = api.post("/cgi-bin/qrcode/create", body)
    assert answer["expire_seconds"] == 600
    assert requests.get(answer["url"], timeout=60).status_code == 200
    picture = {"ticket": answer["ticket"]}
    assert api.request("GET", "/cgi-bin/showqrcode", params=picture).status_code == 200
    wechat.advance(600)
    assert api.request("GET", "/cgi-bin/showqrcode", params=picture).status_code == 404


@pytest.mark.parametrize(
    ("action", "scene", "errcode"),
    [
        ("QR_STR_SCENE", {"scene_str": "x" * 64}, 0),
        ("QR_STR_SCENE", {"scene_str": "x" * 65}, 40053),
        ("QR_STR_SCENE", {"scene_id": 1}, 40053),
        ("QR_SCENE", {"scene_id": 2**32 - 1}, 0),
        ("QR_SCENE", {"scene_id": 0}, 40053),
        ("QR_LIMIT_STR_SCENE", {"scene_str": "door"}, 0),
        ("QR_LIMIT_SCENE", {"scene_id": 100_001}, 40053),
        ("QR_SCENE", None, 40053),
        ("QR_OTHER", {"scene_id": 1}, 40052),
    ],
)
def test_scenes(api, action, scene, errcode):
    """What a QR code may carry."""
    body = {"action_name": action, "action_info": {"scene": scene}}
    answer = api.post("/cgi-bin/qrcode/create", body)
    assert answer.get("errcode", 0) == errcode
    assert ("expire_seconds" in answer) == (errcode == 0 and "LIMIT" not in action)


def test_a_qr_code_lives_at_most_thirty_days(api):
    """More is cut, nonsense refused."""
    scene = {"action_name": "QR_SCENE", "action_info": {"scene": {"scene_id": 1}}}
    create = "/cgi-bin/qrcode/create"
    assert api.post(create, {**scene, "expire_seconds": 10**9})["expire_seconds"] == 2_592_000
    assert api.post(create, {**scene, "expire_seconds": "soon"})["errcode"] == 40035

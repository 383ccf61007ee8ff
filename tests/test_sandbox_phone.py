"""The phone: what a person sees of the messages that arrived."""

import re
from collections.abc import Iterator
from datetime import datetime
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
import requests

from tests.sandbox_client import MAMA, ORDER, WANG, ZHOU, Api
from wechat_notify.sandbox.clock import BEIJING
from wechat_notify.sandbox.phone import moment
from wechat_notify.sandbox.records import Template, User
from wechat_notify.sandbox.server import Sandbox


@pytest.fixture
def wechat() -> Iterator[Sandbox]:
    with Sandbox(account_name="阳光小学") as sandbox:
        yield sandbox


@pytest.fixture
def api(wechat: Sandbox) -> Iterator[Api]:
    client = Api(wechat)
    yield client
    client.close()


class Elements(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def text(html: str) -> str:
    """A page as it reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


def chat(api: Api, openid: str = WANG) -> requests.Response:
    return api.request("GET", f"/phone/{openid}/")


def test_the_list_of_people(api):
    """Everybody is there, and an empty phone says what to do first."""
    page = api.request("GET", "/").text
    assert "王老师" in page
    assert "未关注" in page
    assert "还没有消息" in page
    assert "API_BASE" in page


def test_the_list_without_people():
    """Nobody at all: it says how somebody gets there."""
    with Sandbox(users=[]) as wechat:
        page = requests.get(f"{wechat.url}/", timeout=60).text
    assert "还没有人" in page
    assert "/sandbox/users" in page


def test_a_new_message_moves_its_person_to_the_top_with_a_red_dot(api):
    """Latest first; the dot goes when the chat has been looked at."""
    api.send(MAMA)
    api.send(WANG)
    page = api.request("GET", "/").text
    assert page.index("王老师") < page.index("张妈妈") < page.index("陈主任")
    assert page.count('class="dot"') == 2
    assert "[模板消息] 订单支付成功通知" in page
    assert "其他人有新消息" in chat(api).text
    assert api.request("GET", "/").text.count('class="dot"') == 1


def test_a_card_shows_title_labels_and_values(api):
    """As WeChat shows it: title, label and value of each field, 查看详情 if there is a link."""
    api.send(url="https://school.example/view/1/")
    page = chat(api).text
    assert "阳光小学" in page
    shown = text(page)
    assert "订单支付成功通知 订单编号 20261123150100001 商品名称 秋季校服一套" in shown
    assert "查看详情" in shown
    links = [attrs["href"] for tag, attrs in Elements(page).found if tag == "a"]
    assert "https://school.example/view/1/" in links


def test_a_card_without_a_link_has_no_more_line(api):
    """Neither url nor mini program: no jump."""
    api.send()
    assert "查看详情" not in chat(api).text


def test_a_mini_program_shows_its_mark(api):
    """The mark and 查看详情, and a link only if there is a url to fall back to."""
    api.send(miniprogram={"appid": "wxprogram", "pagepath": "pages/a"})
    page = chat(api).text
    assert 'aria-label="小程序"' in page
    assert "wxprogram pages/a" in page
    api.send(MAMA, miniprogram={"appid": "wxprogram"}, url="https://school.example/")
    page = chat(api, MAMA).text
    assert 'aria-label="小程序"' in page
    assert 'href="https://school.example/"' in page


def test_first_and_remark_are_not_shown(wechat, api):
    """As on real phones since 2023."""
    wechat.add_template(Template("L" * 43, "旧", "{{first.DATA}}\n事：{{keyword1.DATA}}"))
    data = {"first": "您好", "keyword1": "开会", "remark": "再见"}
    api.send(template_id="L" * 43, data=data)
    page = chat(api).text
    assert "开会" in page
    assert "您好" not in page
    assert "再见" not in page


HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_nothing_in_a_message_becomes_markup(wechat, api):
    """Titles, labels, values, urls, names, account: all of it is text."""
    wechat.add_template(Template("X" * 43, HOSTILE, f"{HOSTILE}：{{{{result.DATA}}}}"))
    wechat.account.name = HOSTILE
    wechat.change_user(WANG, nickname=HOSTILE)
    program = {"appid": HOSTILE, "pagepath": HOSTILE}
    more = {"miniprogram": program, "url": f"https://a.example/{HOSTILE}"}
    api.send(template_id="X" * 43, data={"result": HOSTILE}, **more)
    for page in (chat(api).text, api.request("GET", "/").text):
        assert "&lt;script&gt;alert(1)" in page
        for tag, attrs in Elements(page).found:
            assert tag != "img"
            assert tag != "script" or attrs["src"] == "/assets/phone.js"
            assert not any(name.startswith("on") for name in attrs)


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "JavaScript:alert(1)", "data:text/html,x", "//a.example/"]
)
def test_only_web_addresses_become_links(api, url):
    """A card never links to a script, whoever shows it."""
    api.send(url=url)
    links = [attrs.get("href") for tag, attrs in Elements(chat(api).text).found if tag == "a"]
    assert url not in links


def test_no_page_runs_anything_inline(wechat, api):
    """A strict content security policy, and pages that keep to it."""
    api.send()
    for path in ("/", f"/phone/{WANG}/", f"/phone/{WANG}/scan/", "/nowhere/"):
        page = api.request("GET", path)
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "<style" not in page.text
        assert not re.search(r"<script(?! src)", page.text)
        assert not any("style" in attrs for _, attrs in Elements(page.text).found)


def test_style_and_script_are_served(api):
    """Every file a page names is there; nothing else is."""
    named = [
        attrs.get("src") or attrs.get("href")
        for tag, attrs in Elements(api.request("GET", "/").text).found
        if tag in ("link", "script")
    ]
    files = [name for name in named if name.startswith("/assets/")]
    assert len(files) == 4
    for name in files:
        assert api.request("GET", name).status_code == 200
    for name in ("/assets/", "/assets/people.html", "/assets/%2e%2e/server.py"):
        assert api.request("GET", name).status_code == 404


def test_a_page_asks_for_what_is_new(api):
    """204 as long as nothing has changed, else the new list and its version."""
    version = re.search(r'data-version="([^"]+)"', chat(api).text)[1]
    path = f"/phone/{WANG}/messages/"
    assert api.request("GET", path, params={"version": version}).status_code == 204
    api.send()
    answer = api.request("GET", path, params={"version": version})
    assert "订单支付成功通知" in answer.text
    assert answer.headers["X-Version"] != version
    people = api.request("GET", "/people/")
    again = api.request("GET", "/people/", params={"version": people.headers["X-Version"]})
    assert again.status_code == 204


def test_times_as_wechat_writes_them():
    """The nearer, the shorter; Beijing time."""
    now = 1_795_417_200.0  # Monday, 2026-11-23 15:00 in Beijing
    day = 86_400
    assert moment(now, now) == "15:00"
    assert moment(now - day, now) == "昨天 15:00"
    assert moment(now - 2 * day, now) == "星期六 15:00"
    assert moment(now - 7 * day, now) == "2026年11月16日 15:00"
    assert moment(now - day, now, short=True) == "昨天"


def test_a_time_is_shown_once_for_messages_of_one_minute(wechat, api):
    """The grey line comes back when the minute has changed."""
    wechat.advance(60 - wechat.state.clock.time() % 60)
    api.send()
    api.send()
    assert chat(api).text.count('class="wechat-time"') == 1
    wechat.advance(60)
    api.send()
    assert chat(api).text.count('class="wechat-time"') == 2


def test_a_chat_shows_the_last_fifty_messages(api):
    """A phone that got thousands stays quick."""
    for _ in range(51):
        api.send()
    assert chat(api).text.count('class="wechat-card"') == 50


def test_a_message_of_a_deleted_template_is_still_shown(wechat, api):
    """Its values stand under their keys."""
    api.send()
    wechat.remove_template(wechat.messages[0].template_id)
    page = text(chat(api).text)
    assert f"thing2 {ORDER['thing2']}" in page
    assert "[模板消息] 模板消息" in api.request("GET", "/").text


def test_an_openid_nobody_knows_has_a_phone_too(api):
    """It does not follow, and can."""
    for openid in ("oNobody", "o新 &?"):
        page = api.request("GET", f"/phone/{quote(openid)}/")
        assert "关注公众号" in page.text


def test_more_people_than_a_list_can_hold():
    """The list names how many are missing."""
    with Sandbox(users=[f"o{number}" for number in range(205)]) as wechat:
        page = requests.get(f"{wechat.url}/", timeout=60).text
    assert page.count('<a class="person"') == 200
    assert "还有 5 人" in page


def test_people_reached_without_being_followers_are_listed():
    """any_openid makes nobody a follower, yet the messages can be read."""
    with Sandbox(any_openid=True, users=[]) as wechat:
        client = Api(wechat)
        client.send("oStranger123456")
        page = client.request("GET", "/").text
        client.close()
    assert "/phone/oStranger123456/" in page


def test_following_and_unfollowing_on_the_phone(wechat, api):
    """取消关注 makes the next message fail with 43004; 关注公众号 brings the person back."""
    answer = api.request("POST", f"/phone/{WANG}/unfollow/")
    assert "收不到模板消息" in answer.text
    assert api.send()["errcode"] == 43004
    answer = api.request("POST", f"/phone/{WANG}/follow/")
    assert "取消关注" in answer.text
    assert api.send()["errcode"] == 0
    assert wechat.state.user(WANG).nickname == "王老师"


def test_another_site_cannot_press_the_buttons(wechat, api):
    """A form of another origin is refused; a GET changes nothing."""
    other = {"Origin": "https://evil.example"}
    answer = api.request("POST", f"/phone/{WANG}/unfollow/", headers=other)
    assert answer.status_code == 403
    assert api.request("GET", f"/phone/{WANG}/unfollow/").status_code == 404
    assert api.send()["errcode"] == 0
    hidden = {"Origin": "null"}
    assert api.request("POST", f"/phone/{WANG}/unfollow/", headers=hidden).status_code == 403
    assert chat(api).headers["Referrer-Policy"] == "same-origin"
    own = {"Origin": wechat.url}
    assert api.request("POST", f"/phone/{WANG}/unfollow/", headers=own).status_code == 200


def create_code(api: Api, scene: str = "bind-1") -> str:
    info = {"scene": {"scene_str": scene}}
    body = {"expire_seconds": 600, "action_name": "QR_STR_SCENE", "action_info": info}
    return api.post("/cgi-bin/qrcode/create", body)["ticket"]


def test_scanning_makes_a_follower(wechat, api):
    """扫一扫 lists the codes; scanning one makes a stranger follow."""
    assert "没有可以扫的二维码" in api.request("GET", f"/phone/{ZHOU}/scan/").text
    ticket = create_code(api, HOSTILE[:40])
    assert ticket in api.request("GET", f"/phone/{ZHOU}/scan/").text
    api.request("POST", f"/phone/{ZHOU}/scan/", data={"ticket": ticket})
    info = api.business_get("/cgi-bin/user/info", openid=ZHOU)
    assert (info["subscribe"], info["qr_scene_str"]) == (1, HOSTILE[:40])
    bad = api.request("POST", f"/phone/{ZHOU}/scan/", data={"ticket": "?"})
    assert bad.status_code == 404


def test_scanning_says_whose_phone_and_which_code(wechat, api, monkeypatch):
    """Two browsers show two codes: which is whose is told by the time, and by who has scanned."""
    made = {}
    for minute in (1, 3):
        at = datetime(2026, 11, 27, 15, minute, tzinfo=BEIJING).timestamp()
        monkeypatch.setattr(wechat.state.clock, "time", lambda at=at: at)
        made[minute] = create_code(api)
    first, second = made[1], made[3]
    page = api.request("GET", f"/phone/{WANG}/scan/").text
    assert "这是 王老师 的手机" in text(page)
    assert page.index(second) < page.index(first)
    assert re.findall(r"(\S+) 生成", text(page)) == ["15:03", "15:01"]
    assert text(page).count("还没有人扫过") == 2
    api.request("POST", f"/phone/{WANG}/scan/", data={"ticket": first})
    page = api.request("GET", f"/phone/{ZHOU}/scan/").text
    assert text(page).count("还没有人扫过") == 1
    assert "王老师 扫过" in text(page)
    assert "王老师 扫过" in api.request("GET", "/scan/", params={"ticket": first}).text


def test_a_code_opened_as_a_link_asks_who_scans_it(api):
    """It is what the QR code of the fake holds."""
    page = api.request("GET", "/scan/", params={"ticket": create_code(api)}).text
    assert "谁来扫这个二维码" in page
    assert f'action="/phone/{WANG}/scan/"' in page
    assert api.request("GET", "/scan/").status_code == 404


def test_pages_that_are_not_there(api):
    """A way back in plain words."""
    for path in ("/nowhere", "/phone/", "/phone/o1/nothing/", "/cgi-bin/unknown"):
        answer = api.request("GET", path)
        assert answer.status_code == 404, path
        assert "页面不存在" in answer.text
    assert api.request("GET", f"/phone/{WANG}").url.endswith(f"/phone/{WANG}/")


def test_a_person_without_a_nickname_goes_by_the_end_of_the_openid(wechat, api):
    """Something has to stand in the list."""
    wechat.follow(User("oNameless-abc123"))
    assert "abc123" in text(api.request("GET", "/").text)

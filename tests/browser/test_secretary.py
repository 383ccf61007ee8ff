"""A school secretary's day in Chinese: how many clicks each task takes, as docs/admin.md says.

Each task begins on the admin's first page. A click is a click; a field is one that is typed or
pasted into.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.utils import timezone

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP, follow
from tests.browser.school import FAMILIES, GIVEN, MEETING
from wechat_notify.binding.follow_state import subscribed
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sandbox import records
from wechat_notify.services import bind, notify

DOCS = Path(__file__).resolve().parents[2] / "docs"
COUNTED = {"admin.md": "## How many clicks it takes", "admin.zh-Hans.md": "## 要点几下"}
MOST = 8

PARENTS = 208
UNBOUND, GONE, JUST_GONE = range(5), range(5, 8), range(8, 10)
"""By place in the list: who has not bound WeChat, who is known not to follow the account, and of
whom that comes out when the message is sent."""
NO_TIME = PARENTS - 1
"""In whose row the time is none."""


@dataclass
class Hand:
    """Somebody at the keyboard of ``page``, whose clicks and typed fields are counted."""

    page: Any
    clicks: int = 0
    fields: int = 0

    def click(self, what: Any) -> None:
        self.clicks += 1
        what.click()

    def fill(self, what: Any, text: str) -> None:
        self.fields += 1
        what.fill(text)

    def link(self, name: str | re.Pattern[str]) -> None:
        self.clicks += 1
        follow(self.page.get_by_role("link", name=name).first)

    def button(self, name: str) -> None:
        """One that leads to another page."""
        self.clicks += 1
        follow(self.page.get_by_role("button", name=name))


@dataclass
class Day:
    """A secretary's day: what each task took."""

    page: Any
    site: str

    def __post_init__(self) -> None:
        self.took: list[tuple[int, int]] = []

    @contextmanager
    def task(self) -> Iterator[Hand]:
        """One task, from the admin's first page."""
        self.page.goto(f"{self.site}/admin/")
        hand = Hand(self.page)
        yield hand
        self.took.append((hand.clicks, hand.fields))


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with Django's admin, in Chinese."""
    settings.ROOT_URLCONF = "tests.compose_site"
    settings.LANGUAGE_CODE = "zh-hans"
    # Receipts would come while a page is at work, and share its connection to the database.
    wechat.account.callback_url = ""
    # What the browser keeps open may end after the server, and then gives its database back.
    connection.inc_thread_sharing()
    get_user_model().objects.create_superuser("mishu", first_name="秘书")
    return site


@pytest.fixture
def template(transactional_db: None, wechat: Any) -> MessageTemplate:
    made = factories.make_template(
        "parents_meeting",
        template_id=MEETING.template_id,
        title=MEETING.title,
        content=MEETING.content,
        example=MEETING.example,
    )
    wechat.add_template(factories.sandbox_template(made))
    return made


@pytest.fixture
def parents(template: MessageTemplate, wechat: Any) -> list[Any]:
    """208 of them by their full names; all but five have bound WeChat."""
    model = get_user_model()
    names = islice(product(FAMILIES, GIVEN), PARENTS)
    users = model.objects.bulk_create(
        model(username=f"parent{n}", last_name=family, first_name=given)
        for n, (family, given) in enumerate(names)
    )
    bound = [n for n in range(PARENTS) if n not in UNBOUND]
    OpenIDBinding.objects.bulk_create(
        OpenIDBinding(user=users[n], openid=factories.openid(n), subscribed=n not in GONE)
        for n in bound
    )
    for n in range(PARENTS):
        wechat.follow(records.User(factories.openid(n), name_of(users[n])))
    for n in (*GONE, *JUST_GONE):
        wechat.unfollow(factories.openid(n))
    return users


def name_of(user: Any) -> str:
    return f"{user.last_name}{user.first_name}"


def table(parents: list[Any]) -> str:
    """210 rows as a spreadsheet copies them; three are wrong: a time that is none, a name that
    nobody has, and somebody who has a row already."""
    times = [f"2026年12月4日 {14 + n // 60}:{n % 60:02d}" for n in range(PARENTS)]
    times[NO_TIME] = "下午放学后"
    rows = list(zip(map(name_of, parents), times, strict=True))
    rows[100:100] = [("欧阳小明", times[0]), (name_of(parents[20]), times[0])]
    return "\n".join("\t".join(row) for row in [("姓名", "会议时间"), *rows])


def fill_year(template: MessageTemplate) -> Notification:
    """What was sent in the months before; last month's about the sports day comes back."""
    now = timezone.now()
    for number in range(40):
        values = {"thing1": f"第{number}次家长会", "thing3": "各班教室", "thing4": "学生家长"}
        old = notify([], template, {**values, "time2": "2026年9月1日 15:30"})
        Notification.objects.filter(pk=old.pk).update(created_at=now - timedelta(days=90 - number))
    values = {"thing1": "秋季运动会说明会", "thing3": "操场", "thing4": "学生家长"}
    wanted = notify([], template, {**values, "time2": "2026年10月23日 15:30"})
    Notification.objects.filter(pk=wanted.pk).update(created_at=now - timedelta(days=30))
    return wanted


def plan(template: MessageTemplate, parents: list[Any]) -> Any:
    """What is to be sent tomorrow, to three of those who can be reached."""
    values = {"thing1": "家委会会议", "thing3": "会议室", "thing4": "家委会成员"}
    tomorrow = timezone.now() + timedelta(days=1)
    some = parents[20:23]
    return notify(some, template, {**values, "time2": "2026年12月5日 9:00"}, send_at=tomorrow)


def as_typed(moment: datetime) -> str:
    return timezone.localtime(moment).strftime("%Y-%m-%dT%H:%M")


def mend(parents: list[Any], wechat: Any) -> None:
    """Four bind WeChat, and three who had left follow the account again."""
    for n in list(UNBOUND)[:4]:
        bind(parents[n], factories.openid(n))
    now = timezone.now()
    for n in (*list(GONE)[:2], JUST_GONE[0]):
        wechat.follow(records.User(factories.openid(n), name_of(parents[n])))
        subscribed("default", factories.openid(n), happened_at=now)


def documented(page: str) -> list[tuple[int, int]]:
    """Clicks and fields of each task, as this page of docs/ has them in its table."""
    text = (
        (DOCS / page).read_text(encoding="utf-8").partition(COUNTED[page])[2].partition("\n## ")[0]
    )
    rows = re.findall(r"^\|[^|]+\| (\d+) \| (\d+) \|$", text, re.M)
    return [(int(clicks), int(fields)) for clicks, fields in rows]


@pytest.mark.timeout(300)
def test_a_secretarys_day(
    site: str, wechat: Any, template: MessageTemplate, parents: list[Any], open_browser: Any
) -> None:
    """A table of 210 is sent, without the three rows that are wrong; the reasons why eleven were
    not reached are read; ten of them get an invitation on paper; seven of them are written to again
    once they can be; tomorrow's message gets another time; and last month's is found by a word."""
    wanted, planned = fill_year(template), plan(template, parents)
    page = open_browser({**DESKTOP, "locale": "zh-CN"}, "mishu")
    day = Day(page, site)

    with day.task() as hand:
        hand.link("编写并发送")
        hand.button("使用“家长会通知”")
        hand.fill(page.get_by_label("会议主题", exact=True), "期中家长会")
        hand.fill(page.get_by_label("会议地点", exact=True), "各班教室")
        hand.fill(page.get_by_label("参加人员", exact=True), "学生家长")
        hand.click(page.get_by_text("使用表格，每人一行"))
        hand.fill(page.get_by_label("从电子表格粘贴"), table(parents))
        hand.button("下一步：确认")
        for wrong in ("“欧阳小明” ", f"“{name_of(parents[20])}” ", "下午放学后"):
            page.get_by_text(wrong).wait_for()
        hand.button("不发给这些人")
        hand.button("立即发送 199 条消息")
        page.get_by_role("progressbar").wait_for()
    with DATABASE:
        sent = Notification.objects.latest("pk")
        counts = {status: n for status, n in sent.counts.items() if n}
    assert counts == {"sent": 197, "failed": 2, "skipped": 9}
    assert len(wechat.messages) == 197

    with day.task() as hand:
        hand.link("模板消息通知")
        hand.link(re.compile("期中家长会"))
        causes = page.locator(".wechat-causes")
        for reason in ("未绑定微信", "未关注", "下午放学后"):
            causes.get_by_text(reason).first.wait_for()
        rows = causes.locator("tbody .wechat-number").all_inner_texts()
    assert sum(map(int, rows)) == 11

    with day.task() as hand:
        hand.link("模板消息通知")
        hand.link(re.compile("期中家长会"))
        hand.link("邀请所有发不到的人")
        hand.button("制作 10 份邀请")
        cards = page.get_by_role("img", name=re.compile("二维码"))
        cards.first.wait_for()
        assert cards.count() == 10
        page.evaluate("window.print = () => { document.title = '已打印'; }")
        hand.click(page.get_by_role("button", name="打印"))
        assert page.title() == "已打印"

    with DATABASE:
        mend(parents, wechat)
    with day.task() as hand:
        hand.link("模板消息通知")
        hand.link(re.compile("期中家长会"))
        hand.link("重发其中可重发的 7 条")
        page.get_by_text("未送达的 11 条中，现在能送达 7 条。").wait_for()
        assert page.locator(".wechat-left-out").count() == 3
        hand.button("重发 7 条消息")
        page.get_by_text("已重发 7 条消息").wait_for()
    with DATABASE:
        again = SendLog.objects.filter(notification__source="resend")
        assert {log.user.username for log in again.select_related("user")} == {
            f"parent{n}" for n in (0, 1, 2, 3, 5, 6, 8)
        }
    assert len(wechat.messages) == 197 + 7

    with day.task() as hand:
        hand.link("模板消息通知")
        hand.link(re.compile("家委会"))
        hand.link("调整发送时间")
        hand.fill(page.locator("[name=send_at]"), as_typed(planned.send_at + timedelta(days=1)))
        hand.button("调整发送时间")
        page.get_by_text("有 3 条消息将在").wait_for()

    with day.task() as hand:
        hand.link("模板消息通知")
        hand.fill(page.locator("#searchbar"), "运动会")
        hand.button("搜索")
        hand.link(re.compile("秋季运动会说明会"))
        page.get_by_text("2026年10月23日 15:30").first.wait_for()
    assert f"/notification/{wanted.pk}/change/" in page.url

    assert max(clicks for clicks, _fields in day.took) <= MOST
    for name in COUNTED:
        assert documented(name) == day.took, name

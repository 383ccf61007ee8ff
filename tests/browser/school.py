"""A school and its bookshop in the middle of a term, the same every time: for pictures of pages
that look like somebody's work.

Their WeChat and their rows here come from the same lists. Nothing is random but by a fixed seed,
and it is always the same Wednesday morning.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from tests import factories
from wechat_notify.admin.compose.criteria import Criteria
from wechat_notify.models import (
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from wechat_notify.sandbox import records, samples
from wechat_notify.sandbox.faults import SEND_PATH
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.writing.recipients import NOT_BOUND, NOT_FOLLOWING

NOW = datetime(2026, 11, 25, 10, 24, tzinfo=ZoneInfo("Asia/Shanghai"))
SCHOOL, BOOKSHOP = "school", "bookshop"
DIRECTOR = "chenmin"
"""Who sits in front of the admin."""
HEAD = "zhaojianguo"
"""Has not bound WeChat yet."""

Status = SendLog.Status

_seeded = random.Random(20261125)


def _letters(count: int) -> str:
    return "".join(
        _seeded.choices("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789", k=count)
    )


# -- templates ----------------------------------------------------------------------------------

MEETING = records.Template(
    "Pm4Wq8Zt2kRn6xYb1sVd9fHj3cLa7uEoGi5KwNrXyTs",
    "家长会通知",
    "会议主题：{{thing1.DATA}}\n会议时间：{{time2.DATA}}\n会议地点：{{thing3.DATA}}\n"
    "参加人员：{{thing4.DATA}}",
    "会议主题：期中家长会\n会议时间：2026年11月27日 15:30\n会议地点：各班教室\n参加人员：学生家长",
)
FEE = records.Template(
    "Fe7Tn3Ck9mWq2xRb8sYd5hGj1cPa4uEoVi6KzNoXyLt",
    "缴费通知",
    "缴费项目：{{thing1.DATA}}\n缴费金额：{{amount2.DATA}}\n截止时间：{{time3.DATA}}\n"
    "学生姓名：{{name4.DATA}}",
    "缴费项目：12月份午餐费\n缴费金额：260.00元\n截止时间：2026年11月30日 18:00\n学生姓名：李小明",
)
MARKS = records.Template(
    "Mk2Vy6Sr8tLq4xWb7nZd1fHj9cGa5uEoBi3KwPnXyDe",
    "成绩发布通知",
    "考试名称：{{thing1.DATA}}\n学生姓名：{{name2.DATA}}\n发布时间：{{time3.DATA}}",
    "考试名称：期中考试\n学生姓名：李小明\n发布时间：2026年11月20日 17:00",
    banned=True,
)
OLD_CLOSURE = records.Template(
    "Cs9Hf4Gx7kWn2mQb6sTd8rLj1vZa3uEoYi5KpNrXcJe",
    "停课通知",
    "停课班级：{{thing1.DATA}}\n停课时间：{{time2.DATA}}\n停课原因：{{thing3.DATA}}",
    "停课班级：全校\n停课时间：2026年9月11日\n停课原因：台风红色预警",
)
CLUB = records.Template(
    "Cb3Lz7Mk1tRq9xWn4sVd6fHj2cYa8uEoPi5KwGnXyTe",
    "活动报名成功通知",
    "活动名称：{{thing1.DATA}}\n活动时间：{{time2.DATA}}\n活动地点：{{thing3.DATA}}",
    "活动名称：机器人社团体验课\n活动时间：2026年12月2日 16:10\n活动地点：科技楼 302",
)
ARRIVED = records.Template(
    "Ar6Bk2Xs8nTq3mWb9sYd4hGj7cLa1uEoZi5KwVrQyPe",
    "到货通知",
    "商品名称：{{thing1.DATA}}\n到货数量：{{number2.DATA}}\n取货地点：{{thing3.DATA}}",
    "商品名称：《昆虫记》\n到货数量：40\n取货地点：校门口书店",
)
BY_ID = {template.template_id: template for template in samples.templates()}
LEAVE, DECIDED, ORDER, APPOINTMENT = (
    BY_ID[template_id]
    for template_id in (
        samples.LEAVE_TEMPLATE_ID,
        samples.LEAVE_RESULT_TEMPLATE_ID,
        samples.ORDER_TEMPLATE_ID,
        samples.APPOINTMENT_TEMPLATE_ID,
    )
)
NAMES = {
    SCHOOL: {
        "parents_meeting": MEETING,
        "fee_due": FEE,
        "leave_requested": LEAVE,
        "leave_decided": DECIDED,
        "appointment_made": APPOINTMENT,
        "marks_published": MARKS,
        "school_closed": OLD_CLOSURE,
    },
    BOOKSHOP: {"order_paid": ORDER, "book_arrived": ARRIVED},
}
LISTED = {
    SCHOOL: [MEETING, FEE, LEAVE, DECIDED, APPOINTMENT, MARKS, CLUB],
    BOOKSHOP: [ORDER, ARRIVED],
}
"""What WeChat has: without the closure, which somebody deleted there, and with a club that nobody
has fetched yet."""

_STATES: Mapping[str, dict[str, Any]] = {
    "fee_due": {
        "url": "https://www.yangguang.example/fees/",
        "notes": "财务室每月 20 日发送。学生姓名填孩子的，不填家长的。",
        "content": FEE.content.replace("截止时间", "缴费时间"),
        "example": FEE.example.replace("截止时间", "缴费时间"),
    },
    "marks_published": {"paused_at": NOW - timedelta(days=4, hours=2), "pause_errcode": 43116},
    "school_closed": {"is_active": False, "missing_since": NOW - timedelta(days=52)},
    "leave_decided": {"content_changed_at": NOW - timedelta(days=1, hours=3)},
    "order_paid": {
        "miniprogram_appid": "wx7d2a6f0c31b85e94",
        "miniprogram_pagepath": "pages/order/index",
    },
}


def register_templates() -> dict[str, MessageTemplate]:
    """The rows of both accounts, by the name that code uses."""
    return {
        name: MessageTemplate.objects.create(
            account=account,
            name=name,
            template_id=template.template_id,
            title=template.title,
            **{
                "content": template.content,
                "example": template.example,
                "synced_at": NOW - timedelta(days=1, hours=3),
                **_STATES.get(name, {}),
            },
        )
        for account, templates in NAMES.items()
        for name, template in templates.items()
    }


# -- people -------------------------------------------------------------------------------------

FAMILIES = {
    "王": "wang", "李": "li", "张": "zhang", "刘": "liu", "陈": "chen", "杨": "yang",
    "黄": "huang", "赵": "zhao", "吴": "wu", "周": "zhou", "徐": "xu", "孙": "sun", "马": "ma",
    "朱": "zhu", "胡": "hu", "林": "lin", "郭": "guo", "何": "he",
}  # fmt: skip
GIVEN = {
    "丽华": "lihua", "建军": "jianjun", "晓燕": "xiaoyan", "志强": "zhiqiang",
    "秀英": "xiuying", "海波": "haibo", "雪梅": "xuemei", "文斌": "wenbin", "玉兰": "yulan",
    "国庆": "guoqing", "静": "jing", "磊": "lei", "婷婷": "tingting", "永刚": "yonggang",
    "佳怡": "jiayi", "俊杰": "junjie",
}  # fmt: skip

THIRD_GRADE = "三年级家长"
GROUPS = {THIRD_GRADE: 128, "四年级家长": 96, "家委会": 12, "教职工": 30}

UNBOUND = (5, 60, 77, 116, 124)
GONE = (11, 66, 121)
"""By place in the list of people: who has not bound WeChat, and who is known to have unfollowed."""
JUST_GONE, REFUSING, BUSY, BLOCKING = (3, 41, 119), (17,), (9, 22, 58, 126), (30, 118)
"""And of whom it comes out while the message is sent: they have unfollowed, refuse it, meet a busy
WeChat, or have blocked the account."""


@dataclass(frozen=True)
class People:
    """Everybody, in the order of the school's list; ``openids`` by place in it."""

    users: list[Any]
    openids: dict[int, str]

    def openid(self, place: int) -> str:
        return self.openids[place]


def _names() -> Iterator[tuple[str, str]]:
    """(family name, given name), no two alike and well mixed."""
    pairs = list(product(FAMILIES, GIVEN))
    random.Random(3).shuffle(pairs)
    yield from pairs


def enrol() -> People:
    """Users in their groups, and the bindings of those who have one."""
    _seeded.seed(20261125)
    model = get_user_model()
    users = model.objects.bulk_create(
        model(
            username=FAMILIES[family] + GIVEN[given],
            last_name=family,
            first_name=given,
            email=f"{FAMILIES[family]}.{GIVEN[given]}@mail.example",
        )
        for (family, given), _place in zip(_names(), range(sum(GROUPS.values())), strict=False)
    )
    rest = iter(users)
    for name, size in GROUPS.items():
        Group.objects.create(name=name).user_set.add(*(next(rest) for _member in range(size)))
    director = factories.make_user(
        DIRECTOR, last_name="陈", first_name="敏", is_staff=True, is_superuser=True
    )
    factories.make_user(HEAD, last_name="赵", first_name="建国")
    openids = {
        place: f"oYgXx5{_letters(22)}" for place in range(len(users)) if place not in UNBOUND
    }
    people = People([*users, director], openids | {len(users): f"oYgXx5{_letters(22)}"})
    _bind(people)
    return people


def _bind(people: People) -> None:
    sources = ["qr", "qr", "qr", "oauth", "oauth", "import"]
    bindings = OpenIDBinding.objects.bulk_create(
        OpenIDBinding(
            account=SCHOOL,
            user=people.users[place],
            openid=openid,
            source=_seeded.choice(sources),
            subscribed=place not in GONE,
            follow_changed_at=NOW - timedelta(days=place % 9 + 1) if place in GONE else None,
            unreachable_errcode=43004 if place == GONE[0] else None,
        )
        for place, openid in people.openids.items()
    )
    for number, binding in enumerate(bindings):
        day = NOW - timedelta(days=140 - number // 2)
        binding.created_at = day.replace(hour=8 + number % 11, minute=number * 7 % 60)
    OpenIDBinding.objects.bulk_update(bindings, ["created_at"])


def tell_wechat(school: Sandbox, people: People) -> None:
    """Who follows the account in truth, and what WeChat answers about whom."""
    school.remove_template(ORDER.template_id)
    for template in LISTED[SCHOOL]:
        school.add_template(template)
    for place, openid in people.openids.items():
        user = people.users[place]
        school.follow(records.User(openid, f"{user.last_name}{user.first_name}"))
    for place in (*GONE, *JUST_GONE):
        school.unfollow(people.openid(place))
    for place in REFUSING:
        school.change_user(people.openid(place), refuses=43101)
    for place in BLOCKING:
        school.change_user(people.openid(place), receipt="failed:user block")
    for place in BUSY:
        school.fail(-1, openid=people.openid(place), times=None)


def save_recipients(people: People) -> None:
    """What the director has put together for the next messages."""
    groups = {group.name: str(group.pk) for group in Group.objects.all()}
    some = tuple(str(user.pk) for user in people.users[40:58])
    saved = {
        "三、四年级全体家长": Criteria(groups=(groups[THIRD_GRADE], groups["四年级家长"])),
        "家委会和班主任": Criteria(groups=(groups["家委会"],), users=some[:6]),
        "2 号校车乘车学生家长": Criteria(users=some),
    }
    director = get_user_model().objects.get(username=DIRECTOR)
    for name, criteria in saved.items():
        RecipientFilter.objects.create(
            account=SCHOOL, name=name, criteria=criteria.as_json(), created_by=director
        )
    RecipientFilter.objects.update(created_at=NOW - timedelta(days=33, hours=1))


# -- a month of messages ------------------------------------------------------------------------

ENDINGS: dict[tuple[Status, int | None, str, str], int] = {
    # (status, errcode, errmsg, receipt): how many in a thousand
    (Status.DELIVERED, 0, "ok", "success"): 934,
    (Status.SKIPPED, None, NOT_BOUND, ""): 19,
    (Status.FAILED, 43004, "require subscribe", ""): 14,
    (Status.UNDELIVERED, 0, "ok", "failed:user block"): 11,
    (Status.SKIPPED, None, NOT_FOLLOWING, ""): 9,
    (Status.FAILED, 43101, "user refuse to accept the msg", ""): 5,
    (Status.FAILED, -1, "system error", ""): 4,
    (Status.FAILED, 47003, "argument invalid! data.thing1.value invalid", ""): 3,
    (Status.UNCERTAIN, None, "", ""): 1,
}
# Template, source, how many recipients at least and at most, and the hour.
DAILY = (
    ("leave_requested", Notification.Source.SIGNAL, (2, 2), 8),
    ("leave_decided", Notification.Source.SIGNAL, (1, 1), 9),
    ("order_paid", Notification.Source.CODE, (1, 1), 9),
    ("appointment_made", Notification.Source.CODE, (14, 40), 7),
)
WEEKLY = {
    0: ("fee_due", Notification.Source.ADMIN, (110, 128), 10),
    3: ("parents_meeting", Notification.Source.ADMIN, (60, 96), 16),
    4: ("marks_published", Notification.Source.ADMIN, (90, 128), 17),
}
DATA: dict[str, dict[str, str]] = {
    "leave_requested": {
        "name1": "李晓燕", "const2": "事假", "time3": "2026年11月26日 08:00",
        "time4": "2026年11月26日 17:30", "thing5": "带孩子去医院复查",
    },
    "leave_decided": {
        "name1": "李晓燕", "phrase2": "已同意", "name3": "陈敏", "time4": "2026年11月25日 09:12",
        "thing5": "祝孩子早日康复",
    },
    "order_paid": {
        "character_string1": "20261125091800017", "thing2": "秋季校服一套", "amount3": "139.80元",
        "time4": "2026年11月25日 09:18",
    },
    "appointment_made": {
        "thing1": "家长开放日", "time2": "2026年11月28日 09:00~11:30", "thing3": "图书馆二楼报告厅",
        "phone_number4": "0766-66888866",
    },
    "fee_due": {
        "thing1": "12月份午餐费", "amount2": "260.00元", "time3": "2026年11月30日 18:00",
        "name4": "三年级学生",
    },
    "parents_meeting": {
        "thing1": "期中家长会", "time2": "2026年11月27日 15:30", "thing3": "各班教室",
        "thing4": "三年级全体家长",
    },
    "marks_published": {
        "thing1": "期中考试", "name2": "三年级学生", "time3": "2026年11月20日 17:00",
    },
}  # fmt: skip


def fill_month(templates: Mapping[str, MessageTemplate], people: People) -> None:
    """Thirty days of notifications with their rows, today's included."""
    director = get_user_model().objects.get(username=DIRECTOR)
    notifications, rows = [], []
    for when, name, source, size in _occasions():
        notification = Notification(
            template=templates[name],
            data=DATA[name],
            source=source,
            created_by=director if source == Notification.Source.ADMIN else None,
        )
        notification.created_at = when
        notifications.append(notification)
        rows += [_row(notification, people, when) for _recipient in range(size)]
    moments = [notification.created_at for notification in notifications]
    Notification.objects.bulk_create(notifications)
    for notification, moment in zip(notifications, moments, strict=True):
        notification.created_at = moment  # which creating it has overwritten
    Notification.objects.bulk_update(notifications, ["created_at"])
    SendLog.objects.bulk_create(rows)


def _occasions() -> Iterator[tuple[datetime, str, str, int]]:
    """When, which template, from where, to how many; the oldest first."""
    for ago in range(29, -1, -1):
        day = (NOW - timedelta(days=ago)).replace(minute=0)
        if day.weekday() > 4:
            continue
        weekly = [WEEKLY[day.weekday()]] if day.weekday() in WEEKLY else []
        planned = [
            (day.replace(hour=hour, minute=_seeded.randrange(60)), name, source, size)
            for name, source, size, hour in (*DAILY, *weekly)
        ]
        for when, name, source, size in sorted(planned):
            if when < NOW:
                yield when, name, source, _seeded.randint(*size)


def _row(notification: Notification, people: People, when: datetime) -> SendLog:
    ending = _seeded.choices(list(ENDINGS), weights=list(ENDINGS.values()))[0]
    status, errcode, errmsg, receipt = ending
    place = _seeded.choice(list(people.openids))
    reached = receipt != ""
    tried = status != Status.SKIPPED
    took = timedelta(seconds=_seeded.randrange(2, 9))
    rid = (
        f"{int(when.timestamp()):08x}-{_seeded.randrange(16**8):08x}-{_seeded.randrange(16**8):08x}"
    )
    return SendLog(
        notification=notification,
        account=notification.template.account,
        user=people.users[place],
        openid=people.openids[place] if errmsg != NOT_BOUND else "",
        status=status,
        attempts=int(tried),
        errcode=errcode,
        errmsg=f"{errmsg} rid: {rid}" if errcode else errmsg,
        rid=rid if errcode else "",
        msgid=4_120_318_000_000_000_000 + _seeded.randrange(10**15) if reached else None,
        claimed_at=when + took if tried else None,
        sent_at=when + took if reached else None,
        finished_at=when + took if tried else when,
        receipt_at=when + 2 * took if reached else None,
        receipt_status=receipt,
    )


def use_quota(school: Sandbox) -> None:
    """Let WeChat have counted what was sent this morning."""
    midnight = NOW.replace(hour=0, minute=0)
    today = SendLog.objects.filter(notification__created_at__gte=midnight, account=SCHOOL)
    for _message in range(today.filter(attempts__gt=0).count()):
        school.state.traffic.spend(SEND_PATH)


def set_clock(monkeypatch: Any, *sandboxes: Sandbox) -> None:
    """Make it ``NOW``, and let time go on from there, for Django and for the fake WeChat."""
    ahead = NOW - datetime.now(NOW.tzinfo)
    real = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: real() + ahead)
    for sandbox in sandboxes:
        sandbox.advance(ahead.total_seconds())

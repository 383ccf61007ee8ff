"""The school's library, which lends books: for pictures of rules in their readers' words."""

from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model

from tests.browser.school import NOW, SCHOOL
from tests.library.models import Loan
from wechat_notify.models import MessageTemplate, OpenIDBinding
from wechat_notify.rules import allow, allowed
from wechat_notify.rules.models import Rule

CONTENT = "书名：{{thing1.DATA}}\n借书人：{{name2.DATA}}\n取书地点：{{thing3.DATA}}"
BOOKS = ("昆虫记", "小王子", "城南旧事", "海底两万里", "中国古代神话", "繁星·春水")
CHINESE = {
    "fields": {
        "status": "状态",
        "title": "书名",
        "number": "借阅编号",
        "copies": "册数",
        "due_on": "归还日期",
        "is_lost": "已丢失",
        "borrower": "借书人",
        "branch__name": "馆名",
    },
    "recipients": {
        "borrower": "借书人",
        "branch__librarians": "管理员",
        "watchers": "班主任",
    },
}
STATES = [("wanted", "已预约"), ("ready", "可以取书"), ("lent", "已借出"), ("back", "已归还")]


def speak_chinese(monkeypatch: Any) -> None:
    """What a Chinese school's own code says of its loans, until the test ends."""
    meta, before = Loan._meta, allowed.allowed_for("library.loan")
    monkeypatch.setattr(meta, "verbose_name", "借阅")
    monkeypatch.setattr(meta, "verbose_name_plural", "借阅")
    monkeypatch.setattr(meta.get_field("status"), "choices", STATES)
    monkeypatch.setitem(allowed._allowed, "library.loan", before)  # and it is put back
    allow(Loan, **CHINESE, link="get_absolute_url")


def lend_books() -> Rule:
    """Some books are there for those who have asked for them, and a rule that would tell them."""
    template = MessageTemplate.objects.create(
        account=SCHOOL,
        name="book_ready",
        template_id="Bk4Rd8Yz2wQn6xTb1sVf9hHj3cLa7uEoGi5KmNrXpTs",
        title="取书通知",
        content=CONTENT,
        synced_at=NOW,
    )
    bound = OpenIDBinding.objects.filter(account=SCHOOL, subscribed=True).order_by("pk")
    users = get_user_model().objects.filter(pk__in=bound.values("user")).order_by("pk")
    for number, (title, user) in enumerate(zip(BOOKS, users[40:], strict=False)):
        Loan.objects.create(
            borrower=user,
            title=title,
            number=f"2026112{number}",
            status="ready",
            due_on=(NOW + timedelta(days=14)).date(),
        )
    return Rule.objects.create(
        name="取书通知",
        model="library.loan",
        event="changed",
        field="status",
        value="ready",
        conditions={
            "match": "all",
            "tests": [{"field": "is_lost", "op": "is", "value": "False"}],
        },
        recipients=[{"path": "borrower"}],
        template=template,
        texts={
            "thing1": "{{ object.title }}",
            "name2": "{{ user.get_full_name }}",
            "thing3": "图书馆一楼服务台",
        },
        most_a_day=3,
    )

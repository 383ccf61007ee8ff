"""One Chinese word for one thing: the words of WeChat's console, and none beside them.

A text that needs a forbidden word is named as an exception, with why.
"""

import re
from dataclasses import dataclass, field

import pytest
from django.utils import translation

from tests.test_locale import CATALOGUE, PLACEHOLDER, ROOT, read
from wechat_notify.models import MessageTemplate, Notification, RecipientFilter


@dataclass(frozen=True)
class Word:
    """``use`` is the word; what matches ``never`` means the same, except in the texts named."""

    use: str
    never: str
    exceptions: dict[str, str] = field(default_factory=dict)


COMMANDS = "said by a command to whoever runs the site"
EXPIRY = "until when something holds good"

WORDS = (
    Word("对方", "此人|此用户|该用户|这个人"),
    Word("未关注", "(?<!还)没有关注"),
    Word("姓名", "全名"),
    Word("电子邮箱", "(?<!电子)邮箱|邮件地址"),
    Word("邮件", "电子邮件|电邮"),
    Word("告警", "警报|报警"),
    Word("你", "您"),
    Word("网站", "站点|本网站"),
    Word("编写", "撰写"),
    Word("常用接收人", "收件人|保存的接收人"),
    Word("最晚发送时间", "过期时间|失效时间"),
    Word(
        "启用",
        "有效|激活",
        {
            "This is not an openid.": "the openid itself is none",
            "This is not a unionid.": "the unionid itself is none",
            "WeChat gave no usable answer.": "an answer is not switched on",
            "This page goes on by itself. The code is for you alone, and good for ten minutes.": (
                EXPIRY
            ),
            "You scan a code with WeChat on your phone. It is for you alone, and good for ten "
            "minutes.": EXPIRY,
        },
    ),
    Word("错误码", "[Ee]rrcode"),
    Word("请求编号（rid）、消息编号（msgid）", r"(?<![（a-z])(?:rid|msgid)\b"),
    Word("公众号的名称", "别名|ACCOUNTS"),
    # A person pauses a notification; an account that WeChat has stopped is at rest.
    Word("公众号休息", "公众号[^，。：；]*暂停"),
    Word("10 分钟", "十分钟"),
    Word(
        "发送进程",
        "worker|发送程序",
        dict.fromkeys(
            (
                "Worker: wechat_deliver is at work.",
                "Worker: not known. A worker's sign of life is in its own cache.",
                "Worker: wechat_deliver was not seen within a week.",
                "Worker: wechat_deliver was last seen %(ago)s ago.",
                "Messages: %(count)d left behind by a worker that was stopped.",
                "The next run of a worker takes them.",
                "The reminder has arrived, with no worker and no cron.",
                "Start the workers of the task queue. What a lost task has left behind, "
                "manage.py wechat_deliver sends.",
            ),
            COMMANDS,
        ),
    ),
)


@pytest.mark.parametrize("word", WORDS, ids=lambda word: word.use)
def test_one_word_for_one_thing(word: Word) -> None:
    """No translation uses another word for what has one; and no exception is left over."""
    found = [
        entry.words["msgid"]
        for package in ("wechat_notify", "wechat_notify/rules", "demo_project")
        for entry in read(ROOT / package / CATALOGUE)
        if re.search(word.never, PLACEHOLDER.sub("", entry.chinese))
    ]
    assert sorted(found) == sorted(word.exceptions)


@pytest.mark.parametrize(
    ("model", "name", "label"),
    [
        (RecipientFilter, "name", "名称"),
        (MessageTemplate, "name", "名称"),
        (MessageTemplate, "is_active", "启用"),
        (MessageTemplate, "content", "详细内容"),
        (Notification, "expires_at", "最晚发送时间"),
    ],
)
def test_fields_have_the_consoles_names(model: type, name: str, label: str) -> None:
    """Also where a text of Django's own has another translation."""
    with translation.override("zh-hans"):
        assert str(model._meta.get_field(name).verbose_name) == label  # type: ignore[attr-defined]

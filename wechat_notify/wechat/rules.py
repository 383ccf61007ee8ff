"""What a value of each documented type has to be. Data, each rule with WeChat's own words.

Source: the table 订阅消息参数值内容限制说明 on the page "发送订阅消息" of developers.weixin.qq.com
(quoted in Chinese beside each rule); the category-template page lists thing, character_string,
time, amount, phone_number, car_number and const with the same values. A value that keeps every
rule here may still be refused: WeChat checks more than it documents.
"""

import dataclasses
import datetime
import functools
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

from .text import CONTROL, count, shorten

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

# Ideographs, with 〇 and 々, which people write among them.
_HAN = (
    "\u3005\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f\U00030000-\U000323af"
)

_EMPTY = _("is empty; must be %(rule)s")
_CONTROLS = _("has a line break or another control character; must be %(rule)s")
_TOO_LONG = _("must be %(rule)s; this has %(count)d")
_OTHER = _("must be %(rule)s; given “%(text)s”")


def _anything(text: str) -> bool:
    return True


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """What a value of one type has to be.

    ``message`` completes "must be …" and can stand alone in a form; ``limit`` is the most that
    ``measure`` may give, for a live counter (None: the rule is not about length). A rule that
    does not refuse describes what WeChat shows of a value, not what it takes.
    """

    message: "StrPromise"
    accepts: Callable[[str], object] = dataclasses.field(default=_anything, repr=False)
    limit: int | None = None
    measure: Callable[[str], int] = dataclasses.field(default=count, repr=False)
    may_be_empty: bool = False
    refuses: bool = True

    def check(self, text: str) -> str | None:
        """What is wrong with ``text``, in the active language; None if nothing is."""
        # 47003 "data.thing1.value is empty" is a real answer (docs/wechat-api.md, 2.2).
        # A blank is no Chinese, digit, letter or symbol, so blanks alone count as empty.
        if not text.strip():
            return None if self.may_be_empty else str(_EMPTY % {"rule": self.message})
        if CONTROL.search(text):
            return str(_CONTROLS % {"rule": self.message})
        if self.limit is not None and (size := self.measure(text)) > self.limit:
            return str(_TOO_LONG % {"rule": self.message, "count": size})
        if not self.accepts(text):
            return str(_OTHER % {"rule": self.message, "text": shorten(text, 20)})
        return None


def _count_digits(text: str) -> int:
    return len(text) - text.count(".")


def _form(expression: str) -> Callable[[str], "re.Match[str] | None"]:
    """Matches a whole text. Compiled when first used: a millisecond each where Han is part of it,
    which every start of Django would take otherwise.
    """
    return functools.partial(re.fullmatch, expression)


def _is_name(text: str) -> bool:
    longest = 10 if re.search(f"[{_HAN}]", text) else 20
    return count(text) <= longest and not re.search(r"\d", text)


_CLOCK = _form(r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9])?")
# "y年m月d日，y年m月、m月d日格式，或者用‘-’、‘/’、‘.’符号连接，如2018-01-01，2018-01，01-01"
_DATES = (
    _form(r"(?P<year>[0-9]{4})年(?P<month>[0-9]{1,2})月(?:(?P<day>[0-9]{1,2})日)?"),
    _form(r"(?P<month>[0-9]{1,2})月(?P<day>[0-9]{1,2})日"),
    _form(
        r"(?P<year>[0-9]{4})(?P<sign>[-/.])(?P<month>[0-9]{1,2})(?:(?P=sign)(?P<day>[0-9]{1,2}))?"
    ),
    _form(r"(?P<month>[0-9]{1,2})[-/.](?P<day>[0-9]{1,2})"),
)


def _is_date(text: str) -> bool:
    for form in _DATES:
        if match := form(text):
            # Without a year, any leap year will do: 29 February exists.
            parts = {"year": "2000", "day": "1"}
            parts.update({k: v for k, v in match.groupdict().items() if v is not None})
            try:
                datetime.date(int(parts["year"]), int(parts["month"]), int(parts["day"]))
            except ValueError:
                return False
            return True
    return False


def _moment(text: str) -> tuple[bool, bool]:
    """Whether ``text`` has a date and a clock time: (False, False) if it is neither."""
    first, blank, second = text.partition(" ")
    if blank:
        both = _is_date(first) and _CLOCK(second) is not None
        return both, both
    return _is_date(first), _CLOCK(first) is not None


def _is_time(text: str) -> bool:
    # A date alone is refused: "24小时制时间格式（支持+年月日）" wants a time and allows a date.
    moments = [_moment(part) for part in text.split("~", 2)]
    return len(moments) <= 2 and all(clock for _date, clock in moments)


def _is_day(text: str) -> bool:
    # The second end may be a time of the same day, as in 10月1日 08:00~12:00.
    moments = [_moment(part) for part in text.split("~", 2)]
    return len(moments) <= 2 and moments[0][0] and all(any(moment) for moment in moments)


RULES: Mapping[str, Rule] = {
    # "20个以内字符，可汉字、数字、字母或符号组合"
    "thing": Rule(_("at most 20 characters"), limit=20),
    # "32位以内数字，只能数字，可带小数"; the point is no digit, and a sign is not allowed for.
    "number": Rule(
        _("a number of at most 32 digits, decimals allowed"),
        _form(r"[0-9]+(?:\.[0-9]+)?"),
        limit=32,
        measure=_count_digits,
    ),
    # "32位以内字母，只能字母"
    "letter": Rule(
        _("at most 32 letters and nothing else"),
        _form(rf"[^\W\d_{_HAN}]+"),
        limit=32,
    ),
    # "5位以内符号，只能符号"; symbols are the common signs other than Chinese, letters and digits.
    "symbol": Rule(_("at most 5 symbols and nothing else"), _form(r"(?:[^\w\s]|_)+"), limit=5),
    # "32位以内数字、字母或符号"; Chinese gives 47003 (docs/wechat-api.md, 2.5).
    "character_string": Rule(
        _("at most 32 letters, digits or symbols, without Chinese characters"),
        _form(f"[^{_HAN}]+"),
        limit=32,
    ),
    # "24小时制时间格式（支持+年月日），支持填时间段，两个时间点之间用“~”符号连接";
    # HH:MM:SS or HH:MM
    "time": Rule(
        _("a 24-hour time such as 15:01 or 2019年10月1日 15:01, or two of them joined by ~"),
        _is_time,
    ),
    # "年月日格式（支持+24小时制时间），支持填时间段，两个时间点之间用“~”符号连接"
    "date": Rule(
        _("a date such as 2019年10月1日, 2019-10-01 or 2019-10-01 15:01, or two joined by ~"),
        _is_day,
    ),
    # "1个币种符号+10位以内纯数字，可带小数，结尾可带“元”"; the sample number is without a sign.
    # Whether decimals count among the 10 is not said: taken here, warned about in warn().
    "amount": Rule(
        _("at most 10 digits, decimals allowed, with a currency sign before or 元 after"),
        _form("[$¢-¥֏؋৲৳৻૱௹฿៛\u20a0-\u20cf﷼﹩＄￠￡￥￦]?" r"[0-9]{1,10}(?:\.[0-9]{1,10})?元?"),
    ),
    # "17位以内，数字、符号", such as +86-0766-66888866
    "phone_number": Rule(_("at most 17 digits or symbols"), _form(r"[0-9\W_]+"), limit=17),
    # "8位以内，第一位与最后一位可为汉字，其余为字母或数字", such as 粤A8Z888挂
    "car_number": Rule(
        _("at most 8 letters or digits, of which the first and last may be Chinese"),
        _form(f"[{_HAN}A-Za-z0-9](?:[A-Za-z0-9]*[{_HAN}A-Za-z0-9])?"),
        limit=8,
    ),
    # "10个以内纯汉字或20个以内纯字母或符号；中文和字母混合按中文名算，10个字内";
    # "user25" gave 47003 (docs/wechat-api.md, 2.5).
    "name": Rule(
        _("at most 10 characters with Chinese, or 20 letters or symbols, without digits"),
        _is_name,
        limit=20,
    ),
    # "5个以内纯汉字"; used in category templates too, 47003 when broken (docs/wechat-api.md, 2.5).
    "phrase": Rule(
        _("at most 5 Chinese characters and nothing else"),
        _form(f"[{_HAN}]+"),
        limit=5,
    ),
    # Approved values only, or empty (docs/wechat-api.md, 2.5); the console lists them, no API does.
    "const": Rule(
        _("one of the values approved for this template, at most 20 characters, or empty"),
        limit=20,
        may_be_empty=True,
    ),
    # "只能上传枚举值范围内的字段值"; the list is in gettemplate.keywordEnumValueList.
    "enum": Rule(_("one of the values listed for this template")),
    "enum_string": Rule(_("one of the values listed for this template")),
    # No page says so; eight public code bases do, one of them 6 (docs/wechat-api.md, 2.5).
    "short_thing": Rule(
        _("at most 5 characters, as far as is known"), limit=5, may_be_empty=True, refuses=False
    ),
    # Old templates: folded over 20, cut at a line break (docs/wechat-api.md, 2.4).
    "keyword": Rule(
        _("at most 20 characters on one line, because WeChat folds or cuts off the rest"),
        limit=20,
        may_be_empty=True,
        refuses=False,
    ),
}
NOT_SHOWN_RULE = Rule(
    _("left out, because WeChat has not shown it since 2023-05-04"),
    may_be_empty=True,
    refuses=False,
)

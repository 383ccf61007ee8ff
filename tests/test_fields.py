"""Parsing a template's content, the rules of its types, trimming, and the card.

The strategies are written from the platform's own wording of each rule, never from our patterns.
"""

import datetime
import string
import time
import unicodedata

import pytest
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.wechat import fields
from wechat_notify.wechat.fields import Card, Field, Row, card, check, parse, trim, warn
from wechat_notify.wechat.rules import RULES
from wechat_notify.wechat.text import count

HAN = st.sampled_from("订单支付成功配送中张王李赵粤京沪龥〇々鑫")
LETTER = st.sampled_from(string.ascii_letters)
DIGIT = st.sampled_from(string.digits)
SYMBOL = st.sampled_from(string.punctuation + "，。！？；：“”（）《》【】、…—·￥×÷→★")


def text(*alphabets, least=1, most):
    return st.lists(st.one_of(*alphabets), min_size=least, max_size=most).map("".join)


def field(type_):
    return Field(f"{type_}1", "某项", type_)


@st.composite
def clocks(draw):
    hour, minute, second = draw(st.tuples(st.integers(0, 23), *[st.integers(0, 59)] * 2))
    forms = [f"{hour:02}:{minute:02}", f"{hour}:{minute:02}", f"{hour:02}:{minute:02}:{second:02}"]
    return draw(st.sampled_from(forms))


@st.composite
def days(draw):
    day = draw(st.dates(datetime.date(1000, 1, 1)))
    y, m, d = day.year, day.month, day.day
    sign = draw(st.sampled_from("-/."))
    forms = [f"{y}年{m}月{d}日", f"{y}年{m:02}月{d:02}日", f"{y}年{m}月", f"{m}月{d}日"]
    forms += [f"{y}{sign}{m:02}{sign}{d:02}", f"{y}{sign}{m}{sign}{d}", f"{y}{sign}{m:02}"]
    forms += [f"{m:02}{sign}{d:02}"]
    return draw(st.sampled_from(forms))


def with_ranges(moments):
    return moments | st.tuples(moments, moments).map("~".join)


MOMENTS = st.tuples(days(), clocks()).map(" ".join)


@st.composite
def numbers(draw, most):
    digits = draw(text(DIGIT, most=most))
    point = draw(st.integers(0, len(digits) - 1))
    return f"{digits[:point]}.{digits[point:]}" if point else digits


@st.composite
def amounts(draw):
    sign = draw(st.sampled_from(["", "¥", "￥", "$", "€", "£"]))
    return sign + draw(numbers(10)) + draw(st.sampled_from(["", "元"]))


@st.composite
def plates(draw):
    end = HAN | LETTER | DIGIT
    middle = draw(text(LETTER, DIGIT, least=0, most=6))
    return draw(end) + middle + draw(st.just("") | end)


ACCEPTED = {
    "thing": text(HAN, LETTER, DIGIT, SYMBOL, most=20),
    "number": numbers(32),
    "letter": text(LETTER, most=32),
    "symbol": text(SYMBOL, most=5),
    "character_string": text(LETTER, DIGIT, SYMBOL, most=32),
    "time": with_ranges(clocks() | MOMENTS),
    "date": with_ranges(days() | MOMENTS),
    "amount": amounts(),
    "phone_number": text(DIGIT, SYMBOL, most=17),
    "car_number": plates(),
    "name": text(HAN, most=10) | text(LETTER, SYMBOL, most=20) | text(HAN, LETTER, most=10),
    "phrase": text(HAN, most=5),
    "const": text(HAN, LETTER, DIGIT, SYMBOL, least=0, most=20),
    "enum": text(HAN, LETTER, DIGIT, most=20),
    "enum_string": text(HAN, LETTER, DIGIT, most=20),
}


def inserted(alphabet, into):
    """A text of ``into`` with one character of ``alphabet`` put somewhere in it."""
    return st.tuples(into, alphabet, st.integers(0, 40)).map(
        lambda parts: parts[0][: parts[2]] + parts[1] + parts[0][parts[2] :]
    )


CLOCKS_PAST = st.sampled_from(["24:00", "25:30", "12:60", "12:30:60", "8:5", "12", "下午3:00"])
DAYS_PAST = st.sampled_from(
    ["2019年13月1日", "2019年2月29日", "2019年10月32日", "2019年10月1", "2019年", "10月", "周六"]
) | st.sampled_from(
    ["2019-02-30", "2019-00-01", "2019-10/01", "13-01", "0000-01-01", "20191001", "19年1月1日"]
)
ONE_STEP_PAST = {
    "thing": text(HAN, LETTER, DIGIT, SYMBOL, least=21, most=40),
    "number": text(DIGIT, least=33, most=40)
    | inserted(HAN | LETTER | st.sampled_from("-+,，%"), numbers(31))
    | st.sampled_from(["1.", ".5", "1.2.3", "１２"]),
    "letter": text(LETTER, least=33, most=40)
    | inserted(HAN | DIGIT | SYMBOL, text(LETTER, most=31)),
    "symbol": text(SYMBOL, least=6, most=10) | inserted(HAN | DIGIT | LETTER, text(SYMBOL, most=4)),
    "character_string": text(LETTER, DIGIT, SYMBOL, least=33, most=40)
    | inserted(HAN, text(LETTER, DIGIT, SYMBOL, most=31)),
    "time": CLOCKS_PAST
    | days()
    | st.tuples(clocks(), CLOCKS_PAST).map("~".join)
    | st.tuples(DAYS_PAST, clocks()).map(" ".join)
    | st.tuples(clocks(), clocks(), clocks()).map("~".join)
    | st.tuples(clocks(), clocks()).map("-".join),
    "date": DAYS_PAST
    | clocks()
    | st.tuples(days(), DAYS_PAST).map("~".join)
    | st.tuples(days(), CLOCKS_PAST).map(" ".join)
    | st.tuples(days(), days(), days()).map("~".join),
    "amount": text(DIGIT, least=11, most=20)
    | text(DIGIT, most=10).map("¥￥{}".format)
    | text(DIGIT, most=10).map("{}元整".format)
    | text(DIGIT, most=9).map("-{}".format)
    | st.sampled_from(["1,000.00", "元", "¥", "1.", "一百元", "元100", "100¥", "1.2.3"]),
    "phone_number": text(DIGIT, SYMBOL, least=18, most=30)
    | inserted(HAN | LETTER, text(DIGIT, SYMBOL, most=16)),
    "car_number": text(LETTER, DIGIT, least=9, most=12)
    | st.tuples(LETTER, HAN, LETTER).map("".join)
    | st.tuples(HAN, HAN, LETTER, DIGIT).map("".join)
    | inserted(SYMBOL, text(LETTER, DIGIT, most=7)),
    "name": text(HAN, least=11, most=15)
    | text(LETTER, SYMBOL, least=21, most=30)
    | st.tuples(text(LETTER, least=10, most=10), HAN).map("".join)
    | inserted(DIGIT, text(HAN, most=9) | text(LETTER, most=19)),
    "phrase": text(HAN, least=6, most=10) | inserted(LETTER | DIGIT | SYMBOL, text(HAN, most=4)),
    "const": text(HAN, LETTER, DIGIT, SYMBOL, least=21, most=40),
}


@pytest.mark.parametrize("type_", ACCEPTED)
@given(data=st.data())
def test_what_the_platform_describes_is_accepted(type_, data):
    """Every value generated from the documented wording of a rule passes it."""
    assert check(field(type_), data.draw(ACCEPTED[type_])) is None


@pytest.mark.parametrize("type_", ONE_STEP_PAST)
@given(data=st.data())
def test_one_step_past_a_rule_is_refused_with_the_rule_named(type_, data):
    """A value just beyond the documented wording is refused, and the message holds the rule."""
    message = check(field(type_), data.draw(ONE_STEP_PAST[type_]))
    assert message is not None
    assert str(RULES[type_].message) in message


@pytest.mark.parametrize("type_", ACCEPTED)
@pytest.mark.parametrize("control", ["\n", "\r\n", "\t", "\x00", "\x1b", "\x7f", "\u2028"])
def test_no_documented_type_takes_control_characters(type_, control):
    """Line breaks and other control characters are refused in every documented type."""
    value = "15:01" if type_ == "time" else "1"
    assert check(field(type_), f"{value}{control}{value}") is not None


@pytest.mark.parametrize("type_", sorted(ACCEPTED.keys() - {"const"}))
@pytest.mark.parametrize("empty", ["", " ", "\u3000", "\n"])
def test_an_empty_value_is_refused(type_, empty):
    """WeChat answers "is empty" to a field without text, so nothing or blanks do not pass."""
    assert "is empty" in check(field(type_), empty)


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("amount", "39.8元"),
        ("amount", "￥39.80"),
        ("amount", "¥100"),
        ("amount", "$5"),
        ("amount", "100"),
        ("amount", "￥39.80元"),
        ("time", "15:01"),
        ("time", "2019年10月1日 15:01"),
        ("time", "15:01:30"),
        ("time", "08:00~09:00"),
        ("time", "2019年10月1日 8:00~2019年10月2日 9:00"),
        ("time", "1月20日 8:00~10:00"),
        ("time", "2023-07-26 10:45:00"),
        ("date", "2019年10月1日"),
        ("date", "2019-10-01"),
        ("date", "2019/10/1"),
        ("date", "2019.10.1"),
        ("date", "10月1日"),
        ("date", "2月29日"),
        ("date", "2019年10月"),
        ("date", "2018-01"),
        ("date", "01-01"),
        ("date", "2019-12-25 09:42"),
        ("date", "2024-07-24 08:00~12:00"),
        ("date", "10月1日~10月7日"),
        ("phone_number", "+86-0766-66888866"),
        ("phone_number", "139 0000 0000"),
        ("phone_number", "139****8888"),
        ("car_number", "粤A8Z888挂"),
        ("car_number", "粤AD12345"),
        ("car_number", "粤"),
        ("name", "阿卜杜拉·买买提"),
        ("name", "John Ronald Smith"),
        ("phrase", "配送中"),
        ("character_string", "125 mmHg"),
        ("character_string", "SRC202407241131475140182"),
        ("thing", "广州至北京"),
        ("thing", "(喜报)-111营元"),
        ("const", ""),
    ],
)
def test_values_from_real_life_pass(type_, value):
    """Samples of the documentation and of people's working messages are accepted."""
    assert check(field(type_), value) is None


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("time", "2022-01-27 15:00-16:00"),
        ("time", "2024-07-24 08~12"),
        ("time", ":2020年4月12日"),
        ("time", "1min"),
        ("time", "1708432089530"),
        ("time", "2024-06-2116: 34: 24"),
        ("time", "2019年10月1日15：01"),
        ("name", "user25"),
        ("phrase", "大娟姗720ml"),
        ("thing", "订" * 21),
    ],
)
def test_values_wechat_is_known_to_refuse_are_refused(type_, value):
    """Values that people reported with errcode 47003 do not pass."""
    assert check(field(type_), value) is not None


@pytest.mark.parametrize("type_", ["result", "short_thing", "keyword", "first", "remark"])
def test_what_nobody_documents_is_not_refused(type_):
    """Without a documented rule no text is refused, however long or broken into lines."""
    name = type_ if type_ in {"result", "first", "remark"} else f"{type_}1"
    for value in ("", "一行\n又一行", "长" * 500):
        assert check(Field(name, "", type_), value) is None


def test_a_plain_word_of_an_old_template_is_no_type():
    """The key ``number`` of an old template takes "1份": only a numbered key has a type's rule."""
    (old,) = parse("购买数量：{{number.DATA}}")
    assert (old.type, old.documented) == ("number", False)
    assert check(old, "1份") is None
    assert trim(Field("thing", "", "thing"), "长" * 30) == "长" * 30


@pytest.mark.parametrize("name", ["thing1", "short_thing1", "keyword1", "first"])
@pytest.mark.parametrize("broken", ["a\x00b", "a\ud83d", "\ude00"])
def test_what_no_body_can_carry_is_refused_everywhere(name, broken):
    """A lone surrogate or a NUL is a problem in every field, not an error later on."""
    assert "cannot be sent" in check(Field(name, "", fields.type_of(name)), broken)


@pytest.mark.parametrize(
    ("value", "units"), [("", 0), ("abc", 3), ("订单", 2), ("👍", 2), ("👨‍👩‍👧", 8), ("𠮷", 2)]
)
def test_emoji_count_as_two_or_more(value, units):
    """Characters are counted in UTF-16 units, the way that never underestimates."""
    assert count(value) == units


def test_the_limit_of_a_thing_counts_emoji_twice():
    """Ten emoji fill a thing; an eleventh is too many, and the message says how many there are."""
    assert check(field("thing"), "👍" * 10) is None
    assert "this has 22" in check(field("thing"), "👍" * 11)


def test_a_message_shows_only_the_start_of_a_long_value():
    """What was given is quoted, but not at any length."""
    message = check(field("amount"), "9" * 1000)
    assert "“9999999999999999999…”" in message


def test_messages_are_in_the_active_language():
    """A rule's message is translated when it is shown, not when the module is loaded."""
    rule = RULES["thing"]
    with translation.override("en"):
        assert str(rule.message) == "at most 20 characters"
    assert isinstance(check(field("thing"), "长" * 30), str)


def test_every_rule_has_a_message_and_an_honest_limit():
    """A form can show each rule, and a text at its limit is not called too long."""
    for type_, rule in RULES.items():
        assert str(rule.message)
        if rule.limit is not None:
            assert "this has" not in (rule.check("1" * rule.limit) or ""), type_


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("first", "您好", "2023-05-04"),
        ("remark", "谢谢", "2023-05-04"),
        ("result", "成功", "no rule"),
        ("short_thing2", "支付已经成功", "5 characters"),
        ("result", "成功🎉", "removes emoji"),
        ("keyword1", "成功❤️", "removes emoji"),
        ("keyword1", "长" * 21, "20 characters"),
        ("keyword1", "一行\n又一行", "one line"),
        ("amount1", "656887888.00", "10 digits"),
        ("const1", "已取消", "approved"),
    ],
)
def test_what_is_a_pity_is_warned_about(name, value, part):
    """A value that is folded, cut, not shown or doubtful gets a warning, not a refusal."""
    warned = Field(name, "", fields.type_of(name))
    assert check(warned, value) is None
    assert part in warn(warned, value, approved={"已完成"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("thing1", "一切正常"),
        ("keyword1", ""),
        ("keyword1", "20个字以内"),
        ("amount1", "12345678.90"),
        ("const1", "已完成"),
        ("const1", ""),
    ],
)
def test_ordinary_values_raise_no_warning(name, value):
    """Nothing is said where nothing is wrong."""
    assert warn(Field(name, "", fields.type_of(name)), value, approved={"已完成"}) is None


def test_a_const_is_not_doubted_before_any_value_is_known():
    """Without a list of approved values no const can be called unknown."""
    assert warn(Field("const1", "", "const"), "随便") is None


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", []),
        ("没有字段", []),
        ("商品：{{thing1.DATA}}\n时间:{{time2.DATA}}", [("thing1", "商品"), ("time2", "时间")]),
        (
            "{ {result.DATA} }\n\n领奖金额:{ {withdrawMoney.DATA} }",
            [("result", ""), ("withdrawMoney", "领奖金额")],
        ),
        ("时间：{{time1.DATA}} 地点 ： {{thing2.DATA}}", [("time1", "时间"), ("thing2", "地点")]),
        ("{{productType.DATA}}：{{name.DATA}}", [("productType", ""), ("name", "")]),
        ("甲：{{thing1.DATA}}\r\n乙：{{thing1.DATA}}", [("thing1", "甲")]),
        (
            "\u3000订单 １ 号：\xa0{{ character_string12.DATA }}",
            [("character_string12", "订单 １ 号")],
        ),
        ("{{first.DATA}}\n姓名：{{keyword1.DATA}}", [("first", ""), ("keyword1", "姓名")]),
        ("{{thing1}} {{thing１.DATA}} {{thing1.data}} {{.DATA}} {thing1.DATA}", []),
        ("{{{thing1.DATA}}}", [("thing1", "{")]),
        ("{{\nthing1.DATA}}", []),
    ],
)
def test_content_is_parsed_into_fields(content, expected):
    """Compact, spaced, shared lines, repetition, old keys and junk all come out as documented."""
    assert [(f.name, f.label) for f in parse(content)] == expected


@pytest.mark.parametrize(
    ("name", "type_"),
    [
        ("thing1", "thing"),
        ("thing12", "thing"),
        ("character_string2", "character_string"),
        ("keyword3", "keyword"),
        ("first", "first"),
        ("remark", "remark"),
        ("result", "result"),
        ("enum_string1", "enum_string"),
        ("123", "123"),
    ],
)
def test_the_key_without_its_number_is_the_type(name, type_):
    """The trailing number belongs to the key; what is left is the type."""
    assert parse(f"{{{{{name}.DATA}}}}")[0].type == type_


def test_five_characters_of_a_short_thing_are_no_pity():
    """So many are known to pass."""
    assert warn(Field("short_thing2", "", "short_thing"), "支付已成功") is None


def test_a_field_knows_whether_its_rule_is_documented():
    """Known types have a rule; that of short_thing, which no page tells, refuses nothing."""
    thing, short, word = parse("{{thing1.DATA}}{{short_thing2.DATA}}{{result.DATA}}")
    assert (thing.documented, thing.rule.limit) == (True, 20)
    assert (short.rule.limit, short.rule.refuses) == (5, False)
    assert (word.documented, word.rule) == (False, None)


@given(st.text(st.sampled_from("{} \n.DATAthing12：a\u3000")) | st.text())
def test_parsing_never_fails(content):
    """Whatever the text, parsing gives fields with distinct ASCII names."""
    names = [f.name for f in parse(content)]
    assert len(names) == len(set(names))
    assert all(name.isascii() for name in names)


@pytest.mark.parametrize(
    "hostile",
    ["{", "{ ", "{{", "{{a", "{{ a.DATA ", "{{a.DATA} ", "{{" + "a" * 50, " ", "：", "\n"],
)
def test_parsing_hostile_content_is_linear(hostile):
    """A content built to make a pattern backtrack is read at once."""
    started = time.process_time()
    parse(hostile * (300_000 // len(hostile)))
    assert time.process_time() - started < 1


@pytest.mark.parametrize("type_", RULES)
@pytest.mark.parametrize("hostile", ["1", " ", "~", "1~", "年", "１:1 ", "a1", "￥1", "\u0301"])
def test_checking_a_huge_value_is_linear(type_, hostile):
    """A huge text in any field is refused or passed at once."""
    started = time.process_time()
    check(field(type_), hostile * (200_000 // len(hostile)))
    assert time.process_time() - started < 1


@pytest.mark.parametrize(
    ("value", "trimmed"),
    [
        ("短", "短"),
        ("长" * 20, "长" * 20),
        ("长" * 21, "长" * 19 + "…"),
        ("第一行\n第二行\r\n第三行\n", "第一行 第二行 第三行"),
        ("👍" * 11, "👍" * 9 + "…"),
        ("a" * 18 + "👍b", "a" * 18 + "…"),
        ("a" * 17 + "e\u0301\u0323xy", "a" * 17 + "…"),
        ("a" * 12 + "👨‍👩‍👧 bc", "a" * 12 + "…"),
        ("a" * 16 + "🇨🇳🇨🇳", "a" * 16 + "…"),
        ("a" * 15 + "🇨🇳🇨🇳", "a" * 15 + "🇨🇳…"),
        ("a" * 16 + "👍🏽bc", "a" * 16 + "…"),
        ("a" * 18 + "\u1100\u1161\u11a8" * 2, "a" * 18 + "…"),
        ("hello wonderful big world", "hello wonderful big…"),
        ("\u200d".join("👩" * 12), "…"),
    ],
)
def test_a_thing_is_trimmed_inside_its_limit(value, trimmed):
    """Cut values end in an ellipsis, whole characters as people see them stay whole."""
    assert trim(field("thing"), value) == trimmed


@given(st.text(max_size=60))
def test_what_is_trimmed_fits(value):
    """A trimmed thing that is not empty passes, and trimming it again changes nothing."""
    trimmed = trim(field("thing"), value)
    assert count(trimmed) <= 20
    assert not trimmed.strip() or check(field("thing"), trimmed) is None
    assert trim(field("thing"), trimmed) == trimmed


@given(st.text(st.sampled_from("ae\u0301\u20e3\ufe0f\u200d👍👩🏽🇨🇳각ᄀ\u1161\u11a8"), max_size=40))
def test_trimming_never_cuts_inside_a_character(value):
    """What follows the cut never belongs to what stands before it."""
    trimmed = trim(field("thing"), value)
    if trimmed != value:
        kept = trimmed.removesuffix("…")
        assert value.startswith(kept)
        if kept:
            following = value[len(kept)]
            assert not unicodedata.category(following).startswith("M")
            assert following not in "\u200d🏽\u1161\u11a8"
            assert not kept.endswith("\u200d")


@pytest.mark.parametrize(
    "type_", sorted((ACCEPTED.keys() | {"keyword", "short_thing"}) - {"thing"})
)
def test_only_a_thing_is_trimmed(type_):
    """A phone number or an amount cut short would be another one, so it is left alone."""
    value = "1380000\n" * 10
    assert trim(field(type_), value) == value


def test_trimming_a_huge_thing_is_quick():
    """A megabyte of one endless character is shortened at once."""
    started = time.process_time()
    assert trim(field("thing"), "e" + "\u0301" * 1_000_000) == "…"
    assert time.process_time() - started < 1


def test_the_card_has_a_row_for_each_field_people_see():
    """Rows follow the content; first and remark have none; a field without data is empty."""
    content = "{{first.DATA}}\n商品：{{thing1.DATA}}\n金额：{{amount2.DATA}}\n{{remark.DATA}}"
    data = {"first": {"value": "您好"}, "amount2": {"value": "39.8元"}, "other9": {"value": "?"}}
    assert card("支付成功", content, data) == Card(
        "支付成功", (Row("商品", ""), Row("金额", "39.8元"))
    )


def test_the_card_takes_plain_values():
    """Data may map a name to its text directly, and None is an empty text."""
    shown = card("", "甲：{{thing1.DATA}}\n乙：{{thing2.DATA}}", {"thing1": "一", "thing2": None})
    assert shown.rows == (Row("甲", "一"), Row("乙", ""))


def test_a_card_without_content_shows_the_keys():
    """A template registered by hand without its content still has a preview."""
    shown = card("通知", "", {"first": "您好", "thing1": {"value": "一"}, "time2": "15:01"})
    assert shown.rows == (Row("thing1", "一"), Row("time2", "15:01"))

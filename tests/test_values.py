"""Python values to text, and a caller's data to wire data and problems."""

import datetime
import enum
import json
import zoneinfo
from decimal import Decimal

import pytest
from django.utils import timezone, translation
from django.utils.functional import lazystr
from django.utils.safestring import mark_safe
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.wechat.fields import Field, check, parse
from wechat_notify.wechat.values import normalise, to_text

ORDER = parse(
    "{{first.DATA}}\n商品：{{thing1.DATA}}\n金额：{{amount2.DATA}}\n时间：{{time3.DATA}}"
    "\n{{remark.DATA}}"
)
AFTERNOON = datetime.datetime.fromisoformat("2026-11-23 15:01:30")
GOOD = {
    "thing1": "课本",
    "amount2": Decimal("39.8"),
    "time3": AFTERNOON,
}


class Colour(str, enum.Enum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 3


class Course:
    def __str__(self):
        return "高等数学"


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        ("原样 ", "thing", "原样 "),
        ("39.8", "amount", "39.8"),
        (None, "thing", ""),
        (lazystr("懒"), "thing", "懒"),
        (mark_safe("安全"), "thing", "安全"),
        (Colour.RED, "thing", "red"),
        (Size.BIG, "number", "3"),
        (Course(), "thing", "高等数学"),
        (AFTERNOON, "time", "2026年11月23日 15:01"),
        (AFTERNOON, "date", "2026年11月23日"),
        (AFTERNOON, "character_string", "2026-11-23 15:01"),
        (datetime.date(2026, 1, 3), "date", "2026年1月3日"),
        (datetime.date(2026, 1, 3), "time", "2026年1月3日 00:00"),
        (datetime.date(2026, 1, 3), "character_string", "2026-01-03"),
        (datetime.date(987, 1, 3), "date", "0987年1月3日"),
        (datetime.time(8, 5, 59), "time", "08:05"),
        (datetime.time(8, 5, 59), "character_string", "08:05"),
        (Decimal("39.8"), "amount", "39.80元"),
        (39, "amount", "39.00元"),
        (39.8, "amount", "39.80元"),
        (0.1 + 0.2, "amount", "0.30元"),
        (2.675, "amount", "2.68元"),
        (Decimal(100) / 3, "amount", "33.33元"),
        (Decimal("1E+3"), "amount", "1000.00元"),
        (1234567890, "number", "1234567890"),
        (10**30, "number", "1" + "0" * 30),
        (Decimal("1.50"), "number", "1.50"),
        (Decimal("1E+3"), "number", "1000"),
        (1e16, "number", "10000000000000000"),
        (1e-7, "number", "0.0000001"),
        (0.1 + 0.2, "number", "0.3"),
        (5.0, "number", "5"),
        (float("nan"), "amount", "nan"),
        (Decimal("Infinity"), "number", "Infinity"),
        (Decimal("1E+1000000"), "number", "1E+1000000"),
        (13900001111, "phone_number", "13900001111"),
        (1000000, "thing", "1000000"),
    ],
)
def test_a_python_value_becomes_what_the_field_wants(value, type_, text):
    """Each kind of value comes out in the form its field's type is documented to take."""
    assert to_text(value, type_) == text


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_the_wire_forms_are_the_same_in_every_language(language):
    """The forms of a typed field are WeChat's and do not follow the active language."""
    with translation.override(language):
        assert to_text(AFTERNOON, "time") == "2026年11月23日 15:01"
        assert to_text(1234567.5, "number") == "1234567.5"


@pytest.mark.parametrize(
    ("language", "value", "text"),
    [
        ("en", AFTERNOON, "11/23/2026 3:01 p.m."),
        ("zh-hans", AFTERNOON, "2026年11月23日 15:01"),
        ("en", AFTERNOON.date(), "11/23/2026"),
        ("zh-hans", AFTERNOON.date(), "2026年11月23日"),
        ("zh-hans", AFTERNOON.time(), "15:01"),
        ("en", True, "Yes"),
        ("zh-hans", True, "是"),
        ("zh-hans", False, "否"),
    ],
)
def test_free_text_follows_the_active_language(language, value, text):
    """In a field without a form of its own a value reads as the active language writes it."""
    with translation.override(language):
        assert to_text(value, "thing") == text


def test_an_aware_time_is_shown_in_the_active_zone():
    """Recipients see the site's local time, not UTC; a naive time is taken as it is."""
    moment = datetime.datetime(2026, 11, 23, 20, 0, tzinfo=datetime.timezone.utc)
    assert to_text(moment, "time") == "2026年11月24日 04:00"
    with timezone.override(zoneinfo.ZoneInfo("Europe/Berlin")):
        assert to_text(moment, "date") == "2026年11月23日"
        assert to_text(moment.replace(tzinfo=None), "time") == "2026年11月23日 20:00"


@given(st.datetimes())
def test_every_moment_passes_the_rules_of_time_and_date(moment):
    """What is formatted for a typed field keeps that field's rule, in any year."""
    for value in (moment, moment.date(), moment.time()):
        assert check(Field("time1", "", "time"), to_text(value, "time")) is None
    for value in (moment, moment.date()):
        assert check(Field("date1", "", "date"), to_text(value, "date")) is None
        short = to_text(value, "character_string")
        assert check(Field("character_string1", "", "character_string"), short) is None


@given(
    st.integers(0, 9_999_999_999)
    | st.decimals(0, Decimal("9999999999.99"), places=2)
    | st.floats(0, 9_999_999_999)
)
def test_every_price_passes_the_rule_of_amount(price):
    """A price of up to ten digits, whatever its Python type, is an amount WeChat describes."""
    assert check(Field("amount1", "", "amount"), to_text(price, "amount")) is None


def test_good_data_becomes_wire_data():
    """Values are formatted by their field's type, in the template's order, without problems."""
    wire, problems = normalise(ORDER, dict(reversed(GOOD.items())))
    assert problems == []
    assert list(wire.items()) == [
        ("thing1", {"value": "课本"}),
        ("amount2", {"value": "39.80元"}),
        ("time3", {"value": "2026年11月23日 15:01"}),
    ]
    json.dumps(wire)


def test_old_style_data_passes_through():
    """{"value", "color"} dicts are taken, a color is kept only where one was given."""
    data = {
        "first": {"value": "您好\n同学", "color": "#173177"},
        "thing1": {"value": "课本", "color": None},
        "amount2": {"value": 5, "color": ""},
        "time3": {"value": "15:01"},
        "remark": "谢谢",
    }
    wire, problems = normalise(ORDER, data)
    assert problems == []
    assert wire == {
        "first": {"value": "您好\n同学", "color": "#173177"},
        "thing1": {"value": "课本"},
        "amount2": {"value": "5.00元", "color": ""},
        "time3": {"value": "15:01"},
        "remark": {"value": "谢谢"},
    }


def test_first_and_remark_are_dropped_where_the_template_has_none():
    """Old code that still gives first and remark neither fails nor sends them in vain."""
    fields = parse("商品：{{thing1.DATA}}")
    assert normalise(fields, {"first": "您好", "thing1": "课本", "remark": "谢谢"}) == (
        {"thing1": {"value": "课本"}},
        [],
    )


def test_every_problem_is_found_at_once():
    """Broken, missing and unknown fields are all reported, and no good field is named."""
    given = {"thing1": "课" * 21, "time3": "15:01", "thing2": "错字"}
    _, problems = normalise(ORDER, given)
    assert [(p.field, p.given) for p in problems] == [
        ("thing1", "课" * 21),
        ("amount2", None),
        ("thing2", "错字"),
    ]
    assert [p.message for p in problems] == [
        "must be at most 20 characters; this has 21",
        "is missing",
        "is no field of this template",
    ]
    assert not any("time3" in str(problem) for problem in problems)


def test_a_problem_carries_what_was_given_not_what_was_made_of_it():
    """The value in a problem is the caller's own object, unwrapped from its dict."""
    _, (problem,) = normalise(parse("{{number1.DATA}}"), {"number1": {"value": Decimal("-5")}})
    assert problem.given == Decimal("-5")
    assert "“-5”" in problem.message


def test_a_key_copied_with_its_suffix_is_explained():
    """ "thing1.DATA", as it stands in the content, is the commonest misspelling of a key."""
    _, problems = normalise(parse("{{thing1.DATA}}"), {"thing1.DATA": "课本"})
    assert [(p.field, "“.DATA”" in p.message) for p in problems] == [
        ("thing1", False),
        ("thing1.DATA", True),
    ]


@pytest.mark.parametrize("empty", [None, "", lazystr("")])
def test_none_is_an_empty_value(empty):
    """None is no text: a problem where a text is needed, fine where empty is allowed."""
    fields = parse("{{thing1.DATA}}{{const2.DATA}}{{keyword3.DATA}}")
    wire, problems = normalise(
        fields, {"thing1": empty, "const2": {"value": empty}, "keyword3": ""}
    )
    assert [p.field for p in problems] == ["thing1"]
    assert wire["const2"] == {"value": ""}


@pytest.mark.parametrize("value", [["a"], {"a": 1}, ("a",), {"a"}, b"a", lambda: "a", Course])
def test_what_is_no_text_is_a_problem(value):
    """A list, bytes, a function or a class is refused instead of being shown as Python source."""
    _, (problem,) = normalise(parse("{{keyword1.DATA}}"), {"keyword1": {"value": value}})
    assert (problem.field, problem.given) == ("keyword1", value)
    assert type(value).__name__ in problem.message


def test_a_dict_without_a_value_is_a_problem():
    """A misspelt "value" is not taken for an empty text."""
    _, (problem,) = normalise(parse("{{thing1.DATA}}"), {"thing1": {"vaule": "课本"}})
    assert problem.field == "thing1"
    assert "value" in problem.message


@pytest.mark.parametrize("data", [None, "thing1", ["thing1"], 5])
def test_data_that_is_no_mapping_is_one_problem(data):
    """Data of the wrong shape is reported under the name "data"."""
    wire, (problem,) = normalise(ORDER, data)
    assert (wire, problem.field, problem.given) == ({}, "data", data)


def test_a_key_that_is_no_text_is_a_problem():
    """A number for a key is reported, with or without known fields."""
    for fields in (parse("{{thing1.DATA}}"), ()):
        _, problems = normalise(fields, {"thing1": "课本", 1: "一"})
        assert [p.field for p in problems] == ["1"]


def test_trim_shortens_things_only():
    """With trim a long thing fits; a long phone number is still refused as it is."""
    fields = parse("{{thing1.DATA}}{{phone_number2.DATA}}")
    data = {"thing1": "课" * 30, "phone_number2": "1" * 30}
    wire, problems = normalise(fields, data, trim=True)
    assert wire["thing1"] == {"value": "课" * 19 + "…"}
    assert [(p.field, p.given) for p in problems] == [("phone_number2", "1" * 30)]


def test_without_known_fields_only_the_shape_is_checked():
    """A template whose content is unknown takes any names and texts, formatted by their keys."""
    data = {"thing1": "课" * 30, "amount2": 5, "first": "您好", "thing3": {"value": None}}
    wire, problems = normalise((), data)
    assert problems == []
    assert [entry["value"] for entry in wire.values()] == ["课" * 30, "5.00元", "您好", ""]


def test_without_known_fields_names_and_values_must_be_sendable():
    """Even then a key that is no key, a list and half a character are problems."""
    data = {"thing1.DATA": "甲", "thing 2": "乙", "thing3": ["丙"], "thing4": "\ud83d"}
    _, problems = normalise((), data)
    assert [p.field for p in problems] == list(data)


@given(st.dictionaries(st.text(), st.none() | st.text() | st.integers() | st.floats()))
def test_what_has_no_problems_can_be_sent(data):
    """Wire data without problems is text through and through and encodes as UTF-8 JSON."""
    wire, problems = normalise((), data)
    if not problems:
        json.dumps(wire, ensure_ascii=False).encode()


@pytest.mark.parametrize("broken", ["\x00", "\ud800"])
def test_what_cannot_be_stored_is_left_out(broken: str) -> None:
    """It is told, and stands nowhere in what may be kept with the reason."""
    wire, problems = normalise(
        parse("{{thing1.DATA}}{{thing2.DATA}}"), {"thing1": broken, "thing2": "b"}
    )
    assert wire == {"thing2": {"value": "b"}}
    assert [problem.field for problem in problems] == ["thing1"]


@pytest.mark.parametrize("name", ["keyword1", "result"])
@pytest.mark.parametrize("content", ["{{%s.DATA}}", ""])
def test_a_line_break_that_no_rule_refuses(name: str, content: str) -> None:
    """WeChat cuts old values there; a blank keeps what follows on the card."""
    fields = parse(content % name if content else content)
    wire, problems = normalise(fields, {name: "A座\r\n301\t室\u2028\n"})
    assert (wire, problems) == ({name: {"value": "A座 301 室"}}, [])

"""The conditions of a rule: each kind of value is compared as what it is."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import BinaryField, DurationField, F, FloatField, IntegerField, TimeField
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import make_user
from tests.library.models import Branch, Loan
from tests.rules import make_branch, make_loan
from wechat_notify.rules.allowed import AllowedField, allowed_for
from wechat_notify.rules.conditions import OPERATORS, Op, conditions_of
from wechat_notify.rules.kinds import Kind, kind_of
from wechat_notify.rules.object_values import column_value, parsed

SHANGHAI = ZoneInfo("Asia/Shanghai")
MORNING = datetime(2026, 11, 27, 8, 30, tzinfo=SHANGHAI)


def hold(loan: Loan, *tests: tuple[str, str, Any], match: str = "all") -> bool:
    listed = [
        {"field": field, "op": op, **({} if value is None else {"value": value})}
        for field, op, value in tests
    ]
    return conditions_of({"match": match, "tests": listed}, allowed_for("library.loan")).hold(loan)


def a_loan(**fields: Any) -> Loan:
    return Loan(pk=1, borrower_id=7, branch_id=3, title="西游记 Journey", **fields)


@pytest.mark.parametrize(
    ("fields", "test", "holds"),
    [
        # numbers, not texts: 9 is less than 10
        ({"copies": 9}, ("copies", "less", "10"), True),
        ({"copies": 10}, ("copies", "more", "9.5"), True),
        ({"copies": 10}, ("copies", "is", "10.0"), True),
        ({"copies": "10"}, ("copies", "is", 10), True),
        ({"copies": 10}, ("copies", "is_not", "11"), True),
        ({"fee": Decimal("39.80")}, ("fee", "is", "39.8"), True),
        ({"fee": "39.80"}, ("fee", "more", "39.79"), True),
        ({"fee": Decimal("0")}, ("fee", "empty", None), False),
        # what is empty is not another value's equal, and neither more nor less
        ({"fee": None}, ("fee", "more", "-1"), False),
        ({"fee": None}, ("fee", "less", "1"), False),
        ({"fee": None}, ("fee", "is_not", "1"), True),
        ({"fee": None}, ("fee", "empty", None), True),
        ({"note": ""}, ("note", "empty", None), True),
        ({"note": "x"}, ("note", "not_empty", None), True),
        ({"note": ""}, ("note", "contains", "x"), False),
        # texts
        ({}, ("title", "is", "西游记 Journey"), True),
        ({}, ("title", "is", "西游记 journey"), False),
        ({}, ("title", "contains", "游记"), True),
        ({}, ("title", "contains", "JOURNEY"), True),
        ({}, ("title", "contains", "红楼梦"), False),
        ({}, ("title", "contains", ".*"), False),
        ({"note": "50%_"}, ("note", "contains", "%"), True),
        # choices, and yes or no
        ({"status": "ready"}, ("status", "is", "ready"), True),
        ({"status": "ready"}, ("status", "is_not", "lent"), True),
        ({"is_lost": True}, ("is_lost", "is", "true"), True),
        ({"is_lost": False}, ("is_lost", "is", False), True),
        ({"is_lost": False}, ("is_lost", "is_not", "false"), False),
        # dates, and moments: also by the day, of the site's time zone
        ({"due_on": date(2026, 11, 27)}, ("due_on", "is", "2026-11-27"), True),
        ({"due_on": "2026-11-27"}, ("due_on", "less", "2026-11-28"), True),
        ({"due_at": MORNING}, ("due_at", "is", "2026-11-27 08:30"), True),
        ({"due_at": MORNING}, ("due_at", "more", "2026-11-27 08:29"), True),
        ({"due_at": MORNING}, ("due_at", "is", "2026-11-27"), True),
        ({"due_at": MORNING}, ("due_at", "more", "2026-11-27"), False),
        ({"due_at": MORNING - timedelta(hours=9)}, ("due_at", "is", "2026-11-26"), True),
        ({"due_at": MORNING - timedelta(hours=8)}, ("due_at", "is", "2026-11-27"), True),
        # other objects
        ({}, ("branch", "is", "3"), True),
        ({}, ("branch", "is", "4"), False),
        ({}, ("borrower", "not_empty", None), True),
    ],
)
def test_kinds(fields: dict[str, Any], test: Any, holds: bool) -> None:
    assert hold(a_loan(**fields), test) is holds


def test_other_fields_of_a_site() -> None:
    """Kinds that the library has no column for."""
    at = AllowedField("at", (TimeField(verbose_name="at"),), kind_of(TimeField()))
    assert parsed(at, "08:00") == time(8)
    with pytest.raises(ValidationError, match="is not a time of day"):
        parsed(at, "25:00")
    weight = AllowedField("weight", (FloatField(verbose_name="weight"),), kind_of(FloatField()))
    assert parsed(weight, "0.1") == 0.1  # the float, so that it equals a column's
    level = IntegerField(choices=[(1, "low"), (2, "high")], verbose_name="level")
    assert parsed(AllowedField("level", (level,), kind_of(level)), "2") == 2
    for field in (DurationField(), BinaryField()):
        with pytest.raises(ValueError, match="cannot compare"):
            kind_of(field)


@pytest.mark.parametrize(
    ("value", "says"), [("2.5", "is not a whole number"), ("x", "is not a number")]
)
def test_what_a_column_cannot_become(value: str, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        column_value(allowed_for("library.loan").fields["copies"], value)


def test_a_moment_is_no_day() -> None:
    """A moment becomes another moment; that it becomes some time of a day is a condition."""
    due_at = allowed_for("library.loan").fields["due_at"]
    assert column_value(due_at, "2026-11-27 08:30") == MORNING
    with pytest.raises(ValidationError, match="Say the time of the day"):
        column_value(due_at, "2026-11-27")


@pytest.mark.parametrize(
    ("field", "op", "value", "says"),
    [
        ("copies", "is", "many", "“many” is not a number"),
        ("fee", "more", "39,80", "is not a number"),
        ("due_on", "less", "27.11.2026", "such as 2026-11-27"),
        ("due_on", "is", "2026-02-30", "such as 2026-11-27"),
        ("due_at", "more", "soon", "2026-11-27 08:00"),
        ("status", "is", "borrowed", "Status cannot be “borrowed”"),
        ("is_lost", "is", "maybe", "yes or no"),
        ("branch", "is", "总馆", "Branch cannot be “总馆”"),
        ("title", "more", "x", "Title cannot be compared so"),
        ("status", "contains", "x", "Status cannot be compared so"),
        ("is_lost", "less", "true", "Is lost cannot be compared so"),
        ("copies", "contains", "1", "Copies cannot be compared so"),
    ],
)
def test_wrong_types(field: str, op: str, value: Any, says: str) -> None:
    """They are refused in words, with the number of the condition."""
    with pytest.raises(ValidationError) as error:
        hold(a_loan(), ("title", "not_empty", None), (field, op, value))
    (text,) = error.value.messages
    assert text.startswith("Condition 2: ")
    assert says in text


def test_all_problems_at_once() -> None:
    with pytest.raises(ValidationError) as error:
        hold(a_loan(), ("copies", "is", "x"), ("door_code", "is", "1"), ("title", "is", ""))
    assert [text[:12] for text in error.value.messages] == [
        f"Condition {number}:" for number in (1, 2, 3)
    ]


def test_all_or_any() -> None:
    true, false = ("copies", "is", "1"), ("copies", "is", "2")
    loan = a_loan()
    assert hold(loan)
    assert hold(loan, true, true)
    assert not hold(loan, true, false)
    assert hold(loan, true, false, match="any")
    assert not hold(loan, false, false, match="any")
    assert hold(loan, match="any")


@pytest.mark.django_db
def test_fields_of_other_objects() -> None:
    """Over references, as far as there are any."""
    loan = make_loan(make_user("reader", email="r@school.example"), branch=make_branch())
    assert hold(loan, ("branch__name", "is", "总馆"))
    assert hold(loan, ("borrower__email", "contains", "school"))
    loan.branch = None
    assert hold(loan, ("branch__name", "empty", None), ("branch", "empty", None))
    assert not hold(loan, ("branch__name", "is", "总馆"))


@pytest.mark.django_db
def test_a_value_that_the_database_has_worked_out() -> None:
    """``F()`` stands in the object until it is read again."""
    loan = make_loan(copies=4)
    loan.copies = F("copies") + 1
    loan.save()
    assert hold(loan, ("copies", "is", "5"))


@given(
    kind=st.sampled_from(["copies", "fee"]),
    found=st.decimals(-99999, 99999, places=2, allow_nan=False),
    value=st.decimals(-99999, 99999, places=2, allow_nan=False),
)
def test_order_of_numbers(kind: str, found: Decimal, value: Decimal) -> None:
    """Of two numbers exactly one of less, is and more holds."""
    if kind == "copies":
        found = Decimal(int(found))
    loan = a_loan(**{kind: found})
    results = {op: hold(loan, (kind, op, str(value))) for op in ("less", "is", "more")}
    assert results == {"less": found < value, "is": found == value, "more": found > value}
    assert hold(loan, (kind, "is_not", str(value))) is not results["is"]


@given(
    op=st.sampled_from(Op.values), path=st.sampled_from(list(allowed_for("library.loan").fields))
)
def test_every_operator_that_is_offered_works(op: str, path: str) -> None:
    """An operator either suits the field's kind and can be asked, or it is refused."""
    field = allowed_for("library.loan").fields[path]
    value = {
        Kind.NUMBER: "1",
        Kind.DATE: "2026-11-27",
        Kind.DATETIME: "2026-11-27",
        Kind.BOOLEAN: "true",
        Kind.CHOICE: "ready",
        Kind.TEXT: "x",
        Kind.RELATED: "1",
    }[field.kind]
    loan = a_loan(fee=1, due_on=MORNING.date(), due_at=MORNING, created_at=MORNING)
    loan.branch, loan.borrower = Branch(pk=3, name="总馆"), User(pk=7)
    if op in OPERATORS[field.kind]:
        assert hold(loan, (path, op, value)) in (True, False)
    else:
        with pytest.raises(ValidationError, match="cannot be compared so"):
            hold(loan, (path, op, value))

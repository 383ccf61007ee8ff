"""What is checked of a rule when it is written: every field, in words, all at once."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from tests.factories import make_template
from tests.rules import make_book_template, make_rule, rule_of
from wechat_notify.rules.models import Rule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]

DAY = timedelta(days=1)
REMIND = {"event": "before", "field": "due_at", "value": "", "offset": DAY}
OF_A_DAY = {"event": "after", "field": "due_on", "value": "", "clock": time(9)}


def wrong(rule: Rule) -> dict[str, list[str]]:
    try:
        rule.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"value": ""},
        {"event": "created", "field": "", "value": ""},
        {"field": "branch", "value": "7"},
        {"field": "due_at", "value": "2026-11-27 08:30"},
        {"field": "note", "value": ""},
        REMIND,
        {**REMIND, "offset": timedelta(0)},
        {**REMIND, "event": "after", "grace": timedelta(hours=12)},
        OF_A_DAY,
        {"delay": timedelta(hours=2), "most_a_day": 1, "priority": 10, "link": False},
        {"texts": {"thing1": "{{ user.username }}", "thing2": "{{ object.branch.name }}"}},
        {"texts": {"book": "{{ object.borrower }}: {{ object.borrower.email }}", "thing2": "x"}},
        {"texts": {"book": "西游记", "thing2": "{{ object.due_on|date:'Y-m-d' }}"}},
        {"conditions": {}},
    ],
)
def test_good(fields: dict[str, Any]) -> None:
    assert wrong(rule_of(**fields)) == {}


@pytest.mark.parametrize(
    ("fields", "where", "says"),
    [
        ({"name": ""}, "name", "cannot be blank"),
        ({"model": "shop.order"}, "model", "Rules may not see “shop.order”."),
        ({"event": "changed", "field": ""}, "field", "Choose a field."),
        ({"field": "branch__name"}, "field", "“Branch · Name” is a field of another object"),
        ({"value": "borrowed"}, "value", "Status cannot be “borrowed”."),
        ({"field": "copies", "value": "2.5"}, "value", "“2.5” is not a whole number."),
        ({"field": "due_at", "value": "2026-11-27"}, "value", "Say the time of the day"),
        ({**REMIND, "field": "title"}, "field", "“Title” is not a date."),
        ({**REMIND, "field": ""}, "field", "Choose a field."),
        ({**REMIND, "clock": time(9)}, "clock", "“Due at” has a time of its own."),
        ({**OF_A_DAY, "clock": None}, "clock", "Say at which time of the day."),
        ({**REMIND, "offset": -DAY}, "offset", "from 0 to 3660 days"),
        ({**REMIND, "offset": 4_000 * DAY}, "offset", "from 0 to 3660 days"),
        ({**REMIND, "grace": timedelta(0)}, "grace", "more than 0"),
        ({**REMIND, "grace": 32 * DAY}, "grace", "at most 31 days"),
        ({**REMIND, "delay": DAY}, "delay", "A reminder has its own time."),
        ({"delay": -DAY}, "delay", "from 0 to 366 days"),
        ({"delay": 400 * DAY}, "delay", "from 0 to 366 days"),
        ({"priority": 11}, "priority", "There is no such priority."),
        ({"most_a_day": 0}, "most_a_day", "It must be 1 or more."),
        ({"recipients": []}, "recipients", "Choose whom to tell."),
        ({"texts": {"thing2": "y"}}, "texts", "The field “书名” has no text."),
        (
            {"texts": {"book": "x", "thing2": "y", "z": "1"}},
            "texts",
            "The template has no field “z”.",
        ),
        ({"texts": {"book": "x" * 21, "thing2": "y"}}, "texts", "20"),
        (
            {"texts": {"book": "{{ object.isbn }}", "thing2": "y"}},
            "texts",
            "book: {{ object.isbn }}",
        ),
    ],
)
def test_wrong(fields: dict[str, Any], where: str, says: str) -> None:
    found = wrong(rule_of(**fields))
    assert list(found) == [where]
    assert says in found[where][-1]


def test_all_at_once() -> None:
    rule = rule_of(field="x", conditions=[], recipients=[], texts={}, most_a_day=0, delay=-DAY)
    assert set(wrong(rule)) == {
        "field",
        "conditions",
        "recipients",
        "texts",
        "most_a_day",
        "delay",
    }


def test_templates() -> None:
    """One that is not there, is off, or whose account is gone; one with a stand-in is good."""
    rule = rule_of()
    rule.template_id = None
    assert wrong(rule)["template"][-1] == "Choose a template."
    assert (
        "is not active"
        in wrong(rule_of(template=make_template("off", is_active=False)))["template"][0]
    )
    gone = make_template("gone", account="gone")
    assert "not in the settings" in wrong(rule_of(template=gone))["template"][0]
    stand_in = make_book_template(name="stand_in", template_id="s" * 43)
    missing = make_book_template(
        name="missing",
        template_id="m" * 43,
        is_active=False,
        missing_since="2026-11-27T00:00:00Z",
        stand_in=stand_in,
    )
    assert wrong(rule_of(template=missing)) == {}


def test_fields_that_wechat_no_longer_shows() -> None:
    """``first`` and ``remark`` of old templates need no text."""
    content = "{{first.DATA}}\n书名：{{thing1.DATA}}\n{{remark.DATA}}"
    template = make_template("old", content=content)
    assert wrong(rule_of(template=template, texts={"thing1": "{{ object.title }}"})) == {}


def test_names() -> None:
    """They tell rules apart."""
    make_rule()
    assert list(wrong(rule_of())) == ["name"]

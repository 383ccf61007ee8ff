"""Inputs of a rule's form: spans of time, rows of conditions, and buttons that change the rows."""

from datetime import timedelta
from typing import Any

from django.http import QueryDict
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.rules.admin.checking import stepped
from wechat_notify.rules.admin.condition_rows import PARTS, rows_data, rows_in
from wechat_notify.rules.admin.span_and_value import SpanField, span_data
from wechat_notify.rules.conditions import MOST
from wechat_notify.rules.spans import UNITS, in_words, number_and_unit

minutes = st.integers(min_value=0, max_value=60 * 24 * 3_660)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
rows = st.lists(st.fixed_dictionaries(dict.fromkeys(PARTS, texts)), max_size=MOST)


def sent(data: dict[str, Any]) -> QueryDict:
    """A form with these inputs, as a view gets it."""
    made = QueryDict(mutable=True)
    made.update(data)
    return made


@given(minutes)
def test_a_span_is_said_in_the_largest_unit_that_is_whole(count: int) -> None:
    """Nothing is lost, and no larger unit would do."""
    span = timedelta(minutes=count)
    number, unit = number_and_unit(span)
    assert number * UNITS[unit] == span
    larger = [one for one in UNITS.values() if one > UNITS[unit]]
    assert all(span % one for one in larger) or not span
    assert in_words(span).startswith(str(number))


@given(minutes)
def test_a_span_comes_back_as_it_was_shown(count: int) -> None:
    """What the input shows is what it sends, and what that means."""
    span = timedelta(minutes=count)
    field = SpanField(label="span")
    shown = field.widget.value_from_datadict(span_data("span", span), {}, "span")
    if int(shown[0]) <= 100_000:
        assert field.clean(shown) == span


@given(rows)
def test_rows_come_back_as_they_were_sent(given_rows: list[dict[str, str]]) -> None:
    assert rows_in(sent(rows_data(given_rows))) == given_rows


@given(rows, st.data())
def test_removing_a_row_leaves_the_others(
    given_rows: list[dict[str, str]], data: st.DataObject
) -> None:
    """In their order, whichever goes; a number that is none of them removes nothing."""
    number = data.draw(st.integers(min_value=0, max_value=MOST))
    form = sent({"name": "x", **rows_data(given_rows), "_remove_test": str(number)})
    left, _focus = stepped(form)
    assert rows_in(left) == [row for place, row in enumerate(given_rows) if place != number]
    assert left["name"] == "x"


@given(rows)
def test_adding_a_row_puts_an_empty_one_at_the_end(given_rows: list[dict[str, str]]) -> None:
    """Up to as many as a rule may have."""
    more, focus = stepped(sent({**rows_data(given_rows), "_add_test": "1"}))
    found = rows_in(more)
    assert found[: len(given_rows)] == given_rows
    if len(given_rows) < MOST:
        assert found[len(given_rows) :] == [{"field": "", "op": "is", "value": ""}]
        assert focus == f"id_test-{len(given_rows)}-field"
    else:
        assert len(found) == MOST

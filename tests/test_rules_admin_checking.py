"""What the page is told while a rule is written: it is the server that says what is right."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client
from django.utils import translation

from tests import factories
from tests.rules_pages import WRITE, address, browser, filled, make_loan, make_rule
from wechat_notify.models import MessageTemplate
from wechat_notify.rules.models import Rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def client() -> Client:
    return browser(*WRITE)


def check(client: Client, form: dict[str, Any]) -> dict[str, Any]:
    response = client.post(address("check"), form)
    assert response.status_code == 200
    answer: dict[str, Any] = response.json()
    return answer


def wrong(answer: dict[str, Any]) -> dict[str, str]:
    """What is wrong, by input."""
    return {name: said["error"] for name, said in answer["said"].items() if said.get("error")}


def test_the_sentence_follows(client: Client, template: MessageTemplate) -> None:
    """From the first choice on."""
    start = check(client, {"model": "library.loan", "event": "created"})["shown"]["sentence"]
    assert start == 'When a new <b>Loan</b> is there, tell <b class="wechat-blank">…</b>'.replace(
        "Loan", "loan"
    )
    done = check(client, filled(template))["shown"]["sentence"]
    assert done == (
        "When the <b>Status</b> of a <b>loan</b> becomes <b>ready to be fetched</b>, "
        "tell <b>borrower</b>"
    )


def test_whom_it_would_tell(client: Client, template: MessageTemplate) -> None:
    """The newest object that matches is shown with its people, and the card with its values, as
    soon as everything but the name is filled in."""
    loan = make_loan(title="手工羊毛围巾", number="2026112301")
    make_loan(2, title="too new", status="wanted")
    answer = check(client, filled(template, name=""))
    assert wrong(answer).keys() == {"name"}
    assert "1 person would be told" in answer["shown"]["would"]
    assert "user1" in answer["shown"]["would"]
    assert "手工羊毛围巾" in answer["shown"]["card"]
    assert "2026112301" in answer["shown"]["card"]
    assert f"https://school.example/loans/{loan.pk}/" in answer["shown"]["card"]
    assert answer["said"]["text_thing2"]["count"] == len("手工羊毛围巾")


def test_one_chooses_the_object(client: Client, template: MessageTemplate) -> None:
    """And is told why the rule does not match it."""
    make_loan()
    other = make_loan(2, title="another", status="wanted")
    answer = check(client, filled(template, object=other.pk))
    assert "does not match" in answer["shown"]["would"]
    assert "Status is “wanted”." in answer["shown"]["would"]
    assert "another" in answer["shown"]["card"]
    for nonsense in ("x", "4000", "9" * 40, "' or 1=1"):
        assert "user1" in check(client, filled(template, object=nonsense))["shown"]["would"]


def test_a_persons_own_text(client: Client, template: MessageTemplate) -> None:
    """The card is that of the first who would get it, and says whose it is."""
    user = factories.make_user("lena", first_name="Lena", last_name="Li")
    factories.make_binding(user, 7)
    make_loan(borrower=user)
    answer = check(client, filled(template, text_thing2="For {{ user.get_full_name }}"))
    assert answer["shown"]["person"] == "As Lena Li (lena) sees it"
    assert "For Lena Li" in answer["shown"]["card"]


def test_the_card_speaks_the_sites_language(
    client: Client, template: MessageTemplate, settings: Any
) -> None:
    """Whoever looks at it: so it is sent."""
    settings.LANGUAGE_CODE = "zh-hans"
    make_loan()
    form = filled(template, text_thing2="{{ object.is_lost }}")
    with translation.override("en"):
        shown = check(client, form)["shown"]
    assert "<dd>否</dd>" in shown["card"]


def test_what_is_wrong_for_this_object_is_said(client: Client, template: MessageTemplate) -> None:
    """A title that is too long for the field cannot be known from the text alone; it is no error of
    the form, for other objects have shorter ones."""
    make_loan(title="围" * 30)
    answer = check(client, filled(template))
    assert wrong(answer) == {}
    said = answer["said"]["text_thing2"]
    assert said["count"] == 30
    assert "at most 20 characters" in said["warning"]
    assert Rule.objects.count() == 0
    saved = client.post(address("add"), filled(template, _save="1"))
    assert saved.status_code == 302


def test_errors_are_those_of_saving(client: Client, template: MessageTemplate) -> None:
    """The same words in both places."""
    form = filled(
        template,
        value="eaten",
        paths=[],
        text_thing2="{{ object.door_code }}",
        tests="1",
        **{"test-0-field": "copies", "test-0-op": "more", "test-0-value": "x"},
    )
    found = wrong(check(client, form))
    response = client.post(address("add"), {**form, "_save": "1"})
    said = {k: v for k, v in response.context["form"].problems().items() if k != "__all__"}
    assert found == said
    assert found.keys() == {"value", "paths", "text_thing2", "test-0"}


def test_only_what_changed_is_drawn_again(client: Client, template: MessageTemplate) -> None:
    """The page says what its parts were drawn for; a part that is the same is left alone, so that
    nobody's typing is overwritten."""
    answer = check(client, filled(template))
    shapes = {f"shape_{name}": part["shape"] for name, part in answer["parts"].items()}
    assert shapes.keys() == {
        f"shape_{name}" for name in ("event", "conditions", "recipients", "message", "objects")
    }
    assert check(client, filled(template, **shapes))["parts"] == {}
    assert check(client, filled(template, **shapes, value="back"))["parts"] == {}
    event = check(client, filled(template, **shapes, field="is_lost"))["parts"]
    assert event.keys() == {"event"}
    assert '<option value="True">yes</option>' in event["event"]["html"]
    model = check(client, filled(template, **shapes, model="library.branch"))["parts"]
    assert model.keys() == {"event", "conditions", "recipients", "message", "objects"}
    rows = {"tests": "1", "test-0-field": "due_on", "test-0-op": "is", "test-0-value": ""}
    condition = check(client, filled(template, **shapes, **rows))["parts"]
    assert condition.keys() == {"conditions"}
    assert 'type="date"' in condition["conditions"]["html"]


def test_a_row_more_and_a_row_less(client: Client, template: MessageTemplate) -> None:
    """The keyboard goes on in the new row, or on the button when a row is gone."""
    more = check(client, filled(template, _add_test="1"))
    assert more["focus"] == "id_test-0-field"
    assert 'id="id_test-0-field"' in more["parts"]["conditions"]["html"]
    assert 'name="_remove_test" value="0"' in more["parts"]["conditions"]["html"]
    less = check(client, filled(template, tests="1", _remove_test="0"))
    assert less["focus"] == "wechat-add-test"
    assert "test-0" not in less["parts"]["conditions"]["html"]
    assert check(client, filled(template))["focus"] == ""


def test_values_have_the_inputs_of_their_kind(client: Client, template: MessageTemplate) -> None:
    """Choices, yes and no, dates, numbers; what a field refers to is chosen by name while there are
    few; and dates are later or earlier, not more or less."""
    make_loan()
    kinds = {
        "status": "<select",
        "is_lost": "<select",
        "due_on": 'type="date"',
        "due_at": 'type="datetime-local"',
        "copies": 'inputmode="decimal"',
        "borrower": ">user1</option>",
        "title": 'type="text"',
    }
    for field, expected in kinds.items():
        row = {"tests": "1", "test-0-field": field, "test-0-op": "is", "test-0-value": ""}
        shown = check(client, filled(template, **row))["parts"]["conditions"]["html"]
        value = shown.partition('name="test-0-value"')
        around = value[0][-90:] + value[1] + value[2].partition("</div>")[0]
        assert expected in around, field
        assert ("is later than" in shown) == (field in ("due_on", "due_at")), field
    empty = {"tests": "1", "test-0-field": "note", "test-0-op": "empty"}
    assert (
        "test-0-value"
        not in check(client, filled(template, **empty))["parts"]["conditions"]["html"]
    )


def test_placeholders_are_those_of_the_object_and_the_person(
    client: Client, template: MessageTemplate
) -> None:
    shown = check(client, filled(template))["parts"]["message"]["html"]
    assert 'data-rule-insert="{{ object.branch.name }}"' in shown
    assert 'data-rule-insert="{{ user.get_full_name }}"' in shown
    assert "password" not in shown
    assert "door_code" not in shown


def test_nothing_of_a_form_can_break_it(client: Client, template: MessageTemplate) -> None:
    """Whatever a browser, or somebody without one, sends is answered."""
    Group.objects.create(name="Staff")
    strange = [
        {},
        {"tests": "1000000", "match": "none"},
        {"tests": "-1"},
        {"tests": "²"},
        {"tests": "9" * 5_000, "template": "9" * 5_000, "object": "9" * 5_000},
        {"event": "before", "field": "due_on", "offset_number": "9" * 30, "clock": "25:00"},
        {"event": "after", "field": "due_at", "offset_number": "-1", "offset_unit": "years"},
        {"offset_unit": "", "delay_unit": "", "delay_number": "3"},
        {"template": "x" * 50, "groups": ["x", "9" * 30], "saved": ["-"], "paths": ["__class__"]},
        {"text_thing2": "{{ user.__class__ }}{% load x %}{{" * 20},
        {"text_thing2": "\0", "value": "\0", "name": "\0", "object": "\0"},
        {"model": "library.loan.x", "field": "status__exact", "value": "x" * 5_000},
        {"tests": "1", "test-0-field": "borrower", "test-0-op": "is", "test-0-value": "\0"},
        {"tests": "1", "test-0-field": "borrower", "test-0-op": "is", "test-0-value": "9" * 99},
        {"priority": "", "most_a_day": "9" * 40, "link": "javascript:alert(1)"},
    ]
    make_loan()
    for given in strange:
        check(client, given)
        check(client, {**filled(template), **given})
        response = client.post(address("add"), {**filled(template), **given, "_show": "1"})
        assert response.status_code == 200


def test_a_saved_rule_is_checked_as_itself(client: Client, template: MessageTemplate) -> None:
    """Its own name is not taken by itself."""
    rule = make_rule(template)
    assert wrong(check(client, filled(template, rule=rule.pk))) == {}
    assert "already exists" in wrong(check(client, filled(template)))["name"]

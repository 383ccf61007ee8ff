"""Rules in the admin: the list, writing and changing one, what is refused, and the history."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.db.models.signals import pre_save
from django.utils import timezone

from tests import factories
from tests.admin_pages import text, told
from tests.rules_pages import WRITE, address, browser, errors, filled, make_loan, make_rule
from wechat_notify.models import MessageTemplate, Notification, RecipientFilter
from wechat_notify.rules.models import Firing, Rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(field_names={"order_no": "character_string1"})


def save(form: dict[str, Any], *args: Any) -> Any:
    """Press the button, on the page of a rule or on that for a new one."""
    where = address("change", *args) if args else address("add")
    return browser(*WRITE).post(where, {**form, "_save": "1"}, follow=True)


def inputs(page: str) -> dict[str, Any]:
    """What the page's form would send back, as a browser reads it: texts, ticks and choices."""
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", page):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        name, kind = given.get("name", ""), given.get("type", "text")
        ticked = kind not in ("checkbox", "radio") or " checked" in tag
        if name and kind not in ("submit", "button") and ticked:
            found.setdefault(name, []).append(html.unescape(given.get("value", "")))
    for name, options in re.findall(r'<select name="([^"]+)".*?>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected>', options)
        found.setdefault(name, []).append(html.unescape(chosen[1]) if chosen else "")
    return found


# -- the list -----------------------------------------------------------------------------------


def test_the_list_says_what_each_rule_does_and_did(template: MessageTemplate) -> None:
    """The sentence, the state with its reason, the last firing, and how many in 30 days."""
    rule = make_rule(template, name="Ready", is_active=True)
    make_rule(template, name="Tried", is_active=True, dry_run=True)
    make_rule(template, name="Asleep")
    why = "Rules may not see a field “state”."
    make_rule(template, name="Broken", is_active=True, field="state")
    Rule.objects.filter(name="Broken").update(stopped_because=why)
    for days in (40, 3, 1):
        fired_at = timezone.now() - timedelta(days=days)
        Firing.objects.create(rule=rule, rule_name="Ready", object_id="1", fired_at=fired_at)
    shown = text(browser(*WRITE).get(address()))
    assert "When the Status of a loan becomes ready to be fetched, tell borrower" in shown
    states = re.findall(r'wechat-badge--(\w+)">([^<]+)</span>', shown)
    assert states == [("quiet", "off"), ("bad", "stopped"), ("good", "on"), ("waiting", "dry run")]
    assert why in shown
    listed = address(model="firing")
    assert f'<a href="{listed}?rule__id__exact={rule.pk}">2</a>' in shown


def test_the_list_is_narrowed_down_by_state(template: MessageTemplate) -> None:
    """On, dry run, off and stopped: each rule is in exactly one of them."""
    make_rule(template, name="one-on", is_active=True)
    make_rule(template, name="two-dry", is_active=True, dry_run=True)
    make_rule(template, name="three-off", dry_run=True)
    make_rule(template, name="four-stopped", is_active=True, field="state")
    Rule.objects.filter(field="state").update(stopped_because="gone")
    client = browser(*WRITE)
    found = {
        state: [
            rule.name for rule in client.get(address(), {"state": state}).context["cl"].queryset
        ]
        for state in ("on", "dry_run", "off", "stopped")
    }
    assert found == {
        "on": ["one-on"],
        "dry_run": ["two-dry"],
        "off": ["three-off"],
        "stopped": ["four-stopped"],
    }


def test_the_list_costs_the_same_for_many_rules(
    template: MessageTemplate, django_assert_max_num_queries: Any
) -> None:
    """Names and firings of all rules on the page come with a few queries."""
    group = Group.objects.create(name="Staff")
    for number in range(20):
        rule = make_rule(template, name=f"rule {number}", recipients=[{"group": group.pk}])
        Firing.objects.create(rule=rule, rule_name=rule.name, object_id="1")
    client = browser(*WRITE)
    with django_assert_max_num_queries(16):
        client.get(address())


# -- writing ------------------------------------------------------------------------------------


def test_a_rule_is_written(template: MessageTemplate) -> None:
    """What was filled in is the row; the rule is off, and texts are kept by the site's names."""
    group = Group.objects.create(name="Staff")
    group.user_set.add(factories.make_user("lena"))
    saved = RecipientFilter.objects.create(
        name="All", account="default", criteria={"everyone": True}
    )
    form = filled(
        template,
        groups=[group.pk],
        saved=[saved.pk],
        tests="2",
        match="any",
        **{"test-0-field": "copies", "test-0-op": "more", "test-0-value": "1"},
        **{"test-1-field": "note", "test-1-op": "empty"},
        delay_number="2",
        delay_unit="hours",
        most_a_day="3",
        link="template",
        priority="10",
    )
    response = save(form)
    rule = Rule.objects.get()
    assert (
        told(response) == "“Ready to be fetched” is saved. It does nothing until it is switched on."
    )
    assert (rule.model, rule.event, rule.field, rule.value) == (
        "library.loan",
        "changed",
        "status",
        "ready",
    )
    assert rule.conditions == {
        "match": "any",
        "tests": [
            {"field": "copies", "op": "more", "value": "1"},
            {"field": "note", "op": "empty"},
        ],
    }
    assert rule.recipients == [{"path": "borrower"}, {"group": group.pk}, {"saved": saved.pk}]
    assert rule.texts == {"order_no": "{{ object.number }}", "thing2": "{{ object.title }}"}
    assert (rule.delay, rule.most_a_day, rule.link) == (timedelta(hours=2), 3, False)
    assert rule.priority == Notification.Priority.URGENT
    assert not rule.is_active
    assert rule.created_by.username == "clerk"


def test_a_reminder_is_written(template: MessageTemplate) -> None:
    """A day, a time of day, and how late it may be sent."""
    form = filled(
        template,
        event="before",
        field="due_on",
        offset_number="1",
        offset_unit="days",
        clock="09:30",
        grace_number="3",
        grace_unit="hours",
    )
    save(form)
    rule = Rule.objects.get()
    assert (rule.event, rule.field, rule.value) == ("before", "due_on", "")
    assert (rule.offset, rule.grace) == (timedelta(days=1), timedelta(hours=3))
    assert str(rule.clock) == "09:30:00"


RULES: dict[str, dict[str, Any]] = {
    "becomes": {},
    "created": {"event": "created", "field": "", "value": "", "delay": timedelta(minutes=90)},
    "any change": {"value": "", "link": False, "most_a_day": 2, "priority": 30},
    "before": {"event": "before", "field": "due_at", "value": "", "offset": timedelta(days=2)},
    "conditions": {
        "conditions": {
            "match": "any",
            "tests": [
                {"field": "is_lost", "op": "is", "value": "False"},
                {"field": "due_on", "op": "less", "value": "2026-12-01"},
                {"field": "due_at", "op": "more", "value": "2026-12-01"},
                {"field": "due_at", "op": "more", "value": "2026-12-01T08:00"},
                {"field": "fee", "op": "not_empty"},
            ],
        }
    },
}


@pytest.mark.parametrize("columns", RULES.values(), ids=RULES)
def test_what_the_page_shows_is_what_it_saves(
    template: MessageTemplate, columns: dict[str, Any]
) -> None:
    """Opened and saved without a change, a rule stays as it is, and the history says so."""
    rule = make_rule(template, **columns)
    before = Rule.objects.filter(pk=rule.pk).values().get()
    client = browser(*WRITE)
    page = text(client.get(address("change", rule.pk)))
    response = client.post(address("change", rule.pk), {**inputs(page), "_save": "1"})
    assert response.status_code == 302, errors(response)
    after = Rule.objects.filter(pk=rule.pk).values().get()
    texts = {"order_no": "{{ object.number }}", "thing2": "{{ object.title }}"}
    assert after == {**before, "texts": texts, "updated_at": after["updated_at"]}


def test_saving_keeps_what_others_switched_meanwhile(template: MessageTemplate) -> None:
    """The form knows no states: who saves a text cannot switch a rule on again by that."""
    rule = make_rule(template, is_active=True, dry_run=True)

    def switch_off(sender: type[Rule], instance: Rule, **kwargs: Any) -> None:
        """Somebody else, after this request has read the rule and before it is saved."""
        Rule.objects.filter(pk=instance.pk).update(is_active=False, dry_run=False)

    pre_save.connect(switch_off, sender=Rule)
    try:
        response = save({**filled(template), "name": "Renamed"}, rule.pk)
    finally:
        pre_save.disconnect(switch_off, sender=Rule)
    assert response.status_code == 200
    rule.refresh_from_db()
    assert (rule.name, rule.is_active, rule.dry_run) == ("Renamed", False, False)


def test_recipients_that_somebody_does_not_see_stay(template: MessageTemplate) -> None:
    """Without the permission to see saved recipients, or anybody of a group, these are not offered;
    saving another text does not take them away. What is gone goes."""
    group = Group.objects.create(name="empty")
    saved = RecipientFilter.objects.create(
        name="All", account="default", criteria={"everyone": True}
    )
    kept = [{"path": "borrower"}, {"group": group.pk}, {"saved": saved.pk}]
    rule = make_rule(template, recipients=[*kept, {"group": 4_000}, {"saved": 4_000}])
    client = browser(*(name for name in WRITE if name != "view_recipientfilter"))
    page = text(client.get(address("change", rule.pk)))
    response = client.post(address("change", rule.pk), {**inputs(page), "_save": "1"})
    assert response.status_code == 302, errors(response)
    rule.refresh_from_db()
    assert rule.recipients == kept


@pytest.mark.parametrize(
    ("columns", "where"),
    [
        ({"value": "eaten"}, "value"),
        (
            {
                "conditions": {
                    "match": "all",
                    "tests": [{"field": "status", "op": "is", "value": "eaten"}],
                }
            },
            "test-0",
        ),
    ],
)
def test_a_choice_that_is_gone_does_not_become_another(
    template: MessageTemplate, columns: dict[str, Any], where: str
) -> None:
    """It is still chosen when the page is opened, and refused when it is saved."""
    rule = make_rule(template, **columns)
    client = browser(*WRITE)
    page = inputs(text(client.get(address("change", rule.pk))))
    response = client.post(address("change", rule.pk), {**page, "_save": "1"})
    assert "cannot be “eaten”" in errors(response)[where]


@pytest.mark.parametrize(
    "columns",
    [
        {"conditions": [], "recipients": {}, "texts": []},
        {"conditions": {"match": 3, "tests": {"field": 1}}, "texts": {"thing2": 7}},
        {"conditions": {"tests": [1, {}, {"field": ["x"]}]}, "recipients": [1, {"group": "x"}]},
        {"recipients": [{"saved": [1]}, {"path": None}], "texts": {"thing2": None}},
        {"event": "exploded", "value": "x" * 400, "model": "", "field": "borrower__password"},
        {"model": "auth.user", "field": "password"},
        {"priority": 77, "most_a_day": 0},
        {"recipients": [{"group": 10**40}, {"group": True}, {"saved": "9" * 40}, {"group": -1}]},
    ],
)
def test_rows_that_no_form_has_written(template: MessageTemplate, columns: dict[str, Any]) -> None:
    """Somebody may write a row by SQL: its pages say what is wrong, and it can be written anew."""
    rule, loan = make_rule(template), make_loan()
    Rule.objects.filter(pk=rule.pk).update(**columns)
    client = browser(*WRITE, "switch_rule", "send_notification")
    for where in (
        address(),
        address("change", rule.pk),
        address("try", rule.pk),
        address("switch", rule.pk, "on"),
    ):
        shown = text(client.get(where, {"object": loan.pk} if "try" in where else {}))
        assert rule.name in shown or "switch" in where
    assert "cannot be switched on like this" in shown
    form = {**filled(template), "_save": "1"}
    assert client.post(address("change", rule.pk), form).status_code == 302


# -- without JavaScript -------------------------------------------------------------------------


def test_choices_follow_what_was_chosen(template: MessageTemplate) -> None:
    """The page comes back with the inputs that belong to what is chosen, keeps what was typed, and
    complains of nothing yet."""
    client = browser(*WRITE)
    page = text(client.get(address("add")))
    assert 'name="paths"' not in page
    form = {"name": "Half", "model": "library.loan", "event": "changed", "_show": "1"}
    page = text(client.post(address("add"), form))
    assert 'value="Half"' in page
    assert '<option value="status">Status</option>' in page
    assert (
        '<option value="branch__name">' not in page.partition('name="field"')[2].partition("<p")[0]
    )
    assert 'name="paths" value="branch__librarians"' in page
    assert "errornote" not in page
    assert "aria-invalid" not in page
    page = text(client.post(address("add"), {**form, "field": "status", "template": template.pk}))
    assert '<option value="ready">ready to be fetched</option>' in page
    assert 'name="text_thing2"' in page
    assert "object.title" in page
    page = text(client.post(address("add"), {**form, "event": "before", "field": "due_on"}))
    assert 'name="clock"' in page
    assert 'name="offset_number"' in page
    assert 'name="delay_number"' not in page
    assert not Rule.objects.exists()


def test_rows_of_conditions_come_and_go(template: MessageTemplate) -> None:
    """Two buttons; what stands in the other rows stays."""
    client = browser(*WRITE)
    rows = {
        "tests": "2",
        "test-0-field": "copies",
        "test-0-op": "more",
        "test-0-value": "1",
        "test-1-field": "title",
        "test-1-op": "contains",
        "test-1-value": "wool",
    }
    more = inputs(text(client.post(address("add"), filled(template, **rows, _add_test="1"))))
    assert more["tests"] == ["3"]
    assert more["test-1-value"] == ["wool"]
    assert more["test-2-field"] == [""]
    less = inputs(text(client.post(address("add"), filled(template, **rows, _remove_test="0"))))
    assert less["tests"] == ["1"]
    assert less["test-0-field"] == ["title"]
    assert less["test-0-op"] == ["contains"]
    assert less["test-0-value"] == ["wool"]
    same = inputs(text(client.post(address("add"), filled(template, **rows, _remove_test="x"))))
    assert same["tests"] == ["2"]
    many = filled(template, tests="20", _add_test="1")
    assert inputs(text(client.post(address("add"), many)))["tests"] == ["20"]


# -- what is refused ----------------------------------------------------------------------------

WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no name": ({"name": " "}, "name", "This field is required."),
    "no event": ({"event": "deleted"}, "event", "Select a valid choice."),
    "a field that is not allowed": ({"field": "door_code"}, "field", "Select a valid choice."),
    "no field": ({"field": ""}, "field", "required"),
    "a field of another object": ({"field": "branch__name"}, "field", "Select a valid choice."),
    "no choice of the field": ({"value": "eaten"}, "value", "cannot be “eaten”"),
    "no recipients": ({"paths": []}, "paths", "Choose whom to tell."),
    "a path that is not allowed": ({"paths": ["logentry"]}, "paths", "Select a valid choice."),
    "a group nobody sees": ({"groups": ["77"]}, "groups", "Select a valid choice."),
    "no text": ({"text_thing2": ""}, "text_thing2", "Is empty"),
    "a text that is too long": ({"text_thing2": "x" * 21}, "text_thing2", "at most 20 characters"),
    "a password": (
        {"text_thing2": "{{ object.borrower.password }}"},
        "text_thing2",
        "cannot be used here",
    ),
    "a private name": (
        {"text_thing2": "{{ object._state.db }}"},
        "text_thing2",
        "may not begin with underscores",
    ),
    "a tag": ({"text_thing2": "{% now 'Y' %}"}, "text_thing2", "not {% … %}"),
    "too long a delay": ({"delay_number": "999999"}, "delay", "less than or equal"),
    "no limit at all": ({"most_a_day": "0"}, "most_a_day", "greater than or equal to 1"),
    "no such priority": ({"priority": "99"}, "priority", "Select a valid choice."),
    "a condition without a field": (
        {"tests": "1", "test-0-field": "", "test-0-value": "3"},
        "test-0",
        "Choose a field",
    ),
    "a condition on what is not allowed": (
        {"tests": "1", "test-0-field": "door_code", "test-0-op": "is", "test-0-value": "1"},
        "test-0",
        "Rules may not see a field “door_code”",
    ),
    "a condition of another type": (
        {"tests": "1", "test-0-field": "copies", "test-0-op": "more", "test-0-value": "many"},
        "test-0",
        "“many” is not a number",
    ),
    "a comparison that the field has not": (
        {"tests": "1", "test-0-field": "title", "test-0-op": "more", "test-0-value": "3"},
        "test-0",
        "cannot be compared so",
    ),
}


@pytest.mark.parametrize(("changed", "where", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_beside_its_input(
    template: MessageTemplate, changed: dict[str, Any], where: str, said: str
) -> None:
    """Nothing is saved, everything typed is still there, and the error stands at its input."""
    response = save(filled(template, **changed))
    found = errors(response)
    assert said in found[where]
    assert [name for name in found if name not in (where, "__all__")] == []
    page = text(response)
    beside = page.partition(f'data-rule-input="{where}"')[2].partition("data-rule-input")[0]
    assert html.escape(found[where].split(". ")[0]) in beside
    assert "errornote" in page
    assert not Rule.objects.exists()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("label", ["auth.user", "library.door", "", "library.loan.x"])
def test_a_model_that_no_rule_may_see(template: MessageTemplate, label: str) -> None:
    """It cannot be chosen, and nothing of it is shown."""
    response = save(filled(template, model=label))
    assert "model" in errors(response)
    assert 'name="paths"' not in text(response)
    assert not Rule.objects.exists()


@pytest.mark.parametrize("pk", ["", "0", "x", "9" * 30])
def test_no_template_or_none_that_there_is(template: MessageTemplate, pk: str) -> None:
    """The texts are asked for when there is a template."""
    response = save({**filled(template), "template": pk})
    assert "template" in errors(response)
    assert "Choose a template first." in text(response)
    assert not Rule.objects.exists()


def test_a_clock_where_there_is_only_a_day(template: MessageTemplate) -> None:
    """A date has no time of its own, so one is asked for; and a reminder that may never be late is
    none."""
    day = filled(template, event="before", field="due_on", offset_number="1", offset_unit="days")
    assert "required" in errors(save(day))["clock"]
    moment = filled(template, event="after", field="status")
    assert "Select a valid choice" in errors(save(moment))["field"]


def test_a_name_is_given_once(template: MessageTemplate) -> None:
    """Two rules of one name could not be told apart in the history."""
    rule = make_rule(template)
    assert "already exists" in errors(save(filled(template)))["name"]
    assert errors_free(save(filled(template), rule.pk))


def errors_free(response: Any) -> bool:
    return "form" not in (response.context or {}) or not errors(response)


def test_every_error_at_once(template: MessageTemplate) -> None:
    """Whoever left out half of it sees all of that, not one error after the other."""
    found = errors(save(filled(template, name="", value="eaten", paths=[], text_thing2="")))
    assert found.keys() == {"name", "value", "paths", "text_thing2"}


def test_saved_recipients_that_no_rule_can_tell_are_not_offered(template: MessageTemplate) -> None:
    """Openids, rows of a list, segments and conditions need somebody who composes; other accounts
    have their own.
    """
    kept = {
        "openids": {"openids": [factories.openid(1)]},
        "list": {"list": {"label": "x"}},
        "segments": {"segments": ["room-1"]},
        "conditions": {"everyone": True, "missed": True},
    }
    for name, criteria in {**kept, "All": {"everyone": True}}.items():
        RecipientFilter.objects.create(name=name, account="default", criteria=criteria)
    RecipientFilter.objects.create(name="theirs", account="other", criteria={"everyone": True})
    form = browser(*WRITE).post(address("add"), filled(template)).context["form"]
    assert [str(one) for one in form.fields["saved"].queryset] == ["All"]


# -- history ------------------------------------------------------------------------------------


def test_the_history_keeps_old_and_new_words(template: MessageTemplate) -> None:
    """Who wrote a rule and what it did then; who changed it, from what to what."""
    save(filled(template))
    rule = Rule.objects.get()
    changed = filled(
        template,
        value="back",
        text_thing2="{{ object.title }}!",
        most_a_day="2",
        tests="1",
        **{"test-0-field": "copies", "test-0-op": "more", "test-0-value": "1"},
    )
    save(changed, rule.pk)
    save(changed, rule.pk)
    added, second, third = LogEntry.objects.order_by("pk")
    assert added.change_message == (
        "When the Status of a loan becomes ready to be fetched, tell borrower"
    )
    assert second.change_message.split("; ") == [
        "New value: ready to be fetched → back",
        "Conditions: - → Copies is more than 1",
        "At most a day: - → 2",
        "Text of 商品名称: {{ object.title }} → {{ object.title }}!",
    ]
    assert third.change_message == "Saved without a change."
    shown = html.unescape(text(browser(*WRITE).get(address("history", rule.pk))))
    assert "New value: ready to be fetched → back" in shown


def test_deleting_a_rule_keeps_what_it_did(template: MessageTemplate) -> None:
    """The firings stay, with the name that the rule had."""
    rule, loan = make_rule(template), make_loan()
    Firing.objects.create(
        rule=rule, rule_name=rule.name, object_id=str(loan.pk), object_text=str(loan)
    )
    client = browser(*WRITE, "delete_rule")
    assert client.post(address("delete", rule.pk), {"post": "yes"}).status_code == 302
    assert not Rule.objects.exists()
    shown = text(client.get(address(model="firing")))
    assert "Ready to be fetched (deleted)" in shown

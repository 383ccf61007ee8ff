"""Who may do what with rules: anonymous, not staff, staff with and without each permission, and
staff of another account. Every address, by a table."""

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import get_resolver

from tests import factories
from tests.admin_pages import text
from tests.library.models import Loan
from tests.rules_pages import (
    SEE,
    SWITCH,
    WRITE,
    address,
    browser,
    filled,
    make_loan,
    make_rule,
)
from wechat_notify.backends.locmem import outbox
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.rules import second_person
from wechat_notify.rules.models import Firing, Rule, SwitchRequest

pytestmark = pytest.mark.django_db


class Rows(NamedTuple):
    template: MessageTemplate
    rule: Rule
    firing: Firing
    loan: Loan
    asked: Rule
    """One that somebody wants to be on."""


@pytest.fixture
def rows(template: MessageTemplate) -> Rows:
    rule, loan = make_rule(template), make_loan()
    would = [{"user": 1, "name": "Alice", "data": {"thing2": "x"}, "problem": ""}]
    firing = Firing.objects.create(
        rule=rule, rule_name=rule.name, object_id=str(loan.pk), is_dry_run=True, would=would
    )
    asked = make_rule(template, name="Asked for", recipients=[{"path": "watchers"}])
    second_person.ask(asked, factories.make_user("asker"))
    return Rows(template, rule, firing, loan, asked)


def snapshot() -> list[Any]:
    """Everything that a page of rules could change."""
    models = (Rule, SwitchRequest, Firing, Notification, SendLog, LogEntry)
    return [list(model._default_manager.order_by("pk").values()) for model in models] + [
        list(outbox)
    ]


Ask = Callable[[Client, Rows], Any]


def switch(client: Client, rows: Rows, name: str) -> Any:
    return client.post(address("switch", rows.rule.pk, name), {"post": "yes"})


APPROVE = ("view_rule", "approve_notification")


def approve(client: Client, rows: Rows) -> Any:
    seen = second_person.fingerprint(rows.asked)
    return client.post(address("approve", rows.asked.pk), {"post": "yes", "seen": seen})


# The name of each address, what it takes, and how it is asked.
PAGES: list[tuple[str, tuple[str, ...], Ask]] = [
    ("changelist", ("view_rule",), lambda client, rows: client.get(address())),
    ("change", ("view_rule",), lambda client, rows: client.get(address("change", rows.rule.pk))),
    ("try", ("view_rule",), lambda client, rows: client.get(address("try", rows.rule.pk))),
    ("past", ("view_rule",), lambda client, rows: client.get(address("past", rows.rule.pk))),
    ("history", ("view_rule",), lambda client, rows: client.get(address("history", rows.rule.pk))),
    ("add", WRITE, lambda client, rows: client.get(address("add"))),
    ("check", WRITE, lambda client, rows: client.post(address("check"), filled(rows.template))),
    (
        "firings",
        ("view_firing",),
        lambda client, rows: client.get(address(model="firing")),
    ),
    (
        "firing",
        ("view_firing",),
        lambda client, rows: client.get(address("change", rows.firing.pk, model="firing")),
    ),
    *(
        (
            f"ask to switch {name}",
            SWITCH,
            lambda client, rows, name=name: client.get(  # type: ignore[misc]
                address("switch", rows.rule.pk, name)
            ),
        )
        for name in ("on", "dry_run", "off")
    ),
]
PAGES += [
    ("approve", APPROVE, lambda client, rows: client.get(address("approve", rows.asked.pk))),
    ("refuse", APPROVE, lambda client, rows: client.get(address("refuse", rows.asked.pk))),
    ("withdraw", SWITCH, lambda client, rows: client.get(address("withdraw", rows.asked.pk))),
]
VERBS: list[tuple[str, tuple[str, ...], Ask]] = [
    (
        "add",
        WRITE,
        lambda client, rows: client.post(
            address("add"), filled(rows.template, name="New", _save="1")
        ),
    ),
    (
        "change",
        WRITE,
        lambda client, rows: client.post(
            address("change", rows.rule.pk), filled(rows.template, name="New", _save="1")
        ),
    ),
    ("switch on", SWITCH, lambda client, rows: switch(client, rows, "on")),
    ("switch to dry run", SWITCH, lambda client, rows: switch(client, rows, "dry_run")),
    ("approve", APPROVE, approve),
    (
        "refuse",
        APPROVE,
        lambda client, rows: client.post(
            address("refuse", rows.asked.pk), {"post": "yes", "reason": "no"}
        ),
    ),
    (
        "withdraw",
        SWITCH,
        lambda client, rows: client.post(address("withdraw", rows.asked.pk), {"post": "yes"}),
    ),
    (
        "delete",
        ("view_rule", "delete_rule"),
        lambda client, rows: client.post(address("delete", rows.rule.pk), {"post": "yes"}),
    ),
]
EVERY = PAGES + [(f"{name} (POST)", needs, ask) for name, needs, ask in VERBS]
every = pytest.mark.parametrize(
    ("needs", "ask"), [one[1:] for one in EVERY], ids=[e[0] for e in EVERY]
)
NEEDS = [
    pytest.param(needs, without, ask, id=f"{name} without {without}")
    for name, needs, ask in EVERY
    for without in needs
    # Seeing one's own rules follows from changing them, and the other lists are lists of their own.
    if without not in ("view_firing", "view_recipientfilter", "view_rule") or len(needs) == 1
    if not (without == "add_rule" and "change" in name)
    if not (without == "change_rule" and "change" not in name)
    # The object of a rule that is being written is looked at below.
    if without != "view_loan"
]


def test_the_table_has_every_address() -> None:
    """An address that somebody adds is added here, too."""
    names = {
        name.removeprefix("wechat_notify_rules_")
        for name in get_resolver("tests.urls").namespace_dict["admin"][1].reverse_dict
        if isinstance(name, str) and name.startswith("wechat_notify_rules_")
    }
    assert names == {
        *(f"rule_{name}" for name in ("changelist", "change", "try", "history", "add", "check")),
        *("rule_switch", "rule_delete", "rule_past"),
        *("rule_approve", "rule_refuse", "rule_withdraw"),
        *(f"firing_{name}" for name in ("changelist", "change", "history", "add", "delete")),
    }


@every
def test_strangers_are_sent_to_the_login(rows: Rows, needs: tuple[str, ...], ask: Ask) -> None:
    before = snapshot()
    response = ask(Client(), rows)
    assert response.status_code == 302
    assert "/login/" in response.url
    assert snapshot() == before


@every
def test_users_who_are_not_staff(rows: Rows, needs: tuple[str, ...], ask: Ask) -> None:
    """Permissions alone open no admin."""
    user = factories.make_user("pupil")
    user.user_permissions.set(Permission.objects.filter(codename__in=needs))
    client = Client()
    client.force_login(user)
    before = snapshot()
    assert ask(client, rows).status_code == 302
    assert snapshot() == before


@pytest.mark.parametrize(("needs", "without", "ask"), NEEDS)
def test_staff_without_one_permission(
    rows: Rows, needs: tuple[str, ...], without: str, ask: Ask
) -> None:
    """Each permission is needed: without it the page is forbidden and nothing is changed."""
    client = browser(*(set(needs) - {without}))
    before = snapshot()
    assert ask(client, rows).status_code == 403
    assert snapshot() == before


@every
def test_staff_with_the_permissions(rows: Rows, needs: tuple[str, ...], ask: Ask) -> None:
    assert ask(browser(*needs), rows).status_code in (200, 302)


@pytest.mark.parametrize(("needs", "ask"), [one[1:] for one in PAGES], ids=[p[0] for p in PAGES])
def test_looking_changes_nothing(rows: Rows, needs: tuple[str, ...], ask: Ask) -> None:
    """Pages, questions and checks write no row and send nothing."""
    client = browser(*needs)
    before = snapshot()
    ask(client, rows)
    assert snapshot() == before


@pytest.mark.parametrize("name", ["on", "dry_run", "off"])
def test_only_an_answered_question_switches(rows: Rows, name: str) -> None:
    """A GET, and a POST that does not come from the page that asks, change nothing."""
    Rule.objects.update(is_active=name == "off")
    client = browser(*SWITCH)
    before = snapshot()
    for given in ({}, {"post": "no"}):
        assert client.post(address("switch", rows.rule.pk, name), given).status_code == 200
    assert client.get(address("switch", rows.rule.pk, name), {"post": "yes"}).status_code == 200
    assert snapshot() == before


def test_forged_posts_are_refused(rows: Rows) -> None:
    """Every POST needs the page's own token."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(get_user_model().objects.create_superuser("boss"))
    before = snapshot()
    for _name, _needs, ask in VERBS:
        assert ask(client, rows).status_code == 403
    assert client.post(address("check"), filled(rows.template)).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("name", ["add", "change", "delete"])
def test_nobody_writes_firings(rows: Rows, name: str) -> None:
    """What a rule did is the app's to write: not even a superuser's."""
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("boss"))
    args = () if name == "add" else (rows.firing.pk,)
    before = snapshot()
    assert client.post(address(name, *args, model="firing"), {"post": "yes"}).status_code == 403
    assert snapshot() == before


@pytest.mark.parametrize("pk", ["4000", "x", "1/1", "9" * 30])
def test_no_such_rule(rows: Rows, pk: str) -> None:
    client = browser(*WRITE, "switch_rule", "send_notification")
    assert client.get(address("try", pk)).status_code == 404
    assert client.get(address("switch", pk, "on")).status_code == 404
    assert client.get(address("change", pk)).status_code == 404
    assert client.post(address("check"), {"rule": pk}).status_code == 404


def test_no_such_position_of_the_switch(rows: Rows) -> None:
    client = browser(*SWITCH)
    for name in ("up", "stopped"):
        response = client.post(address("switch", rows.rule.pk, name), {"post": "yes"})
        assert response.status_code == 404


# -- what is on --------------------------------------------------------------------------------


def test_what_is_on_is_changed_by_those_who_may_switch(rows: Rows) -> None:
    """A text that is saved leaves with the next object, so it takes what switching takes."""
    Rule.objects.update(is_active=True)
    form = filled(rows.template, name="New", _save="1")
    client = browser(*WRITE)
    page = text(client.get(address("change", rows.rule.pk)))
    assert "permission to switch rules if it is on" in page
    assert "_save" not in page
    assert client.post(address("change", rows.rule.pk), form).status_code == 403
    check = {**form, "rule": rows.rule.pk}
    assert client.post(address("check"), check).status_code == 403
    Rule.objects.update(dry_run=True)
    assert client.post(address("change", rows.rule.pk), form).status_code == 302
    Rule.objects.update(dry_run=False)
    both = browser(*WRITE, "switch_rule", "send_notification", name="both")
    assert both.post(address("change", rows.rule.pk), form).status_code == 302


def test_rules_about_what_somebody_may_not_see_are_not_changed_by_them(rows: Rows) -> None:
    """Else they could let a text tell them of it."""
    without = browser(*(name for name in WRITE if name != "view_loan"))
    form = filled(rows.template, name="New", _save="1")
    assert without.post(address("change", rows.rule.pk), form).status_code == 403
    check = {**form, "rule": rows.rule.pk}
    assert without.post(address("check"), check).status_code == 403
    Rule.objects.update(model="library.gone")
    assert without.get(address("change", rows.rule.pk)).context["may_change"] is True


def test_whoever_may_only_look_sees_the_form_and_no_buttons(rows: Rows) -> None:
    tests = [{"field": "copies", "op": "more", "value": "1"}]
    Rule.objects.update(conditions={"match": "all", "tests": tests})
    page = text(browser("view_rule", "view_loan").get(address("change", rows.rule.pk)))
    for name in ("_save", "_add_test", "data-check", "/switch/", "/delete/"):
        assert name not in page
    for name in ("name", "event", "value", "test-0-field", "test-0-value", "paths", "text_thing2"):
        (tag,) = re.findall(rf'<(?:input|select) [^>]*name="{name}"[^>]*>', page)[:1]
        assert "disabled" in tag, name


# -- people and objects ------------------------------------------------------------------------


def test_objects_that_somebody_may_not_see_are_not_told_of(rows: Rows) -> None:
    """Without the permission to see loans nobody writes a rule about them, nor sees one in a
    preview; how many it would have been is said all the same."""
    allowed = [name for name in WRITE if name != "view_loan"]
    client = browser(*allowed)
    assert "library.loan" not in text(client.get(address("add")))
    response = client.post(address("add"), filled(rows.template, name="New", _save="1"))
    assert "model" in response.context["form"].errors
    page = text(client.get(address("try", rows.rule.pk)))
    assert "围巾" not in page
    past = client.get(address("past", rows.rule.pk)).json()["html"]
    assert "1 message (people: 1)" in past
    assert "围巾" not in past
    said = client.post(address("check"), filled(rows.template)).json()
    assert "围巾" not in str(said)


def test_people_are_named_to_those_who_may_see_users(rows: Rows) -> None:
    """Somebody who only looks sees how many there are."""
    without = text(browser(*SEE, "view_loan").get(address("try", rows.rule.pk)))
    assert "1 person would be told" in without
    assert "user1" not in without
    unnamed = browser(*SEE, "view_loan").get(address("past", rows.rule.pk)).json()["html"]
    assert "user1" not in unnamed
    assert "user1" in text(
        browser(*SEE, "view_loan", "view_user").get(address("try", rows.rule.pk))
    )


# -- accounts ----------------------------------------------------------------------------------


@pytest.fixture
def one_account(settings: Any) -> None:
    """A site on which only superusers work with the account "other"."""
    settings.ROOT_URLCONF = "tests.rules_site"


@every
def test_rules_of_another_account_do_not_exist(
    rows: Rows, one_account: None, needs: tuple[str, ...], ask: Ask
) -> None:
    """Not on a list, and their pages are not found; nothing is changed."""
    MessageTemplate.objects.update(account="other")
    client = browser(*needs)
    before = snapshot()
    response = ask(client, rows)
    if response.status_code == 200 and response.get("Content-Type") != "application/json":
        assert rows.rule.name not in text(response).partition("<h1")[2]
        assert "user1" not in text(response)
    else:
        assert response.status_code in (200, 302, 404)
    assert snapshot() == before


def test_templates_of_another_account_cannot_be_chosen(rows: Rows, one_account: None) -> None:
    theirs = factories.make_template("theirs", account="other", title="theirs")
    client = browser(*WRITE)
    assert "theirs" not in text(client.get(address("add")))
    response = client.post(address("add"), filled(theirs, name="New", _save="1"))
    assert "template" in response.context["form"].errors
    assert not Rule.objects.filter(name="New").exists()


def test_people_and_objects_that_the_site_hides(rows: Rows, one_account: None) -> None:
    """What the site's own admin of loans and users hides is offered nowhere here."""
    hidden = make_loan(2, title="hidden scarf")
    client = browser(*WRITE)
    page = text(client.get(address("try", rows.rule.pk)))
    assert "围巾" in page
    assert "hidden scarf" not in page.partition('name="object"')[2].partition("</select>")[0]
    chosen = text(client.get(address("try", rows.rule.pk), {"object": hidden.pk}))
    assert "<strong>hidden scarf" not in chosen

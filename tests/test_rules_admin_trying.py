"""Trying a rule, switching it, and what it did: its firings, and the pages of its notifications."""

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.admin_pages import page, serve_admin, text, told
from tests.library.models import Loan
from tests.rules_pages import SEE, SWITCH, WRITE, address, browser, make_loan, make_rule
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.rules.admin import past
from wechat_notify.rules.admin.firing_list import FiringAdmin
from wechat_notify.rules.admin.past import past_of
from wechat_notify.rules.admin.rule_list import RuleAdmin
from wechat_notify.rules.models import Firing, Rule

pytestmark = pytest.mark.django_db

EVERYTHING = (*WRITE, "switch_rule", "send_notification", "view_notification")


@pytest.fixture
def client() -> Client:
    return browser(*EVERYTHING)


@pytest.fixture
def rule(template: MessageTemplate) -> Rule:
    return make_rule(template)


def switch(client: Client, rule: Rule, name: str) -> str:
    """What is told after the answer yes."""
    return told(client.post(address("switch", rule.pk, name), {"post": "yes"}, follow=True))


# -- trying -------------------------------------------------------------------------------------


def test_who_would_get_what(client: Client, rule: Rule) -> None:
    """By the words on the card, and with the reason for those who would get nothing."""
    make_loan(title="手工羊毛围巾")
    shown = text(client.get(address("try", rule.pk)))
    assert "<dt>商品名称</dt><dd>手工羊毛围巾</dd>" in shown
    nobody = make_loan(title="其他", borrower=factories.make_user("unbound"))
    shown = text(client.get(address("try", rule.pk), {"object": nobody.pk}))
    assert "unbound" in shown
    assert "has not bound WeChat" in shown


def test_an_object_that_does_not_match(client: Client, rule: Rule) -> None:
    loan = make_loan(status="wanted")
    shown = text(client.get(address("try", rule.pk), {"object": loan.pk}))
    assert "does not match" in shown
    assert "Status is “wanted”." in shown


def test_nothing_to_try_it_on(client: Client, rule: Rule) -> None:
    """A site that begins has no objects; its rules can be looked at all the same."""
    shown = text(client.get(address("try", rule.pk)))
    assert "There is no loan yet to try it on." in shown
    assert "it would have sent nothing" in client.get(address("past", rule.pk)).json()["html"]


def test_a_rule_that_cannot_run_says_why(client: Client, rule: Rule) -> None:
    make_loan()
    Rule.objects.update(field="state")
    shown = text(client.get(address("try", rule.pk)))
    assert "Rules may not see a field “state”." in shown
    assert "In the last 30 days" not in shown
    assert client.get(address("past", rule.pk)).json() == {"html": "<div></div>", "again": None}


def test_the_past_is_looked_at_without_javascript_too(client: Client, rule: Rule) -> None:
    """The page has a link instead of fetching it, and keeps the object."""
    make_loan()
    shown = text(client.get(address("try", rule.pk)))
    (link,) = re.findall(r'wechat-reload" href="([^"]+)"', shown)
    shown = text(client.get(address("try", rule.pk) + html.unescape(link)))
    assert "it would have sent 1 message (people: 1)." in shown
    assert "围巾 → user1" in shown


# -- the last 30 days ---------------------------------------------------------------------------


def test_what_it_would_have_sent(rule: Rule) -> None:
    """Messages, different people, and those who would have got nothing."""
    first = make_loan()
    make_loan(borrower=first.borrower)
    make_loan(2)
    make_loan(borrower=factories.make_user("unbound"))
    make_loan(3, status="wanted")
    found = past_of(rule)
    assert (found.objects, found.messages, found.people, found.skipped) == (4, 3, 2, 1)
    assert found.told() == (
        "In the last 30 days it would have sent 3 messages (people: 2). "
        "1 more would not have been sent: cannot be reached, or a text is not right."
    )
    assert "Looked at 4" in found.looked()
    assert "have this value now" in found.looked()


def test_only_so_many_are_looked_at(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """And it says so: nobody takes a part for the whole."""
    monkeypatch.setattr(past, "MOST", 3)
    borrower = make_loan().borrower
    for _number in range(4):
        make_loan(borrower=borrower)
    found = past_of(rule)
    assert found.messages == 3
    assert "the newest 3 only" in found.looked()


def test_more_people_than_are_counted(rule: Rule) -> None:
    """How many different people they are is not claimed where they were not all looked at."""
    loan = make_loan()
    users = [binding.user for binding in factories.make_bindings(105, first=10)]
    loan.watchers.set(users)
    Rule.objects.update(recipients=[{"path": "watchers"}])
    rule.refresh_from_db()
    found = past_of(rule)
    assert found.messages == 105
    assert found.people is None
    assert found.told() == "In the last 30 days it would have sent up to 105 messages."


def test_old_ones_do_not_count(template: MessageTemplate) -> None:
    """Of a rule about new objects: those of the last 30 days."""
    rule = make_rule(template, event="created", field="", value="")
    old = make_loan()
    Loan.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))
    make_loan(2)
    assert past_of(rule).messages == 1


# -- switching ----------------------------------------------------------------------------------


def test_switching_on_says_how_many_it_would_have_been(client: Client, rule: Rule) -> None:
    make_loan()
    make_loan(2)
    shown = text(client.get(address("switch", rule.pk, "on")))
    assert "tell borrower" in shown
    assert "it would have sent 2 messages (people: 2)" in shown
    assert "wechat-warnings" not in shown
    assert switch(client, rule, "on") == "“Ready to be fetched” is on."
    rule.refresh_from_db()
    assert (rule.is_active, rule.dry_run) == (True, False)


def test_many_messages_are_warned_of(
    client: Client, rule: Rule, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_loan().watchers.set([one.user for one in factories.make_bindings(101, first=10)])
    Rule.objects.update(recipients=[{"path": "watchers"}])
    assert "That is many messages" in text(client.get(address("switch", rule.pk, "on")))
    assert "That is many messages" not in text(client.get(address("switch", rule.pk, "dry_run")))


@pytest.mark.parametrize(
    ("name", "columns"),
    [("on", (True, False)), ("dry_run", (True, True)), ("off", (False, False))],
)
def test_every_position_is_reached_from_every_other(
    client: Client, rule: Rule, name: str, columns: tuple[bool, bool]
) -> None:
    """And kept in the history, with who did it."""
    for is_active, dry_run in [(True, False), (True, True), (False, False), (False, True)]:
        Rule.objects.update(is_active=is_active, dry_run=dry_run)
        switch(client, rule, name)
        rule.refresh_from_db()
        assert (rule.is_active, rule.dry_run) == columns
    entry = LogEntry.objects.latest("pk")
    after = {"on": "on", "dry_run": "dry run", "off": "off"}[name]
    assert entry.change_message == f"State: off → {after}"
    assert entry.user.username == "clerk"


@pytest.mark.parametrize("name", ["on", "dry_run"])
def test_what_cannot_run_is_not_switched_on(client: Client, rule: Rule, name: str) -> None:
    """It says what is wrong, has no button, and a forged answer changes nothing."""
    Rule.objects.update(recipients=[{"group": 77}])
    shown = text(client.get(address("switch", rule.pk, name)))
    assert "A group that it is to tell is gone." in shown
    assert 'class="default"' not in shown
    client.post(address("switch", rule.pk, name), {"post": "yes"})
    rule.refresh_from_db()
    assert not rule.is_active


def test_a_stopped_rule_can_be_switched_off(client: Client, rule: Rule) -> None:
    Rule.objects.update(is_active=True, field="state", stopped_because="gone")
    switch(client, rule, "off")
    rule.refresh_from_db()
    assert not rule.is_active


def test_the_buttons_are_those_that_change_something(client: Client, rule: Rule) -> None:
    for state, offered in {
        (False, False): ["Switch on", "Switch to dry run"],
        (True, True): ["Switch on", "Switch off"],
        (True, False): ["Switch to dry run", "Switch off"],
    }.items():
        Rule.objects.update(is_active=state[0], dry_run=state[1])
        for where in ("try", "change"):
            buttons = client.get(address(where, rule.pk)).context["buttons"]
            labels = [str(one.label) for one in buttons]
            assert [label for label in labels if label.startswith("Switch")] == offered


# -- what it did --------------------------------------------------------------------------------


def test_a_dry_run_is_recorded_with_what_would_have_gone(
    client: Client, rule: Rule, django_capture_on_commit_callbacks: Any
) -> None:
    """Nothing is sent, and the firing says to whom what would have been."""
    switch(client, rule, "dry_run")
    with django_capture_on_commit_callbacks(execute=True):
        loan = make_loan(title="手工羊毛围巾", number="2026112301")
    firing = Firing.objects.get()
    assert not Notification.objects.exists()
    shown = text(client.get(address("change", firing.pk, model="firing")))
    assert "user1" in shown
    assert "<dt>商品名称</dt><dd>手工羊毛围巾</dd>" in shown
    listed = text(client.get(address(model="firing"), {"rule__id__exact": rule.pk}))
    assert "dry run" in listed
    assert loan.title in listed


def test_a_notification_leads_to_its_rule(
    client: Client, rule: Rule, django_capture_on_commit_callbacks: Any
) -> None:
    """From the message to the rule and the firing, for those who may see them."""
    switch(client, rule, "on")
    with django_capture_on_commit_callbacks(execute=True):
        make_loan(title="<b>scarf</b>")
    notification, firing = Notification.objects.get(), Firing.objects.get()
    where = page("notification", "change", notification.pk)
    shown = text(client.get(where))
    assert f'href="{address("change", rule.pk)}">Ready to be fetched</a>' in shown
    assert f'href="{address("change", firing.pk, model="firing")}"' in shown
    assert html.escape("<b>scarf</b>") in shown
    only = text(browser("view_notification", name="other").get(where))
    assert "Ready to be fetched" in only
    assert address("change", rule.pk) not in only
    assert address("change", firing.pk, model="firing") not in only
    fired = text(client.get(address("change", firing.pk, model="firing")))
    assert where in fired


def test_other_notifications_say_nothing_of_rules(
    client: Client, template: MessageTemplate
) -> None:
    row = Notification.objects.create(template=template)
    assert "Made by:" not in text(client.get(page("notification", "change", row.pk)))


def test_a_firing_leads_to_its_object(rule: Rule) -> None:
    """Only whoever may see the object, and only where it has a page."""
    loan = make_loan()
    firing = Firing.objects.create(
        rule=rule, rule_name=rule.name, object_id=str(loan.pk), object_text=str(loan)
    )
    for codenames in (SEE, (*SEE, "view_loan")):
        shown = text(browser(*codenames).get(address("change", firing.pk, model="firing")))
        assert str(loan) in shown
        assert "/library/loan/" not in shown  # this site has no admin of loans
    for broken in ("", "x", "9" * 200):
        Firing.objects.update(object_id=broken)
        assert str(loan) in text(
            browser(*SEE, "view_loan").get(address("change", firing.pk, model="firing"))
        )


def test_a_firing_leads_to_its_object_where_that_has_a_page(rule: Rule, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.rules_site"
    loan = make_loan()
    firing = Firing.objects.create(
        rule=rule, rule_name=rule.name, object_id=str(loan.pk), object_text=str(loan)
    )
    where = address("change", firing.pk, model="firing")
    assert f"/admin/library/loan/{loan.pk}/change/" in text(browser(*SEE, "view_loan").get(where))
    assert "/admin/library/loan/" not in text(browser(*SEE, name="other").get(where))


def test_why_nothing_was_sent(client: Client, rule: Rule) -> None:
    """A firing that told nobody gives its reason on the list and on its page."""
    firing = Firing.objects.create(
        rule=rule, rule_name=rule.name, object_id="1", reason="There is nobody to tell."
    )
    assert "There is nobody to tell." in text(client.get(address(model="firing")))
    shown = text(client.get(address("change", firing.pk, model="firing")))
    assert "nothing sent" in shown
    assert "There is nobody to tell." in shown


def test_switching_takes_no_right_to_write(rule: Rule) -> None:
    """Who may switch need not be who writes."""
    client = browser(*SWITCH)
    make_loan()
    assert "is on" in switch(client, rule, "on")


@pytest.mark.parametrize("name", ["rule", "firing"])
def test_a_site_that_has_only_one_of_the_pages(
    rule: Rule, settings: Any, name: str, django_capture_on_commit_callbacks: Any
) -> None:
    """None of them breaks, and none leads to a page that is not there."""
    Rule.objects.update(is_active=True)
    with django_capture_on_commit_callbacks(execute=True):
        make_loan()
    firing = Firing.objects.get()
    model, model_admin = {"rule": (Rule, RuleAdmin), "firing": (Firing, FiringAdmin)}[name]
    serve_admin(settings, model, model_admin)
    client = Client()
    client.force_login(factories.make_user("root", is_staff=True, is_superuser=True))
    pk, names = (rule.pk, ("change", "try")) if name == "rule" else (firing.pk, ("change",))
    pages = [address(where, pk, model=name) for where in names]
    other = {"rule": "firing", "firing": "rule"}[name]
    for where in (address(model=name), *pages):
        shown = text(client.get(where))
        assert f"/wechat_notify_rules/{other}/" not in shown
        assert "/wechat_notify/" not in shown.partition("<h1")[2]

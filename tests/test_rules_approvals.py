"""Rules that could tell many people: asked for by one, approved by another."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import IntegrityError, transaction
from django.test import Client

from tests.admin_pages import text, told
from tests.factories import make_user
from tests.library.models import Loan
from tests.rules_pages import SWITCH, WRITE, address, browser, filled, make_loan, make_rule
from wechat_notify.backends.locmem import outbox
from wechat_notify.models import MessageTemplate, RecipientFilter, SendLog
from wechat_notify.rules import second_person
from wechat_notify.rules.models import Rule, SwitchRequest

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]

MANY = [{"path": "watchers"}]


@pytest.fixture(autouse=True)
def limit(configure: Callable[..., None]) -> None:
    configure(APPROVAL_ABOVE=2)


@pytest.fixture
def asker() -> Client:
    """Writes rules and switches them."""
    return browser(*WRITE, *SWITCH, name="wang")


@pytest.fixture
def approver() -> Client:
    return browser("view_rule", "approve_notification", name="li")


@pytest.fixture
def rule(template: MessageTemplate) -> Rule:
    """Tells everybody who watches a loan."""
    return make_rule(template, recipients=MANY)


def switch(client: Client, rule: Rule, name: str = "on") -> Any:
    return client.post(address("switch", rule.pk, name), {"post": "yes"}, follow=True)


def approve(client: Client, rule: Rule) -> Any:
    """Look at it, and press the button."""
    seen = client.get(address("approve", rule.pk), follow=True)
    hidden = getattr(seen.context.get("confirmation"), "hidden", ())
    return client.post(address("approve", rule.pk), {**dict(hidden), "post": "yes"}, follow=True)


def is_on(rule: Rule) -> bool:
    rule.refresh_from_db()
    return rule.is_active and not rule.dry_run


# -- which rules ------------------------------------------------------------------------------


def _groups(template: MessageTemplate) -> Any:
    return [{"group": Group.objects.create(name="all").pk}]


def _saved(template: MessageTemplate) -> Any:
    chosen = {"users": [str(make_user("one").pk)]}
    saved = RecipientFilter.objects.create(account="default", name="one", criteria=chosen)
    return [{"saved": saved.pk}]


@pytest.mark.parametrize(
    ("recipients", "expected"),
    [
        (lambda _template: [{"path": "borrower"}], False),
        (lambda _template: MANY, True),
        (_groups, True),
        (_saved, True),
    ],
    ids=["one person", "to many", "a group", "saved recipients"],
)
def test_what_needs_a_second_person(
    template: MessageTemplate,
    asker: Client,
    recipients: Callable[[MessageTemplate], Any],
    expected: bool,
    configure: Callable[..., None],
) -> None:
    """Whoever may be many, however many they are today; and nothing where the setting is off."""
    rule = make_rule(template, recipients=recipients(template))
    asked = text(asker.get(address("switch", rule.pk, "on")))
    assert ("A second person approves it" in asked) is expected
    switch(asker, rule)
    assert is_on(rule) is not expected
    switch(asker, rule, "off")
    configure(APPROVAL_ABOVE=None)
    switch(asker, rule)
    assert is_on(rule)


def test_a_rule_that_would_have_sent_many_needs_one(
    template: MessageTemplate, asker: Client
) -> None:
    """Also where each object tells one person."""
    rule = make_rule(template)
    for number in range(1, 4):
        make_loan(number)
    switch(asker, rule)
    assert not is_on(rule)
    Loan.objects.first().delete()  # type: ignore[union-attr]
    second_person.withdraw(rule, None)
    switch(asker, rule)
    assert is_on(rule)


# -- asking and deciding ----------------------------------------------------------------------


def test_asked_for_by_one_and_approved_by_another(
    rule: Rule, asker: Client, approver: Client
) -> None:
    """It is on after the approval, and not before; the history says who did what."""
    told = text(switch(asker, rule))
    assert "waits for approval" in told
    assert "li" in told  # who can approve it
    assert not is_on(rule)
    listed = text(asker.get(address()))
    assert "waiting for approval" in listed
    page = text(approver.get(address("approve", rule.pk)))
    assert "wang" in page
    assert "{{ object.title }}" in page
    assert "is on." in text(approve(approver, rule))
    assert is_on(rule)
    request = SwitchRequest.objects.get()
    assert (request.asked_by_name, request.decided_by_name) == ("wang", "li")
    assert (request.decision, request.is_pending) == ("approved", None)


def test_a_dry_run_needs_nobody_and_leaving_it_does(
    rule: Rule, asker: Client, approver: Client
) -> None:
    """In a dry run nothing is sent."""
    switch(asker, rule, "dry_run")
    rule.refresh_from_db()
    assert (rule.is_active, rule.dry_run) == (True, True)
    switch(asker, rule)
    assert not is_on(rule)
    approve(approver, rule)
    assert is_on(rule)


def test_nobody_approves_their_own(rule: Rule, template: MessageTemplate) -> None:
    """With every permission neither; a POST that no page has offered does nothing."""
    both = browser(*SWITCH, "approve_notification", name="both")
    switch(both, rule)
    assert address("approve", rule.pk) not in text(both.get(address("try", rule.pk)))
    told = both.post(
        address("approve", rule.pk),
        {"post": "yes", "seen": second_person.fingerprint(rule)},
        follow=True,
    )
    assert "You have asked for it yourself" in text(told)
    assert not is_on(rule)
    refused = both.post(address("refuse", rule.pk), {"post": "yes", "reason": "x"}, follow=True)
    assert "You have asked for it yourself" in text(refused)
    assert SwitchRequest.objects.get().is_open


@pytest.mark.parametrize("seen", [None, "", "x" * 64])
def test_an_approval_of_what_was_not_seen_does_nothing(
    rule: Rule, asker: Client, approver: Client, seen: str | None
) -> None:
    switch(asker, rule)
    form = {"post": "yes"} if seen is None else {"post": "yes", "seen": seen}
    told = text(approver.post(address("approve", rule.pk), form, follow=True))
    assert "It has changed since you looked at it" in told
    assert not is_on(rule)


def test_decided_once(rule: Rule, asker: Client, approver: Client) -> None:
    """The same answer again, another one, and one after it was switched off."""
    switch(asker, rule)
    form = {"post": "yes", "seen": second_person.fingerprint(rule)}
    approver.post(address("approve", rule.pk), form)
    switch(asker, rule, "off")
    response = approver.post(address("approve", rule.pk), form, follow=True)
    assert "li has approved it already" in told(response)
    assert not is_on(rule)


def test_refused_with_a_reason(rule: Rule, asker: Client, approver: Client) -> None:
    """It stays off, and can be asked for again."""
    switch(asker, rule)
    empty = approver.post(address("refuse", rule.pk), {"post": "yes", "reason": " "})
    assert SwitchRequest.objects.get().is_open
    assert "errorlist" in text(empty)
    approver.post(address("refuse", rule.pk), {"post": "yes", "reason": "Too many."})
    request = SwitchRequest.objects.get()
    assert (request.decision, request.reason) == ("refused", "Too many.")
    assert not is_on(rule)
    switch(asker, rule)
    assert second_person.open_request(rule) is not None


def test_withdrawn(rule: Rule, asker: Client, approver: Client) -> None:
    switch(asker, rule)
    asker.post(address("withdraw", rule.pk), {"post": "yes"})
    assert SwitchRequest.objects.get().decision == "withdrawn"
    assert "It was withdrawn" in text(approve(approver, rule))
    assert not is_on(rule)


def test_one_open_request_a_rule(rule: Rule, asker: Client) -> None:
    """Asked for twice, it waits once; the database refuses a second."""
    switch(asker, rule)
    assert "already" in text(switch(asker, rule))
    assert SwitchRequest.objects.count() == 1
    with pytest.raises(IntegrityError), transaction.atomic():
        SwitchRequest.objects.create(rule=rule, rule_name=rule.name, fingerprint="x")


# -- what is changed afterwards ---------------------------------------------------------------


def save(client: Client, rule: Rule, **more: Any) -> Any:
    paths = [one["path"] for one in rule.recipients]
    form = filled(rule.template, **{"paths": paths, "_save": "1", **more})
    response = client.post(address("change", rule.pk), form, follow=True)
    assert "form" not in response.context or not response.context["form"].errors
    return response


def test_a_change_before_the_approval_ends_the_request(
    rule: Rule, asker: Client, approver: Client
) -> None:
    """Nobody approves what they were not asked for. A new name changes nothing that is sent."""
    switch(asker, rule)
    save(asker, rule, name="Another name")
    assert second_person.open_request(rule) is not None
    save(asker, rule, name="Another name", text_thing2="{{ object.note }}")
    assert second_person.open_request(rule) is None
    assert "It was withdrawn" in text(approve(approver, rule))
    assert not is_on(rule)


def test_a_change_by_other_ways_is_noticed(rule: Rule, asker: Client, approver: Client) -> None:
    """As of the saved recipients that it names, or by SQL."""
    switch(asker, rule)
    Rule.objects.update(texts={"thing2": "x", "character_string1": "y"})
    assert "It has changed since it was asked for" in text(approve(approver, rule))
    assert not is_on(rule)


def test_a_change_of_what_is_on_asks_again(rule: Rule, asker: Client, approver: Client) -> None:
    """It goes off until a second person has approved the change."""
    switch(asker, rule)
    approve(approver, rule)
    save(asker, rule, name="Another name")
    assert is_on(rule)
    told = text(save(asker, rule, name="Another name", text_thing2="{{ object.note }}"))
    assert "a second person approves the change" in told
    assert not is_on(rule)
    loan = make_loan(1, status="wanted")
    loan.watchers.add(loan.borrower)
    loan.status = "ready"
    loan.save()
    assert not SendLog.objects.exists()
    approve(approver, rule)
    assert is_on(rule)
    assert outbox == []


def test_a_change_of_a_small_rule_asks_nobody(template: MessageTemplate, asker: Client) -> None:
    rule = make_rule(template)
    switch(asker, rule)
    save(asker, rule, text_thing2="{{ object.note }}")
    assert is_on(rule)
    save(asker, rule, paths=["borrower", "watchers"])
    assert not is_on(rule)
    assert second_person.open_request(rule) is not None


def test_the_record_outlives_the_rule(rule: Rule, asker: Client) -> None:
    switch(asker, rule)
    rule.delete()
    found = SwitchRequest.objects.get()
    assert (found.rule, found.rule_name) == (None, "Ready to be fetched")


def test_it_is_on_the_list_of_what_is_to_be_approved(rule: Rule, asker: Client) -> None:
    """For approvers who may see rules; and not for the others."""
    switch(asker, rule)
    codenames = ("view_notification", "approve_notification")
    url = "/admin/wechat_notify/notification/to-approve/"
    seen = text(browser(*codenames, "view_rule", name="li").get(url))
    assert address("approve", rule.pk) in seen
    assert rule.name in seen
    assert rule.name not in text(browser(*codenames, name="zhao").get(url))

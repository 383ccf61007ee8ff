"""A rule whose ground is gone stops and says so, and goes on when it is right again."""

from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from tests.factories import make_binding
from tests.library.models import Loan
from tests.rules import make_loan, make_rule
from wechat_notify.diagnosis.finding import Level
from wechat_notify.models import Notification, RecipientFilter
from wechat_notify.rules import active_rules, allow, allowed
from wechat_notify.rules.active_rules import forget
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.rules.stopped_rules import look_at_rules
from wechat_notify.triggers import run_reminders

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_rules")]

FIELDS = ["title", "status", "due_at", "due_on"]


@pytest.fixture
def own_allowed() -> Iterator[None]:
    """What rules may see is as before when the test ends."""
    kept = dict(allowed._allowed)
    yield
    allowed._allowed.clear()
    allowed._allowed.update(kept)


def fire() -> int:
    """How many messages a new loan makes."""
    forget()
    before = Notification.objects.count()
    make_loan(make_binding(number=Loan.objects.count() + 1).user, status="ready")
    return Notification.objects.count() - before


def allow_loans(**changes: Any) -> None:
    options = {"fields": FIELDS, "recipients": ["borrower"], "link": "get_absolute_url"}
    allow(Loan, **{**options, **changes})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fields": ["title", "due_at"]}, "Rules may not see a field “status”."),
        ({"fields": ["status"]}, "{{ object.title }} cannot be used here"),
        ({"recipients": ["watchers"]}, "Rules may not tell people by “borrower”."),
    ],
)
def test_what_code_no_longer_allows(own_allowed: None, changes: Any, says: str) -> None:
    """It stops, and says why; when it is allowed again, it goes on by itself."""
    allow_loans()
    make_rule()
    assert fire() == 1
    allow_loans(**changes)
    assert fire() == 0
    assert says in Rule.objects.get().stopped_because
    allow_loans()
    assert fire() == 1
    assert Rule.objects.get().stopped_because == ""


def test_a_model_that_is_gone(own_allowed: None) -> None:
    make_rule()
    allowed.forget("library.loan")
    assert fire() == 0
    assert Rule.objects.get().stopped_because == "Rules may not see “library.loan”."


def test_a_group_and_saved_recipients_that_are_gone() -> None:
    group = Group.objects.create(name="board")
    saved = RecipientFilter.objects.create(account="default", name="x", criteria={})
    borrower = {"path": "borrower"}
    make_rule(recipients=[borrower, {"group": group.pk}])
    make_rule(name="saved", recipients=[borrower, {"saved": saved.pk}])
    assert fire() == 2
    group.delete()
    saved.delete()
    assert fire() == 0
    reasons = [rule.stopped_because for rule in Rule.objects.order_by("pk")]
    assert "group" in reasons[0]
    assert "Saved recipients" in reasons[1]


def test_a_template_that_has_changed() -> None:
    """Other fields, or switched off."""
    template = make_rule().template
    template.content = "{{thing1.DATA}}\n{{phrase9.DATA}}"
    template.save()
    assert fire() == 0
    stopped = Rule.objects.get().stopped_because
    assert "The template has no field “thing2”." in stopped
    assert "The field “phrase9” has no text." in stopped
    template.content, template.is_active = "{{thing1.DATA}}\n{{thing2.DATA}}", False
    template.save()
    assert fire() == 0
    assert "is not active" in Rule.objects.get().stopped_because


def test_an_account_that_is_gone(configure: Any) -> None:
    rule = make_rule()
    type(rule.template).objects.update(account="gone")
    assert fire() == 0
    assert "“gone” is not in the settings" in Rule.objects.get().stopped_because
    assert [one.level for one in look_at_rules("default")] == [Level.PROBLEM]
    assert list(look_at_rules("other")) == []


def test_saving_it_clears_the_reason(own_allowed: None) -> None:
    """Until somebody finds again that it is wrong; other rules go on meanwhile."""
    rule = make_rule()
    make_rule(name="other", event="created", texts={"book": "x", "thing2": "y"})
    allow_loans(fields=["status"])
    assert fire() == 1
    rule.refresh_from_db()
    assert rule.stopped_because
    rule.texts = {"book": "x", "thing2": "y"}
    rule.save()
    assert Rule.objects.get(pk=rule.pk).stopped_because == ""
    assert fire() == 2


def test_it_is_found_without_any_save(own_allowed: None) -> None:
    """The looks for reminders read all rules every minute."""
    make_rule()
    allowed.forget("library.loan")
    forget()
    run_reminders()
    assert Rule.objects.get().stopped_because


def test_nothing_is_noted_in_the_savers_transaction(own_allowed: None) -> None:
    """The rule's row is not locked for as long as somebody's transaction runs."""
    make_rule()
    allowed.forget("library.loan")
    forget()
    with transaction.atomic():
        make_loan(make_binding().user, status="ready")
        assert Rule.objects.get().stopped_because == ""
    assert Rule.objects.get().stopped_because


def test_a_rule_that_is_off_is_left_alone(own_allowed: None) -> None:
    make_rule(is_active=False)
    allowed.forget("library.loan")
    assert fire() == 0
    assert Rule.objects.get().stopped_because == ""
    assert run_checks(databases=["default"], tags=["wechat_notify"]) == []


def test_doctor_and_checks(own_allowed: None) -> None:
    """They say which rule, why, and what to do."""
    make_rule()
    allowed.forget("library.loan")
    (found,) = run_checks(databases=["default"], tags=["wechat_notify"])
    assert found.id == "wechat_notify_rules.W001"
    assert found.msg == (
        "The rule “ready” is switched on and cannot be run. Rules may not see “library.loan”."
    )
    assert run_checks(databases=[], tags=["wechat_notify"]) == []
    said = StringIO()
    with pytest.raises(CommandError):
        call_command("wechat_doctor", stdout=said)
    assert "The rule “ready” has stopped. Rules may not see “library.loan”." in said.getvalue()


def test_rules_that_cannot_be_read(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first ``migrate``: logged once, and no save breaks, in a transaction or not."""
    table = connection.ops.quote_name(Rule._meta.db_table)
    with connection.schema_editor() as editor:
        editor.execute(f"ALTER TABLE {table} RENAME TO hidden_rules")
    try:
        for _ in range(2):
            forget()
            with transaction.atomic():
                make_loan(make_binding(number=Loan.objects.count() + 1).user)
        forget()
        make_loan(make_binding(number=9).user)
    finally:
        with connection.schema_editor() as editor:
            editor.execute(f"ALTER TABLE hidden_rules RENAME TO {table}")
    assert Loan.objects.count() == 3
    assert caplog.text.count("The rules could not be read.") == 1
    assert not Firing.objects.exists()
    assert active_rules.active_rules() == ()

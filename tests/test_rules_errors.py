"""What goes wrong in a rule never breaks the code that saved the object."""

from contextlib import nullcontext
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from tests.factories import make_binding, make_user
from tests.library.models import Loan
from tests.rules import make_loan, make_rule
from wechat_notify.models import Notification, SendLog, TriggerFailure
from wechat_notify.rules.models import Firing
from wechat_notify.testing import wechat_outbox

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]


def no_row() -> None:
    Loan.objects.get(pk=-1)


def no_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")


def no_number() -> None:
    raise ZeroDivisionError("1 / 0")


@pytest.fixture(params=[no_row, no_table, no_number])
def broken_link(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The site's own method fails, in one way or another."""
    monkeypatch.setattr(Loan, "get_absolute_url", lambda loan: request.param())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("in_transaction", [True, False])
def test_an_error_of_the_site(broken_link: None, in_transaction: bool) -> None:
    """The object is saved, other rules go on, and the failure has the rule's name."""
    make_rule(event="created")
    make_rule(name="without link", event="created", link=False)
    reader = make_binding().user
    with transaction.atomic() if in_transaction else nullcontext():
        loan = make_loan(reader)
        assert Loan.objects.filter(pk=loan.pk).exists()
    failure = TriggerFailure.objects.get()
    assert failure.trigger == "rules · ready"
    assert failure.about == f"library.Loan {loan.pk}"
    assert failure.error.startswith(
        ("DoesNotExist: ", "OperationalError", "Programming", "ZeroDiv")
    )
    assert Firing.objects.get().rule_name == "without link"


def test_data_that_wechat_would_refuse() -> None:
    """Rows that are skipped, with the reason; no failure."""
    make_rule(event="created")
    make_loan(make_binding().user, title="x" * 21)
    row = SendLog.objects.get()
    assert row.status == "skipped"
    assert "20" in row.errmsg
    assert Firing.objects.get().notification == Notification.objects.get()
    assert not TriggerFailure.objects.exists()


def test_a_filter_that_cannot_work() -> None:
    """The same, of a filter that does not suit this object's value."""
    make_rule(event="created", texts={"book": "{{ object.copies|first }}", "thing2": "x"})
    make_loan(make_binding().user)
    assert SendLog.objects.get().errmsg.startswith("book: a filter cannot work")


def test_tests_of_sites_find_it(broken_link: None) -> None:
    """``wechat_outbox()`` raises what goes wrong in a rule, as in any trigger."""
    make_rule(event="created")
    with wechat_outbox(), pytest.raises((Loan.DoesNotExist, DatabaseError, ArithmeticError)):
        make_loan()


def test_what_the_outbox_shows() -> None:
    """A site's test reads a rule's message there."""
    reader = make_binding(make_user("reader")).user
    rule = make_rule(event="created")
    with wechat_outbox() as outbox:
        make_loan(reader)
        outbox.assert_notified(reader, rule.template.name, thing1="西游记")


def test_a_lost_race_is_no_second_message() -> None:
    """Another process has written the same key at this moment, and its firing."""
    rule = make_rule(event="created")
    loan = Loan(pk=5, borrower=make_binding().user, title="x")
    Notification.objects.create(template=rule.template, key=f"rule-{rule.pk}-5")
    loan.save(force_insert=True)
    assert (Notification.objects.count(), Firing.objects.count()) == (1, 0)


def test_history_outlives_rules_and_objects() -> None:
    """A rule, an object and a notification may go; what happened stays."""
    rule = make_rule(event="created")
    loan = make_loan(make_binding().user)
    loan.delete()
    rule.delete()
    SendLog.objects.all().delete()
    Notification.objects.all().delete()
    firing: Any = Firing.objects.get()
    assert (firing.rule, firing.notification) == (None, None)
    assert (firing.rule_name, firing.object_text) == ("ready", "西游记")

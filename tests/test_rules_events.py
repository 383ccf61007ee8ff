"""When a rule fires: an object is created, a field changes, and each time once."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import make_binding
from tests.library.models import FilmLoan, Loan, ReferenceLoan
from tests.rules import make_branch, make_loan, make_rule
from wechat_notify.backends import locmem
from wechat_notify.models import Notification
from wechat_notify.rules.active_rules import active_rules, forget
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.triggers import muted, notify_changed

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]


@pytest.fixture
def reader() -> Any:
    return make_binding().user


def set_status(loan: Loan, *statuses: str) -> None:
    for status in statuses:
        loan.status = status
        loan.save()


def sent() -> int:
    return Notification.objects.count()


# -- which event ------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_becomes_a_value(reader: Any) -> None:
    """From the save to the delivered message, with texts, link and a record of it."""
    rule = make_rule()
    loan = make_loan(reader)
    assert locmem.outbox == []
    set_status(loan, "ready")
    (message,) = locmem.outbox
    assert message.data == {
        "thing1": {"value": "西游记"},
        "thing2": {"value": "ready to be fetched"},
    }
    assert message.url == f"https://school.example/loans/{loan.pk}/"
    notification = Notification.objects.get()
    assert (notification.source, notification.priority) == ("signal", 20)
    firing = Firing.objects.get()
    assert (firing.rule, firing.rule_name, firing.notification) == (rule, "ready", notification)
    assert (firing.object_id, firing.object_text) == (str(loan.pk), "西游记")
    assert (firing.people, firing.reason, firing.would) == (1, "", [])


def test_each_step_once(reader: Any) -> None:
    """Saved twice, once; there again after something else, twice; at creation, too."""
    make_rule()
    loan = make_loan(reader, status="ready")
    loan.save()
    Loan.objects.get().save()
    assert sent() == 1
    set_status(loan, "lent", "ready", "ready")
    assert sent() == 2


STATUSES = st.sampled_from(["ready", "lent", "back"])
STEPS = st.lists(st.tuples(STATUSES, st.sampled_from(["save", "undo", "only title", "reload"])))


@given(first=STATUSES, steps=STEPS)
@settings(max_examples=40)
def test_any_sequence(db: None, first: str, steps: list[tuple[str, str]]) -> None:
    """It tells as often as the column became the value, whatever is done and undone between."""
    with transaction.atomic():
        forget()
        make_rule()
        loan = make_loan(status=first)
        column, expected = first, int(first == "ready")
        for status, how in steps:
            loan.status = status
            if how == "reload":
                loan = Loan.objects.get(pk=loan.pk)
                continue
            with transaction.atomic():
                loan.save(update_fields=["title"] if how == "only title" else None)
                if how == "undo":
                    transaction.set_rollback(True)
            if how == "save":
                expected += status == "ready" != column
                column = status
        assert Firing.objects.count() == expected
        transaction.set_rollback(True)


def test_any_change(reader: Any) -> None:
    """Not when it is created, then each time that it is another."""
    make_rule(value="")
    loan = make_loan(reader, status="ready")
    assert sent() == 0
    set_status(loan, "lent", "lent", "back")
    assert sent() == 2


def test_created_once(reader: Any) -> None:
    """Once for each object, whatever becomes of it, also if it is made again with its key."""
    make_rule(event="created", field="", value="")
    loan = make_loan(reader)
    set_status(loan, "ready")
    assert sent() == 1
    pk = loan.pk
    loan.delete()
    make_loan(reader, pk=pk)
    assert sent() == 1
    make_loan(reader)
    assert sent() == 2


def test_rolled_back_and_saved_again(reader: Any) -> None:
    """What is undone was never told; done again, it is told once."""
    make_rule()
    make_rule(name="made", event="created", field="", value="")
    loan = Loan(borrower=reader, title="西游记", status="ready")
    with transaction.atomic():
        loan.save()
        assert sent() == Firing.objects.count() == 2
        transaction.set_rollback(True)
    assert sent() == Firing.objects.count() == 0
    loan.pk, loan._state.adding = None, True
    loan.save()
    loan.save()
    assert sent() == Firing.objects.count() == 2


@pytest.mark.parametrize("model", [ReferenceLoan, FilmLoan])
def test_models_that_inherit(reader: Any, model: Any) -> None:
    """Proxies and multi-table children are objects of the model, too."""
    make_rule()
    loan = model.objects.create(borrower=reader, title="西游记")
    set_status(loan, "ready")
    assert sent() == 1


def test_types_of_values(reader: Any) -> None:
    """A value is one of the field's own type, whatever the object holds when it is saved."""
    make_rule(field="copies", value="3")
    make_rule(name="fee", field="fee", value="39.80")
    make_rule(name="lost", field="is_lost", value="true")
    loan = make_loan(reader)
    loan.copies, loan.fee, loan.is_lost = "3", "39.8", True
    loan.save()
    assert set(Firing.objects.values_list("rule_name", flat=True)) == {"ready", "fee", "lost"}


def test_a_reference_becomes_an_object(reader: Any) -> None:
    """By its primary key; set as an object or as a key."""
    branch, other = make_branch(), make_branch(name="分馆")
    make_rule(field="branch", value=str(branch.pk))
    loan = make_loan(reader, branch=other)
    assert sent() == 0
    loan.branch = branch
    loan.save()
    loan.branch_id = branch.pk
    loan.save()
    assert sent() == 1


def test_an_object_that_was_not_loaded(reader: Any) -> None:
    """What its field was is looked up."""
    make_rule()
    loan = make_loan(reader)
    Loan(pk=loan.pk, borrower=reader, title="x", created_at=timezone.now(), status="ready").save()
    assert sent() == 1


def test_rows_written_without_signals(reader: Any) -> None:
    """``notify_changed()`` fires rules as it fires triggers, and counts them."""
    make_rule()
    make_rule(name="made", event="created", field="", value="")
    loan = make_loan(reader)
    Loan.objects.update(status="ready")
    assert notify_changed(Loan.objects.all(), was={"status": "wanted"}) == 1
    assert notify_changed(Loan.objects.all(), "title") == 0
    made = Loan.objects.bulk_create([Loan(borrower=reader, title="x"), Loan(borrower=reader)])
    assert notify_changed(made, created=True) == 2
    assert Firing.objects.filter(object_id=str(loan.pk)).count() == 2


# -- which not --------------------------------------------------------------------------------


def test_fixtures_fire_nothing(reader: Any, tmp_path: Any) -> None:
    """``loaddata`` says raw=True."""
    make_rule(event="created", field="", value="")
    fields = {"borrower": reader.pk, "title": "x", "created_at": "2026-11-23T08:00:00Z"}
    path = tmp_path / "loans.json"
    path.write_text(json.dumps([{"model": "library.loan", "pk": 5, "fields": fields}]))
    call_command("loaddata", path, verbosity=0)
    assert (Loan.objects.count(), Firing.objects.count()) == (1, 0)


@pytest.mark.parametrize("names", [(), ("rules",), ("ready",)])
def test_muted(reader: Any, names: tuple[str, ...]) -> None:
    """All triggers, all rules, or the rule of this name. It is not told later."""
    make_rule()
    loan = make_loan(reader)
    with muted(*names):
        set_status(loan, "ready")
    loan.save()
    assert sent() == Firing.objects.count() == 0


async def muted_in_an_event_loop(*names: str) -> None:
    with muted(*names):
        pass


def test_muted_in_an_event_loop(reader: Any) -> None:
    """Where no query may run, the rules that were read before are known; nothing is lost."""
    make_rule()
    asyncio.run(muted_in_an_event_loop("rules"))
    with pytest.raises(LookupError):
        asyncio.run(muted_in_an_event_loop("never"))
    make_loan(reader, status="ready")
    assert sent() == 1
    asyncio.run(muted_in_an_event_loop("ready"))
    assert len(active_rules()) == 1


def test_a_name_that_no_rule_has() -> None:
    """It is a mistake, as it is for triggers."""
    make_rule()
    with pytest.raises(LookupError, match="other"), muted("other"):
        pass


def test_triggers_are_switched_off(reader: Any, configure: Any) -> None:
    """The global switch is that of rules, too."""
    configure(TRIGGERS=False)
    make_rule(event="created", field="", value="")
    make_loan(reader)
    assert Firing.objects.count() == 0


def test_switched_off(reader: Any) -> None:
    """A rule that is off is not run; nor is one that a process still holds as switched on."""
    rule = make_rule(event="created", field="", value="", is_active=False)
    make_loan(reader)
    rule.is_active = True
    rule.save()
    make_loan(reader)
    assert sent() == 1
    Rule.objects.update(is_active=False)  # by another process, as far as this one can know
    make_loan(reader)
    assert sent() == 1


def test_read_seldom(reader: Any, django_assert_num_queries: Any) -> None:
    """Rules are read every few seconds at most; a save asks the database nothing."""
    make_rule(event="changed", field="title", value="红楼梦")
    loan = make_loan(reader)
    with django_assert_num_queries(1):
        set_status(loan, "ready")


def test_at_a_later_time(reader: Any) -> None:
    """The delay is counted from the event on."""
    make_rule(delay=timedelta(hours=2), priority=10)
    make_loan(reader, status="ready")
    notification = Notification.objects.get()
    assert notification.send_at is not None
    assert timedelta(hours=1) < notification.send_at - timezone.now() <= timedelta(hours=2)
    assert notification.priority == 10

"""What goes wrong in a trigger: the order is saved, and somebody is told."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, transaction
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, text
from tests.factories import make_binding, make_template, openid
from tests.school.models import Order
from wechat_notify.diagnosis.examination import examine
from wechat_notify.diagnosis.finding import Level
from wechat_notify.exceptions import InvalidData, TemplateNotFound
from wechat_notify.models import MessageTemplate, Notification, SendLog, TriggerFailure
from wechat_notify.retention import prune
from wechat_notify.services import notify
from wechat_notify.testing import wechat_outbox
from wechat_notify.triggers import notify_on

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("own_triggers")]


@pytest.fixture
def buyer() -> Any:
    return make_binding().user


@pytest.fixture
def paid() -> MessageTemplate:
    return make_template("paid", content="{{thing1.DATA}}")


def on_save(wanted: Any, **options: Any) -> None:
    """A trigger that returns ``wanted``, or what it returns when called with the order."""
    options = {"template": "paid", **options}

    @notify_on(post_save, sender=Order, **options)
    def tell(instance: Order, **kwargs: Any) -> Any:
        return wanted(instance) if callable(wanted) else wanted


def break_database(order: Order) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM no_such_table")


def raise_error(order: Order) -> None:
    raise LookupError(f"no seller of {openid(7)} with secret=abcdef")


def good(order: Order) -> dict[str, Any]:
    return {"users": order.buyer, "data": {"thing1": "围巾"}}


def save_in_transaction(buyer: Any) -> Order:
    """Save an order, and go on in the same transaction."""
    with transaction.atomic():
        order = Order.objects.create(buyer=buyer)
        assert Order.objects.filter(pk=order.pk).exists()
        Order.objects.filter(pk=order.pk).update(note="usable")
    return Order.objects.get(pk=order.pk)


KINDS = {
    "missing template": (good, {"template": "nowhere"}, "TemplateNotFound"),
    "unknown account": (good, {"account": "nowhere"}, "AccountNotConfigured"),
    "the database": (break_database, {}, "no_such_table"),
    "the site's own": (raise_error, {}, "LookupError"),
    "when": (good, {"when": raise_error}, "LookupError"),
    "no arguments of notify()": ({"users": []}, {}, "TypeError"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_is_saved(
    paid: Any, buyer: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The transaction goes on; the error is logged once, counted, and shown in the admin."""
    wanted, options, error = KINDS[kind]
    on_save(wanted, **options)
    order = save_in_transaction(buyer)
    assert order.note == "usable"
    assert not Notification.objects.exists()
    (record,) = [one for one in caplog.records if one.levelno >= logging.ERROR]
    assert "on_save.<locals>.tell" in record.getMessage()
    assert f"school.Order {order.pk}" in record.getMessage()
    assert error in caplog.text
    failure = TriggerFailure.objects.get()
    assert error in failure.error
    assert failure.about == f"school.Order {order.pk}"
    assert openid(7) not in failure.error
    assert "abcdef" not in failure.error
    shown = text(browser(*SEE).get(page("sendlog", "dashboard")))
    assert "Triggers that failed" in shown
    assert error in shown


@pytest.mark.parametrize("kind", KINDS)
def test_outside_a_transaction(paid: Any, buyer: Any, kind: str) -> None:
    """The same for a save of its own."""
    wanted, options, error = KINDS[kind]
    on_save(wanted, **options)
    Order.objects.create(buyer=buyer)
    assert error in TriggerFailure.objects.get().error


def test_what_the_function_has_written_is_undone(paid: Any, buyer: Any) -> None:
    """In a transaction, half of a firing is none."""

    def write_and_fail(order: Order) -> None:
        Order.objects.filter(pk=order.pk).update(note="half")
        raise LookupError

    on_save(write_and_fail)
    with transaction.atomic():
        order = Order.objects.create(buyer=buyer)
    order.refresh_from_db()
    assert order.note == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"data": {"thing1": "x" * 30}}, "thing1"),
        ({"data": {}}, "thing1"),
        ({"data": "围巾"}, "data"),
        ({"data": {"thing1": "围巾"}, "url": "ftp://nowhere"}, "url"),
        ({"data": {"thing1": "围巾"}, "key": "k" * 300}, "key"),
        ({"data": {"thing1": "围巾"}, "send_at": "tomorrow"}, "send_at"),
        ({"data": lambda person: {"thing1": "x" * 30}}, "thing1"),
        ({"data": lambda person: {"thing1": "围巾"}, "url": "ftp://nowhere"}, "url"),
    ],
)
def test_bad_data_is_a_skipped_row(
    paid: Any, buyer: Any, arguments: dict[str, Any], reason: str
) -> None:
    """With the reason, where everybody looks who asks why somebody got nothing."""
    on_save({"users": buyer, **arguments})
    save_in_transaction(buyer)
    log = SendLog.objects.get()
    assert (log.status, log.user) == ("skipped", buyer)
    assert reason in log.errmsg
    assert not TriggerFailure.objects.exists()


def test_a_template_that_is_switched_off(paid: MessageTemplate, buyer: Any) -> None:
    """It counts as an error, and the order is saved."""
    MessageTemplate.objects.update(is_active=False)
    on_save(good)
    save_in_transaction(buyer)
    assert "not active" in TriggerFailure.objects.get().error


def test_a_signal_that_means_something_else_by_using(paid: Any, buyer: Any) -> None:
    """Only Django's own signals name a database by it."""
    happened = Signal()

    @notify_on(happened, template="paid")
    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": buyer, "data": {"thing1": "围巾"}}

    for using in ("a hammer", {"tool": "hammer"}):
        happened.send(None, using=using)
    assert Notification.objects.count() == 2


def test_the_other_triggers_fire(paid: Any, buyer: Any) -> None:
    """One that fails does not keep another from firing."""
    on_save(raise_error)
    on_save(good)
    save_in_transaction(buyer)
    assert Notification.objects.count() == 1


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (raise_error, LookupError),
        ({"users": [], "data": {}}, InvalidData),
        ({"users": [], "data": {}, "template": "nowhere"}, TemplateNotFound),
    ],
)
@pytest.mark.parametrize("how", ["on_error", "outbox"])
def test_raised_where_somebody_asks_for_it(
    paid: Any, buyer: Any, wanted: Any, error: type[Exception], how: str
) -> None:
    """By the trigger itself, or by the test of a site."""
    if how == "on_error":
        on_save(wanted, on_error="raise")
        with pytest.raises(error):
            Order.objects.create(buyer=buyer)
    else:
        on_save(wanted)
        with wechat_outbox(), pytest.raises(error):
            Order.objects.create(buyer=buyer)
        TriggerFailure.objects.all().delete()
        Order.objects.create(buyer=buyer)  # the test is over
    if how == "on_error":
        assert not TriggerFailure.objects.exists()
    with pytest.raises(TypeError, match="on_error"):
        on_save(wanted, on_error="ignore")


def test_a_transaction_that_has_ended_is_raised(paid: Any, buyer: Any) -> None:
    """As after a deadlock on MariaDB: the savepoints are gone with all that was written."""

    def lose_all(order: Order) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ROLLBACK")
        raise OperationalError(1213, "Deadlock found when trying to get lock")

    on_save(lose_all)
    with pytest.raises(OperationalError, match="Deadlock"), transaction.atomic():
        Order.objects.create(buyer=buyer)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="a database in memory is not closed")
def test_a_lost_connection_is_raised(paid: Any, buyer: Any) -> None:
    """What was written before is gone, and the code that wrote it must know."""

    def lose(order: Order) -> None:
        connection.close()
        raise OperationalError("server closed the connection unexpectedly")

    on_save(lose)
    with pytest.raises(OperationalError, match="closed"), transaction.atomic():
        Order.objects.create(buyer=buyer)


def test_failures_that_cannot_be_kept(
    paid: Any, buyer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the table is migrated, the log still has them, and the order is saved."""
    on_save(raise_error)
    with connection.schema_editor() as editor:
        editor.delete_model(TriggerFailure)
    try:
        assert save_in_transaction(buyer).note == "usable"
        assert "LookupError" in caplog.text
        with pytest.raises(DatabaseError):
            TriggerFailure.objects.count()
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(TriggerFailure)


def test_a_transaction_that_is_rolled_back(paid: Any, buyer: Any) -> None:
    """Nothing is counted of an order that was never there."""
    on_save(raise_error)
    with transaction.atomic():
        Order.objects.create(buyer=buyer)
        transaction.set_rollback(True)
    assert not TriggerFailure.objects.exists()


# -- who is told ------------------------------------------------------------------------------


def test_the_doctor(paid: Any, buyer: Any, configure: Callable[..., None]) -> None:
    """One finding for each trigger, with its number and its last error, for a day."""
    on_save(raise_error)
    on_save(good, account="nowhere", template="nothing")
    for _ in range(3):
        Order.objects.create(buyer=buyer)

    def found(alias: str) -> list[str]:
        return [
            one.text
            for one in examine(alias)
            if one.level is Level.PROBLEM and one.text.startswith("Trigger")
        ]

    newest, oldest = found("default")
    assert "failed 3 times" in newest
    assert "AccountNotConfigured" in newest
    assert "LookupError" in oldest
    assert found("other") == []
    TriggerFailure.objects.update(created_at=timezone.now() - timedelta(days=2))
    assert found("default") == []


def test_the_dashboard_shows_accounts_that_one_may_use(paid: Any, buyer: Any) -> None:
    """Nothing of it, where nothing failed."""
    assert "Triggers that failed" not in text(browser(*SEE).get(page("sendlog", "dashboard")))


def test_old_failures_are_pruned(paid: Any, buyer: Any) -> None:
    """With the messages of their time."""
    on_save(raise_error)
    for _ in range(2):
        Order.objects.create(buyer=buyer)
    first = TriggerFailure.objects.earliest("pk")
    TriggerFailure.objects.filter(pk=first.pk).update(created_at=timezone.now() - timedelta(days=9))
    assert prune(timezone.now() - timedelta(days=8)).failures == 1
    assert TriggerFailure.objects.count() == 1


def test_long_texts_are_cut(paid: Any, buyer: Any) -> None:
    """Whatever an exception says, it can be kept."""

    def fail(order: Order) -> None:
        raise LookupError("很长" * 1000 + "\0")

    on_save(fail)
    Order.objects.create(buyer=buyer)
    assert len(TriggerFailure.objects.get().error) == 500


def test_notify_itself_raises_as_before(paid: Any, buyer: Any) -> None:
    """Only triggers skip what is bad."""
    with pytest.raises(InvalidData):
        notify(buyer, "paid", {})

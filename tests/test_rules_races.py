"""Several processes at once, as threads with a connection each: on a real server only."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.factories import make_binding, make_bindings
from tests.library.models import Loan
from tests.rules import make_loan, make_rule
from wechat_notify.models import Notification, TriggerFailure
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.triggers.reminding import Looker

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("fresh_rules")]

THREADS = 4


@pytest.fixture(autouse=True)
def a_server(configure: Callable[..., None]) -> None:
    if connection.vendor == "sqlite":
        pytest.skip("DATABASE_URL names no server")
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


def at_once(*calls: Callable[[], Any]) -> None:
    """Call each in a thread of its own; what one raises is raised here."""
    barrier = threading.Barrier(len(calls))
    errors: list[Exception] = []

    def run(call: Callable[[], Any]) -> None:
        barrier.wait()
        try:
            call()
        except Exception as error:  # noqa: BLE001 - raised below
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def elsewhere(call: Callable[[], Any]) -> None:
    """In another process's transaction, committed when this returns."""
    at_once(call)


@pytest.mark.parametrize("dry_run", [False, True])
def test_several_look_for_reminders_at_once(dry_run: bool) -> None:
    """Each object is told of once, and recorded once, in a dry run too."""
    make_rule(event="before", field="due_at", value="", offset=timedelta(days=1), dry_run=dry_run)
    due_at = timezone.now() + timedelta(days=1, minutes=-5)
    for binding in make_bindings(20):
        make_loan(binding.user, due_at=due_at)
    at_once(*[Looker().look for _ in range(THREADS)])
    assert Notification.objects.count() == (0 if dry_run else 20)
    assert Firing.objects.count() == 20
    assert not TriggerFailure.objects.exists()


def test_several_save_at_once() -> None:
    """Nobody waits for the rule's row in vain, and every object is told of."""
    make_rule(event="created", most_a_day=1)
    users = [binding.user for binding in make_bindings(THREADS)]

    def save(user: Any) -> Callable[[], None]:
        def call() -> None:
            for _ in range(5):
                with transaction.atomic():
                    make_loan(user)

        return call

    at_once(*map(save, users))
    assert list(TriggerFailure.objects.values_list("error", flat=True)) == []
    assert Firing.objects.count() == 5 * THREADS
    assert Notification.objects.count() == THREADS
    assert not TriggerFailure.objects.exists()


def test_a_lock_makes_one_step_of_several() -> None:
    """As with triggers: whoever locks the row before it is read has seen the step alone."""
    make_rule()
    loan = make_loan(make_binding().user)

    def approve() -> None:
        with transaction.atomic():
            locked = Loan.objects.select_for_update().get(pk=loan.pk)
            locked.status = "ready"
            locked.save()

    at_once(*[approve] * THREADS)
    assert Firing.objects.count() == 1


@pytest.mark.parametrize("change", [{"is_active": False}, {"dry_run": True}])
def test_switched_off_while_a_transaction_runs(change: dict[str, bool]) -> None:
    """It is seen also by a transaction that goes on reading what was there when it began."""
    make_rule(event="created")
    reader = make_binding().user
    with transaction.atomic():
        assert Rule.objects.filter(is_active=True, dry_run=False).exists()  # its snapshot
        elsewhere(lambda: Rule.objects.update(**change))
        make_loan(reader)
    assert Notification.objects.count() == 0


def test_a_transaction_does_not_hold_up_others() -> None:
    """While one has fired a rule and is not committed, another fires it, too."""
    make_rule(event="created")
    first, second = (binding.user for binding in make_bindings(2))
    with transaction.atomic():
        make_loan(first)
        elsewhere(lambda: make_loan(second))
        assert Firing.objects.filter(rule__isnull=False).exists()
    assert Notification.objects.count() == 2

"""A verb is repeated where the database asks for it, and only where the transaction is its own."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils import timezone

from tests.databases import refusing
from tests.factories import ORDER, make_binding, make_user, openid
from wechat_notify.binding.follow_state import unsubscribed
from wechat_notify.models import BindingChange, MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.services import bind, cancel, notify, pause, resend, resume

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def only_workers_send(configure: Callable[..., None]) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture
def alice(transactional_db: None) -> Any:
    return make_user()


def test_a_verb_is_repeated_after_a_conflict(template: MessageTemplate) -> None:
    """Its caller hears nothing of it, and gets what the last time returned."""
    notification = notify([openid(1), openid(2)], template, ORDER)
    with refusing(3) as refused:
        assert pause(notification) == 2
        assert resume(notification) == 2
        assert cancel(notification) == 2
    assert len(refused) == 3
    assert notification.cancelled_at is not None


def test_rows_that_can_be_read_once_are_all_resent(template: MessageTemplate) -> None:
    """A generator of rows is used up by the first time; the second knows them all the same."""
    notification = notify([openid(1), openid(2)], template, ORDER)
    notification.logs.update(status=SendLog.Status.FAILED, due_at=None)
    with refusing(1):
        assert resend(log for log in notification.logs.all()).count() == 2


def test_a_binding_is_recorded_once(alice: Any) -> None:
    """What was undone left nothing behind."""
    with refusing(2):
        binding = bind(alice, openid(1))
    assert binding.user == alice
    assert BindingChange.objects.count() == 1


@contextmanager
def unbound_by_another(when: int) -> Iterator[None]:
    """Just before the bindings are read for this time, another transaction deletes them."""
    reads = 0

    def watch(execute: Any, sql: str, *args: Any) -> Any:
        nonlocal reads
        if sql.startswith("SELECT") and f"FROM {bindings}" in sql:
            reads += 1
            if reads == when:
                OpenIDBinding.objects.all().delete()
        return execute(sql, *args)

    bindings = connection.ops.quote_name(OpenIDBinding._meta.db_table)
    with connection.execute_wrapper(watch):
        yield
    assert reads >= when


def test_a_binding_that_was_in_the_way_and_is_gone(alice: Any) -> None:
    """The database refuses the new row for another's sake, who then unbinds: it is tried again."""
    with refusing(1, IntegrityError("UNIQUE constraint failed")) as refused:
        binding = bind(alice, openid(1))
    assert len(refused) == 1
    assert OpenIDBinding.objects.get() == binding
    assert BindingChange.objects.count() == 1


def test_a_row_that_the_database_refuses_for_good(alice: Any) -> None:
    """Its error is raised, however often bind() would look for somebody else's row."""
    broken = IntegrityError("CHECK constraint failed")
    with refusing(10_000, broken), pytest.raises(IntegrityError, match="CHECK"):
        bind(alice, openid(1))


def test_an_openid_that_is_unbound_before_it_moves(
    alice: Any, configure: Callable[..., None]
) -> None:
    """It is bound anew: nobody has it any more."""
    configure(BINDING_CONFLICT="move")
    make_binding(make_user("former"), openid=openid(1))
    with unbound_by_another(when=2):
        binding = bind(alice, openid(1), source=OpenIDBinding.Source.OAUTH)
    assert OpenIDBinding.objects.get() == binding
    assert [row.change for row in BindingChange.objects.all()] == ["bound"]


def test_an_openid_that_is_unbound_before_its_unionid_is_added(alice: Any) -> None:
    """It is bound anew, with the unionid."""
    bind(alice, openid(1))
    with unbound_by_another(when=2):
        bind(alice, openid(1), unionid="uUNION")
    assert OpenIDBinding.objects.get().unionid == "uUNION"


def test_what_is_learned_of_following_is_written_down_after_a_conflict() -> None:
    """An event's callback is answered as if there had been none."""
    make_binding(openid=openid(1))
    with refusing(2) as refused:
        unsubscribed("default", openid(1), happened_at=timezone.now())
    assert len(refused) == 2
    assert not OpenIDBinding.objects.get().subscribed
    assert BindingChange.objects.count() == 1


def test_within_a_callers_transaction_it_is_the_callers(template: MessageTemplate) -> None:
    """The database has undone the caller's part too: only the caller can do it again."""
    notification = notify(openid(1), template, ORDER)
    with refusing(1) as refused, pytest.raises(OperationalError), transaction.atomic():
        pause(notification)
    assert len(refused) == 1


def test_another_error_is_not_repeated(template: MessageTemplate) -> None:
    """A full disk stays full."""
    notification = notify(openid(1), template, ORDER)
    full = OperationalError(1021, "Disk full")
    with refusing(5, full) as refused, pytest.raises(OperationalError):
        pause(notification)
    assert len(refused) == 1

"""Signals of other apps turned into messages."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save
from django.dispatch import Signal
from django.utils import timezone

from tests.factories import make_binding, make_template
from tests.school.models import Leave, Order
from wechat_notify import declarations
from wechat_notify.backends import locmem
from wechat_notify.declarations import Declaration
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.signals import notify_requested
from wechat_notify.triggers import notify_on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_triggers")]

DATA = {"name1": "李小明", "thing2": "回老家"}


@pytest.fixture
def leave_requested() -> MessageTemplate:
    return make_template("leave_requested", content="{{name1.DATA}}\n{{thing2.DATA}}")


@pytest.fixture
def approver() -> Any:
    return make_binding().user


@pytest.fixture
def happened() -> Iterator[Signal]:
    """A signal of some other app."""
    return Signal()


@pytest.fixture
def saved(approver: Any) -> None:
    """Saving a Leave notifies the approver when it is new."""

    @notify_on(post_save, sender=Leave, template="leave_requested", dispatch_uid="saved")
    def tell(instance: Leave, created: bool, **kwargs: Any) -> dict[str, Any] | None:
        if not created:
            return None
        return {
            "users": approver,
            "data": {**DATA, "thing2": instance.reason},
            "url": instance.get_absolute_url(),
            "key": f"leave-{instance.pk}",
        }


def ask_for_leave(person: Any) -> Leave:
    return Leave.objects.create(person=person, reason="回老家", start=timezone.now())


@pytest.mark.django_db(transaction=True)
def test_a_saved_row_notifies(saved: None, leave_requested: Any, approver: Any) -> None:
    """From post_save to a delivered message, with link and key."""
    with transaction.atomic():
        leave = ask_for_leave(approver)
        assert locmem.outbox == []
    (message,) = locmem.outbox
    assert message.data == {"name1": {"value": "李小明"}, "thing2": {"value": "回老家"}}
    assert message.url == f"https://school.example/view/{leave.pk}/"
    notification = Notification.objects.get()
    assert (notification.source, notification.key) == ("signal", f"leave-{leave.pk}")


def test_none_sends_nothing(saved: None, leave_requested: Any, approver: Any) -> None:
    """A function that returns None has decided that nobody is told."""
    leave = ask_for_leave(approver)
    leave.save()
    assert Notification.objects.count() == 1


def test_other_senders_are_not_listened_to(saved: None, leave_requested: Any) -> None:
    """``sender`` narrows the signal as for any receiver."""
    make_template("unrelated")
    assert not Notification.objects.exists()


def test_several_signals(leave_requested: Any, approver: Any, happened: Signal) -> None:
    """One function can answer several signals."""
    signals = [happened, Signal()]

    @notify_on(signals, template="leave_requested")
    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": approver, "data": DATA}

    for signal in signals:
        signal.send(None)
    assert Notification.objects.count() == 2


def test_dispatch_uid_keeps_it_to_one(
    leave_requested: Any, approver: Any, happened: Signal
) -> None:
    """A module that is imported twice notifies once."""
    for _ in range(2):

        @notify_on(happened, template="leave_requested", dispatch_uid="once")
        def tell(**kwargs: Any) -> dict[str, Any]:
            return {"users": approver, "data": DATA}

    happened.send(None)
    assert Notification.objects.count() == 1


def test_the_function_itself_stays_as_it_was(happened: Signal) -> None:
    """It can be called and tested like any other."""

    def tell(**kwargs: Any) -> None:
        """Tell."""

    assert notify_on(happened, template="leave_requested")(tell) is tell


def test_the_function_gets_the_signals_own_arguments(happened: Signal) -> None:
    """Sender, signal and everything that was sent with it."""
    got: dict[str, Any] = {}

    @notify_on(happened, template="leave_requested")
    def tell(**kwargs: Any) -> None:
        got.update(kwargs)

    happened.send("school", leave=5)
    assert got == {"sender": "school", "signal": happened, "leave": 5}


def test_the_function_may_choose_otherwise(
    leave_requested: Any, approver: Any, happened: Signal
) -> None:
    """Any argument of notify() that is returned wins over the decorator's."""
    other = make_template("leave_refused", content="{{name1.DATA}}\n{{thing2.DATA}}")

    @notify_on(happened, template="leave_requested")
    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": approver, "data": DATA, "template": "leave_refused"}

    happened.send(None)
    assert Notification.objects.get().template == other


def test_the_decorators_account_is_used(happened: Signal) -> None:
    """``account`` says on which account the template is."""
    template = make_template(account="other", content="{{name1.DATA}}")

    @notify_on(happened, template="order_paid", account="other")
    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": [], "data": {"name1": "李小明"}}

    happened.send(None)
    assert Notification.objects.get().template == template


def test_a_template_by_name_is_declared(happened: Signal) -> None:
    """The system checks learn which template and fields the code expects."""
    notify_on(happened, template="leave_requested", fields=["name1", "thing2"])
    notify_on([post_delete], template="leave_over", account="other")
    notify_on(happened, template=MessageTemplate(name="by object"))
    assert list(declarations.declared) == [
        Declaration("leave_requested", "default", frozenset({"name1", "thing2"})),
        Declaration("leave_over", "other", None),
    ]


def test_what_a_fixture_writes_is_told_to_nobody(
    saved: None, leave_requested: Any, approver: Any, tmp_path: Path
) -> None:
    """loaddata sends signals, too: they say so."""
    ask_for_leave(approver)
    call_command("dumpdata", "school.leave", output=str(tmp_path / "leave.json"), verbosity=0)
    Leave.objects.all().delete()
    call_command("loaddata", str(tmp_path / "leave.json"), verbosity=0)
    assert Leave.objects.count() == 1
    assert Notification.objects.count() == 1


def test_a_fixture_with_many_to_many(leave_requested: Any, approver: Any, tmp_path: Path) -> None:
    """Setting the field of an object that a fixture has saved is part of the fixture."""
    order = Order.objects.create(buyer=approver)
    order.tags.add(Group.objects.create(name="urgent"))
    call_command("dumpdata", "school.order", output=str(tmp_path / "order.json"), verbosity=0)
    order.tags.clear()

    @notify_on(m2m_changed, sender=Order.tags.through, template="leave_requested")
    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": approver, "data": DATA}

    call_command("loaddata", str(tmp_path / "order.json"), verbosity=0)
    assert order.tags.count() == 1
    assert not Notification.objects.exists()
    order.tags.clear()
    assert Notification.objects.count() == 2  # before and after


def test_when(leave_requested: Any, approver: Any) -> None:
    """It gets the object, and the function is asked only if it says so."""
    asked = []

    @notify_on(post_save, sender=Leave, template="leave_requested", when=lambda leave: leave.reason)
    def tell(instance: Leave, **kwargs: Any) -> dict[str, Any]:
        asked.append(instance.reason)
        return {"users": approver, "data": DATA}

    Leave.objects.create(person=approver, reason="", start=timezone.now())
    ask_for_leave(approver)
    assert asked == ["回老家"]
    assert Notification.objects.count() == 1


def test_when_of_a_signal_without_an_object(
    leave_requested: Any, approver: Any, happened: Signal
) -> None:
    """It gets the sender."""

    @notify_on(happened, template="leave_requested", when=lambda sender: sender == "school")
    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": approver, "data": DATA}

    happened.send("hospital")
    happened.send("school")
    assert Notification.objects.count() == 1


def test_many_to_many(leave_requested: Any, approver: Any) -> None:
    """m2m_changed, by the table between, as for any receiver."""
    told = []

    @notify_on(m2m_changed, sender=Order.tags.through, template="leave_requested")
    def tell(instance: Order, action: str, **kwargs: Any) -> dict[str, Any] | None:
        told.append(action)
        return {"users": approver, "data": DATA} if action == "post_add" else None

    order = Order.objects.create(buyer=approver)
    order.tags.add(Group.objects.create(name="urgent"))
    assert told == ["pre_add", "post_add"]
    assert Notification.objects.count() == 1


# -- async ------------------------------------------------------------------------------------


def test_an_async_function(leave_requested: Any, approver: Any) -> None:
    """It is waited for, in the transaction of the code that sends the signal."""

    @notify_on(post_save, sender=Leave, template="leave_requested")
    async def tell(instance: Leave, **kwargs: Any) -> dict[str, Any]:
        leave = await Leave.objects.aget(pk=instance.pk)
        return {"users": approver, "data": {**DATA, "thing2": leave.reason}}

    ask_for_leave(approver)
    assert Notification.objects.get().data["thing2"] == {"value": "回老家"}


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.django_db(transaction=True)
def test_asend(leave_requested: Any, approver: Any, happened: Signal, is_async: bool) -> None:
    """A signal that async code sends, and functions of both kinds."""

    def tell(**kwargs: Any) -> dict[str, Any]:
        return {"users": approver, "data": DATA}

    async def atell(**kwargs: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return tell(**kwargs)

    notify_on(happened, template="leave_requested")(atell if is_async else tell)
    ((_receiver, notification),) = async_to_sync(happened.asend)(None)
    assert notification == Notification.objects.get()


@pytest.mark.django_db(transaction=True)
def test_asave(saved: None, leave_requested: Any, approver: Any) -> None:
    """Saving in async code."""
    leave = Leave(person=approver, reason="回老家", start=timezone.now())
    async_to_sync(leave.asave)()
    assert len(locmem.outbox) == 1


# -- notify_requested -------------------------------------------------------------------------


def test_a_request_by_signal(leave_requested: Any, approver: Any) -> None:
    """Code that must not import the app sends notify_requested with notify()'s arguments."""
    answers = notify_requested.send(
        Leave, users=approver, template="leave_requested", data=DATA, url="/view/1/", key="k"
    )
    notification = Notification.objects.get()
    assert [answer for _receiver, answer in answers] == [notification]
    assert (notification.source, notification.key) == ("signal", "k")
    assert notification.url == "https://school.example/view/1/"


def test_a_bad_request_by_signal_is_refused(leave_requested: Any) -> None:
    """send() raises what notify() raises; send_robust() returns it."""
    wanted = {"users": [], "template": "leave_requested", "data": {}}
    with pytest.raises(InvalidData):
        notify_requested.send(None, **wanted)
    ((_receiver, error),) = notify_requested.send_robust(None, **wanted)
    assert isinstance(error, InvalidData)

"""Signals of other apps turned into messages."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.dispatch import Signal
from django.utils import timezone

from tests.factories import make_binding, make_template
from tests.school.models import Leave
from wechat_notify import declarations
from wechat_notify.backends import locmem
from wechat_notify.declarations import Declaration
from wechat_notify.exceptions import InvalidData, TemplateNotFound
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.signals import notify_requested
from wechat_notify.triggers import notify_on

pytestmark = pytest.mark.django_db

DATA = {"name1": "李小明", "thing2": "回老家"}


@pytest.fixture(autouse=True)
def _own_declarations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(declarations, "declared", {})


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
def saved(approver: Any) -> Iterator[None]:
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

    yield
    post_save.disconnect(sender=Leave, dispatch_uid="saved")


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


def test_what_notify_refuses_reaches_who_sent_the_signal(saved: None, approver: Any) -> None:
    """Without the template, saving fails: nobody is left to believe that a message went out."""
    with pytest.raises(TemplateNotFound, match="leave_requested"):
        ask_for_leave(approver)


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

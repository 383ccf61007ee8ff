"""wechat_notify.testing, as the tests of a site use it."""

import re
import unittest
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import transaction
from django.test import TestCase
from django.utils import timezone

from tests.factories import ORDER, make_binding, make_template, make_user, openid
from wechat_notify.conf import settings as conf
from wechat_notify.declarations import declare
from wechat_notify.exceptions import InvalidData, TemplateNotFound
from wechat_notify.models import MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.services import notify
from wechat_notify.testing import Outbox
from wechat_notify.testing import wechat_outbox as catch_messages
from wechat_notify.types import Outcome, SendResult

pytestmark = pytest.mark.usefixtures("own_declarations")

WIRE = "class OnTheWireTests"


@pytest.fixture
def wechat_outbox(db: None) -> Iterator[Outbox]:
    """The fixture that the module's docstring shows."""
    with catch_messages() as outbox:
        yield outbox


@pytest.fixture
def alice() -> Any:
    return make_binding(make_user("alice")).user


@pytest.fixture
def order_paid(db: None) -> MessageTemplate:
    return make_template()


# -- templates --------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_first_example_of_the_page_passes() -> None:
    """docs/testing.md, as it stands: no template and no binding but those that it makes itself."""
    page = (Path(__file__).parent.parent / "docs/testing.md").read_text()
    code = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)[0]
    order = SimpleNamespace()

    def make_order() -> SimpleNamespace:
        order.buyer = make_user("buyer")
        return order

    def pay(order: SimpleNamespace) -> None:
        notify(order.buyer, "order_paid", {"thing2": "围巾"})

    names: dict[str, Any] = {"make_order": make_order, "pay": pay}
    exec(code, names)  # noqa: S102
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(names["OrderTests"]).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.failures + result.errors


@pytest.mark.django_db(transaction=True)
def test_the_example_on_the_wire_passes() -> None:
    """Also docs/testing.md, as it stands: real HTTP, a refusal and an answer that is late."""
    page = (Path(__file__).parent.parent / "docs/testing.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    (code,) = [block for block in blocks if WIRE in block]
    names: dict[str, Any] = {}
    exec(code, names)  # noqa: S102
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(names["OnTheWireTests"]).run(result)
    assert result.testsRun == 1
    assert result.wasSuccessful(), result.failures + result.errors


@pytest.mark.django_db
def test_a_declared_template_needs_no_row(alice: Any) -> None:
    """What code declares is registered for the block, with the fields that the code fills in."""
    declare("order_paid", fields=["thing2"])
    declare("order_sent")
    with catch_messages() as outbox:
        outbox.assert_not_notified(alice, "order_sent")
        notify(alice, "order_paid", {"thing2": "围巾"})
        notify(alice, "order_sent", {"thing1": "围巾"})
        outbox.assert_notified(alice, "order_paid", thing2="围巾")
        outbox.assert_notified(alice, "order_sent", thing1="围巾")
        with pytest.raises(InvalidData, match="thing2"):
            notify(alice, "order_paid", {"thing1": "围巾"})


@pytest.mark.django_db
def test_a_mistyped_name_still_fails(alice: Any) -> None:
    """Of templates that are neither registered nor declared, nor declared on this account."""
    declare("order_paid", account="other")
    with catch_messages():
        for name in ("order_payed", "order_paid"):
            with pytest.raises(TemplateNotFound, match="wechat_sync_templates"):
                notify(alice, name, ORDER)
    declare("order_payed")
    with pytest.raises(TemplateNotFound):
        notify(alice, "order_payed", ORDER)  # outside the block


@pytest.mark.django_db
def test_a_registered_template_gets_another_content(order_paid: Any, alice: Any) -> None:
    """register() of a name that there is changes it, active again where it was switched off."""
    MessageTemplate.objects.update(is_active=False)
    with catch_messages() as outbox:
        assert outbox.register("order_paid", content="{{thing9.DATA}}") == order_paid
        notify(alice, "order_paid", {"thing9": "围巾"})
        outbox.assert_notified(alice, "order_paid", thing9="围巾")


# -- what is caught ---------------------------------------------------------------------------


def test_a_message_is_there_though_the_test_never_commits(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """Inside a test's transaction, what would leave after the commit is in the outbox."""
    notify(alice, "order_paid", ORDER, url="/view/1/")
    (message,) = wechat_outbox.messages
    assert message.openid == openid(1)
    assert message.data["thing2"] == {"value": "围巾"}
    assert message.url == "https://school.example/view/1/"


@pytest.mark.django_db(transaction=True)
def test_a_message_leaves_at_a_real_commit(order_paid: MessageTemplate, alice: Any) -> None:
    """In a test that commits, the message is sent once and at that moment."""
    with catch_messages() as outbox:
        notification = notify(alice, "order_paid", ORDER)
        assert notification.counts["sent"] == 1
        assert len(outbox.messages) == 1


def test_a_rollback_takes_the_message_with_it(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """What was undone is not in the outbox."""
    with transaction.atomic():
        notify(alice, "order_paid", ORDER)
        transaction.set_rollback(True)
    assert wechat_outbox.messages == []


def test_capture_on_commit_callbacks_does_no_harm(
    wechat_outbox: Outbox,
    order_paid: MessageTemplate,
    alice: Any,
    django_capture_on_commit_callbacks: Any,
) -> None:
    """Nothing is delivered twice."""
    with django_capture_on_commit_callbacks(execute=True):
        notify(alice, "order_paid", ORDER)
    assert len(wechat_outbox.messages) == 1


def test_what_is_due_later_is_not_there_yet(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """A send_at in the future is respected."""
    notify(alice, "order_paid", ORDER, send_at=timezone.now() + timedelta(hours=1))
    assert wechat_outbox.messages == []


def test_every_account_is_caught(wechat_outbox: Outbox, alice: Any) -> None:
    """All accounts of the project lead into the outbox, whatever their backend."""
    make_template(account="other")
    OpenIDBinding.objects.create(user=alice, account="other", openid=openid(2))
    notify(alice, "order_paid", ORDER, account="other")
    assert [message.openid for message in wechat_outbox.messages_to(alice)] == [openid(2)]


@pytest.mark.django_db
def test_the_projects_settings_are_only_covered(configure: Any) -> None:
    """Backend, options and dispatcher are replaced inside the block, and back after it."""
    configure(
        default={
            "BACKEND": "wechat_notify.backends.wechat.WeChatBackend",
            "OPTIONS": {"ca_bundle": "/nowhere"},
        },
        DISPATCHER="nowhere.Dispatcher",
        RATE="1/h",
        INVALID_DATA="trim",
    )
    with catch_messages():
        assert conf.account("default").backend.endswith("LocMemBackend")
        assert conf.account("default").options == {}
        assert conf.account("default").rate is None
        assert conf.DISPATCHER.options == {"limit": None}
        assert conf.INVALID_DATA == "trim"
    assert conf.account("default").backend.endswith("WeChatBackend")
    assert conf.DISPATCHER.path == "nowhere.Dispatcher"


@pytest.mark.django_db
def test_a_project_without_accounts_gets_one(settings: Any, order_paid: MessageTemplate) -> None:
    """A reusable app that only calls notify() can be tested without any setting."""
    del settings.WECHAT_NOTIFY
    with catch_messages() as outbox:
        notify(openid(1), "order_paid", ORDER)
        outbox.assert_count(1)


def test_each_block_starts_empty(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """Messages, answers and rests of one test are not those of the next."""
    notify(alice, "order_paid", ORDER)
    wechat_outbox.assert_count(1)
    wechat_outbox.answer(alice, 45009, times=5)
    notify(alice, "order_paid", ORDER)
    wechat_outbox.assert_count(1)
    with catch_messages() as another:
        another.assert_count(1)  # the row that waited for the rest to end
        assert another.messages_to(alice)


# -- answers ----------------------------------------------------------------------------------


def test_wechat_can_refuse_one_person(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """An errcode for one person leaves the others alone, and counts down."""
    bob = make_binding(make_user("bob"), 2)
    wechat_outbox.answer(alice, 43101)
    first = notify([alice, bob], "order_paid", ORDER)
    assert [message.openid for message in wechat_outbox.messages] == [bob.openid]
    assert first.counts["failed"] == 1
    notify(alice, "order_paid", ORDER)
    wechat_outbox.assert_notified(alice, "order_paid")


@pytest.mark.parametrize("kind", ["user", "binding", "openid"])
def test_an_answer_by_user_binding_or_openid(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any, kind: str
) -> None:
    """A recipient is named as for notify(); a whole SendResult will do too."""
    binding = OpenIDBinding.objects.get()
    named = {"user": alice, "binding": binding, "openid": binding.openid}[kind]
    wechat_outbox.answer(named, SendResult(Outcome.UNKNOWN, errmsg="timeout"))
    notify(named, "order_paid", ORDER)
    assert wechat_outbox.messages == []
    assert SendLog.objects.get().in_doubt_since is not None


def test_an_answer_to_nobody_is_a_mistake(wechat_outbox: Outbox) -> None:
    """A user without a binding is never written to, so no answer could come."""
    with pytest.raises(AssertionError, match="bob has no openid"):
        wechat_outbox.answer(make_user("bob"), 43004)


# -- assertions -------------------------------------------------------------------------------


def test_assert_notified_finds_the_message(wechat_outbox: Outbox, alice: Any) -> None:
    """By template and by any of its fields, as the phone shows them."""
    template = make_template(content="{{amount1.DATA}}{{thing2.DATA}}")
    notify(alice, template, {"amount1": 5, "thing2": "手套"})
    notify(alice, template, {"amount1": Decimal("39.8"), "thing2": "围巾"})
    message = wechat_outbox.assert_notified(alice, "order_paid", amount1=Decimal("39.8"))
    assert message.data["thing2"] == {"value": "围巾"}
    for recipient in (alice, OpenIDBinding.objects.get(), openid(1)):
        wechat_outbox.assert_notified(recipient, template, thing2="手套", amount1="5.00元")


def test_a_wrong_field_shows_what_was_sent(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """The failure names what was wanted and lists what there is, without an openid."""
    notify(alice, "order_paid", ORDER)
    with pytest.raises(AssertionError) as caught:
        wechat_outbox.assert_notified(alice, "order_paid", thing2="手套")
    assert str(caught.value) == (
        "alice was not notified with 'order_paid' and thing2='手套'.\n"
        "  sent: order_paid to oTes…001 with character_string1='2026112301', thing2='围巾'"
    )


def test_a_failure_says_why_nothing_was_sent(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """The send log's reason saves the look into the database."""
    bob = make_user("bob")
    wechat_outbox.answer(alice, 43101)
    notify([alice, bob], order_paid, ORDER)
    with pytest.raises(AssertionError, match="skipped: order_paid: This user has not bound"):
        wechat_outbox.assert_notified(bob, order_paid)
    for named in (alice, OpenIDBinding.objects.get(), openid(1)):
        with pytest.raises(AssertionError, match=r"failed: order_paid: .*errcode 43101"):
            wechat_outbox.assert_notified(named, order_paid)
    notify(openid(9), order_paid, ORDER, send_at=timezone.now() + timedelta(hours=1))
    with pytest.raises(AssertionError, match=r"oTes…009 was not .*\n  pending: order_paid$"):
        wechat_outbox.assert_notified(openid(9), order_paid)


def test_a_failure_says_that_nobody_asked(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """notify() was not called for this person at all."""
    with pytest.raises(AssertionError, match="Nobody asked for a message to this recipient"):
        wechat_outbox.assert_notified(alice, "order_paid")


def test_a_template_that_is_not_registered_is_a_mistake(wechat_outbox: Outbox, alice: Any) -> None:
    """An assertion about a misspelt name would always fail, or always pass."""
    for check in (wechat_outbox.assert_notified, wechat_outbox.assert_not_notified):
        with pytest.raises(AssertionError, match="No template named 'order_piad'"):
            check(alice, "order_piad")


def test_assert_not_notified(
    wechat_outbox: Outbox, order_paid: MessageTemplate, alice: Any
) -> None:
    """Of nothing at all, or of one template."""
    other = make_template("refunded")
    wechat_outbox.assert_not_notified(alice)
    notify(alice, order_paid, ORDER)
    wechat_outbox.assert_not_notified(alice, other)
    for template in (None, "order_paid"):
        with pytest.raises(AssertionError, match=r"alice was notified\.\n  sent: order_paid"):
            wechat_outbox.assert_not_notified(alice, template)


def test_assert_count(wechat_outbox: Outbox, alice: Any) -> None:
    """The failure lists what was sent."""
    template = make_template(content="")
    with pytest.raises(AssertionError, match="0 messages were sent, not 1:\n  nothing"):
        wechat_outbox.assert_count(1)
    notify(alice, template, {})
    wechat_outbox.assert_count(1)
    with pytest.raises(AssertionError, match="not 0:\n  order_paid to oTes…001 with no fields"):
        wechat_outbox.assert_count(0)


# -- unittest ---------------------------------------------------------------------------------


class SiteTests(TestCase):
    """What the module's docstring shows, run by unittest below."""

    def test_the_buyer_is_told(self) -> None:
        make_template()
        buyer = make_binding().user
        with catch_messages() as outbox:
            notify(buyer, "order_paid", ORDER)
            outbox.assert_notified(buyer, "order_paid", thing2="围巾")

    @catch_messages()
    def test_decorated(self) -> None:
        make_template()
        notify(openid(1), "order_paid", ORDER)
        assert conf.account("default").backend.endswith("LocMemBackend")


def test_the_module_does_not_need_pytest() -> None:
    """pytest is no dependency of the app."""
    import wechat_notify.testing as module

    assert "pytest" not in vars(module)
    assert unittest.TestCase in SiteTests.__mro__

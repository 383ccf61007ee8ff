"""A name that gets another template under running code."""

import threading
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.factories import make_binding, make_bindings, make_template
from wechat_notify.backends import locmem
from wechat_notify.declarations import declare
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.proposals import propose_fields, propose_names
from wechat_notify.sending import engine
from wechat_notify.services import notify, replace_template, review_replacement
from wechat_notify.template_replacement import names_in_use
from wechat_notify.wechat.fields import parse

NAMES = {"order_no": "character_string1", "title": "thing2"}
ORDER = {"order_no": "2026112301", "title": "围巾"}
NEW_CONTENT = "商品名称：{{thing7.DATA}}\n订单编号：{{character_string9.DATA}}"
NEW_NAMES = {"title": "thing7", "order_no": "character_string9"}
NEW_WIRE = {"thing7": {"value": "围巾"}, "character_string9": {"value": "2026112301"}}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def waits(configure: Any) -> None:
    """Nobody delivers until the test does."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture
def old() -> MessageTemplate:
    return make_template(field_names=NAMES)


@pytest.fixture
def new() -> MessageTemplate:
    return make_template("t-abcd1234", template_id="N" * 43, content=NEW_CONTENT)


def ban(template: MessageTemplate) -> None:
    """As the engine does it: nothing leaves, what waits is parked."""
    MessageTemplate.objects.filter(pk=template.pk).update(
        paused_at=timezone.now(), pause_errcode=43116
    )
    SendLog.objects.waiting().update(due_at=None)


def sent() -> list[dict[str, Any]]:
    engine.deliver()
    return [dict(message.data) for message in locmem.outbox]


def test_parked_messages_go_on_with_the_new_template(
    old: MessageTemplate, new: MessageTemplate
) -> None:
    """Proposed by the labels; the call stays the same, and the log says what each left with."""
    notify(make_binding(), old, ORDER)
    engine.deliver()
    notify(make_bindings(3, first=10), old, ORDER)
    notify(make_binding(None, 20), old, lambda person: ORDER)
    ban(old)
    assert replace_template(old, new) == 4
    assert (new.name, old.name, new.field_names) == ("order_paid", "order_paid-old", NEW_NAMES)
    assert sent()[1:] == [NEW_WIRE] * 4
    assert {log.revision.template_id[0] for log in SendLog.objects.order_by("pk")[1:]} == {"N"}
    assert SendLog.objects.order_by("pk").first().revision.template_id == old.template_id
    notify(make_binding(None, 30), "order_paid", ORDER)
    assert sent()[-1] == NEW_WIRE


def test_undo_is_the_same(old: MessageTemplate, new: MessageTemplate) -> None:
    """There and back: names, keys and waiting messages are as before."""
    notify(make_binding(), old, ORDER, key="order-7")
    replace_template(old, new)
    replace_template(new, old)
    assert (old.name, old.field_names) == ("order_paid", NAMES)
    assert notify(make_binding(None, 2), "order_paid", ORDER, key="order-7").is_new is False
    assert sent() == [{"character_string1": {"value": "2026112301"}, "thing2": {"value": "围巾"}}]


def test_code_without_names_goes_on(new: MessageTemplate) -> None:
    """WeChat's keys of the old template become names of the new one, for calls and for rows."""
    old = make_template()
    call = {"character_string1": "2026112301", "thing2": "围巾"}
    notify(make_binding(), "order_paid", call)
    replace_template(old, new)
    notify(make_binding(None, 2), "order_paid", call)
    assert sent() == [NEW_WIRE] * 2
    assert new.field_names == {"character_string1": "character_string9", "thing2": "thing7"}


def test_rows_from_before_the_names_go_on(new: MessageTemplate) -> None:
    """Written by key, then the template got names, then it was replaced by name."""
    old = make_template()
    notify(make_binding(), "order_paid", {"character_string1": "2026112301", "thing2": "围巾"})
    old.field_names = NAMES
    old.save()
    replace_template(old, new)
    assert sent() == [NEW_WIRE]


def test_every_problem_is_said_at_once_and_nothing_changes(
    old: MessageTemplate, new: MessageTemplate
) -> None:
    """A word without a field, a field that nothing fills in, a key that is not there."""
    with pytest.raises(InvalidData) as error:
        replace_template(old, new, {"order_no": "thing1"})
    said = str(error.value)
    assert "order_no (thing1): stands for thing1, which this template does not have" in said
    assert "title: has no field in the new template" in said
    assert "thing7 (商品名称): is a field of the new template that nothing fills in" in said
    old.refresh_from_db()
    assert old.name == "order_paid"
    assert review_replacement(old, new, {"order_no": "thing1"}).problems


def test_it_must_be_another_active_template_of_the_account(
    old: MessageTemplate, own_declarations: None
) -> None:
    """Not itself, not another account's, not one switched off, not one that code calls by name."""
    off = make_template("off", template_id="O" * 43, is_active=False)
    other = make_template("far", template_id="F" * 43, account="other")
    used = make_template("used", template_id="U" * 43)
    declare("used")
    for new in (old, off, other, used):
        with pytest.raises(InvalidData):
            replace_template(old, new)


def test_the_review_says_what_would_be_refused(old: MessageTemplate) -> None:
    """How many wait, how many do not fit and why, and which rules differ."""
    new = make_template(
        "t-abcd1234",
        template_id="N" * 43,
        content="商品名称：{{phrase7.DATA}}\n订单编号：{{character_string9.DATA}}",
    )
    notify(make_bindings(3), old, ORDER)
    notify(make_bindings(2, first=10), old, lambda user: {**ORDER, "title": "scarf"})
    doubtful = notify(make_binding(None, 20), old, ORDER).logs
    doubtful.update(in_doubt_since=timezone.now())
    review = review_replacement(old, new)
    assert (review.problems, review.waiting, review.checked, review.in_doubt) == ([], 5, 5, 1)
    [(reason, count)] = review.refused.items()
    assert count == 2
    assert reason.startswith("title (phrase7): must be at most 5 Chinese")
    [difference] = review.differences
    assert str(difference).startswith("title (phrase7): must be at most 5 Chinese")


def test_a_field_may_be_left_out(old: MessageTemplate) -> None:
    """Code goes on naming it; it comes back when a template has a field for it again."""
    new = make_template(
        "t-abcd1234", template_id="N" * 43, content="订单编号：{{character_string9.DATA}}"
    )
    assert propose_fields(old, new) == {"order_no": "character_string9", "title": ""}
    replace_template(old, new)
    notify(make_bindings(2), "order_paid", ORDER)
    SendLog.objects.filter(openid__endswith="2").update(due_at=None)
    assert sent() == [{"character_string9": {"value": "2026112301"}}]
    replace_template(new, old)
    assert sent()[1] == {"character_string1": {"value": "2026112301"}, "thing2": {"value": "围巾"}}


def test_the_link_goes_with_the_name(old: MessageTemplate, new: MessageTemplate) -> None:
    """Calls that relied on the template's own link keep it."""
    MessageTemplate.objects.filter(pk=old.pk).update(url="https://school.example/orders/")
    replace_template(old, new)
    assert new.url == "https://school.example/orders/"


def test_names_in_use(old: MessageTemplate) -> None:
    """Those that waiting messages hold, in shared data or in a recipient's own."""
    assert names_in_use(old, NAMES) == []
    notify(make_binding(), old, ORDER)
    assert names_in_use(old, ["order_no", "other"]) == ["order_no"]
    SendLog.objects.update(status="sent")
    notify(make_binding(None, 2), old, lambda person: ORDER)
    assert names_in_use(old, ["title", "other"]) == ["title"]


def test_a_call_that_commits_after_the_replacement_is_not_left_behind(
    old: MessageTemplate, new: MessageTemplate
) -> None:
    """It read the old, banned template before, and its rows are parked: they follow the name."""
    if connection.vendor != "postgresql":
        pytest.skip("elsewhere the replacement waits until the call has committed")
    ban(old)
    written, replaced = threading.Event(), threading.Event()

    def call() -> None:
        try:
            with transaction.atomic():
                notify("oTest-somebody-else-000000001", "order_paid", ORDER)
                written.set()
                replaced.wait(120)
        finally:
            connection.close()

    thread = threading.Thread(target=call)
    thread.start()
    assert written.wait(120)
    replace_template(old, new)
    replaced.set()
    thread.join()
    assert sent() == [NEW_WIRE]


@pytest.mark.parametrize(
    ("content", "names", "proposed"),
    [
        (
            "订单编号：{{character_string1.DATA}}\n商品：{{thing2.DATA}}\n金额：{{amount3.DATA}}\n"
            "付款时间：{{time4.DATA}}",
            ["order_no", "title", "amount", "paid_at"],
            {
                "order_no": "character_string1",
                "title": "thing2",
                "amount": "amount3",
                "paid_at": "time4",
            },
        ),
        # The label decides between two fields of one type.
        (
            "地点：{{thing1.DATA}}\n原因：{{thing2.DATA}}",
            ["reason", "place"],
            {"place": "thing1", "reason": "thing2"},
        ),
        # The only one that is left.
        ("订单编号：{{character_string1.DATA}}", ["xyzzy"], {"xyzzy": "character_string1"}),
        # Keys are no names, and nothing is guessed.
        ("甲：{{thing1.DATA}}\n乙：{{thing2.DATA}}", ["thing1", "qqq", "www"], {}),
    ],
)
def test_names_are_proposed_by_type_and_label(
    content: str, names: list[str], proposed: dict[str, str]
) -> None:
    """From what code declares; each name and each field once."""
    assert propose_names(names, parse(content)) == proposed

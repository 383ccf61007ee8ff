"""Field names of the site's own: in every call, in every error, and while a message waits."""

from datetime import datetime
from decimal import Decimal
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import get_current_timezone
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.exceptions import InvalidData, Problem
from wechat_notify.models import MessageTemplate, Notification, SendLog, TemplateRevision
from wechat_notify.sending import engine
from wechat_notify.services import notify, resend
from wechat_notify.testing import wechat_outbox
from wechat_notify.wechat import naming
from wechat_notify.wechat.fields import parse

NAMES = {"order_no": "character_string1", "title": "thing2"}
ORDER = {"order_no": "2026112301", "title": "围巾"}
WIRE = {"character_string1": {"value": "2026112301"}, "thing2": {"value": "围巾"}}
OTHER_CONTENT = "商品：{{thing7.DATA}}\n金额：{{amount3.DATA}}\n单号：{{character_string9.DATA}}"

WORKER = "wechat_notify.dispatchers.worker.WorkerDispatcher"


@pytest.fixture
def named(db: None) -> MessageTemplate:
    return make_template(field_names=NAMES)


@pytest.fixture
def waits(configure: Any) -> None:
    """Nobody delivers until the test does."""
    configure(DISPATCHER=WORKER)


def sent() -> list[dict[str, Any]]:
    engine.deliver()
    return [dict(message.data) for message in locmem.outbox]


# -- the mapping ------------------------------------------------------------------------------

words = st.text(
    st.characters(categories=("L", "Nd"), include_characters="_"), min_size=1, max_size=20
)


@st.composite
def mappings(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A content, and names for any of its fields that are not keys of it."""
    numbers = draw(st.lists(st.integers(1, 99), unique=True, min_size=1, max_size=8))
    keys = [f"thing{number}" for number in numbers]
    named = draw(st.lists(st.sampled_from(keys), unique=True))
    free = words.filter(lambda word: word not in keys and word not in ("first", "remark"))
    names = draw(st.lists(free, unique=True, min_size=len(named), max_size=len(named)))
    content = "\n".join(f"标签{key}：{{{{{key}.DATA}}}}" for key in keys)
    return content, dict(zip(names, named, strict=True))


@given(mappings())
def test_names_become_keys_and_names_again(made: tuple[str, dict[str, str]]) -> None:
    """Whatever the mapping: given by name or by key, stored by name, sent by key."""
    content, names = made
    fields = parse(content)
    assert naming.mapping_problems(names, fields) == []
    by_key = {field.name: f"值{number}" for number, field in enumerate(fields)}
    by_name = {naming.words_of(names).get(key, key): text for key, text in by_key.items()}
    for given_data in (by_key, by_name):
        stored, problems = naming.normalise_named(fields, names, given_data)
        assert problems == []
        assert {name: entry["value"] for name, entry in stored.items()} == by_name
        wire = naming.to_keys(stored, names)
        assert {key: entry["value"] for key, entry in wire.items()} == by_key


def test_every_wrong_mapping_is_named_at_once() -> None:
    """Unknown keys, two names for one field, another field's key, no names: all in one answer."""
    fields = parse("单号：{{character_string1.DATA}}\n商品：{{thing2.DATA}}")
    wrong = {
        "order_no": "thing9",
        "title": "thing2",
        "product": "thing2",
        "character_string1": "thing2",
        "first": "thing2",
        "two words": "thing2",
    }
    found = {problem.field: str(problem) for problem in naming.mapping_problems(wrong, fields)}
    assert found.keys() == wrong.keys()
    assert "thing9, which this template does not have" in found["order_no"]
    assert "same field" in found["title"]
    assert "also a key of this template" in found["character_string1"]
    assert naming.mapping_problems(["order_no"], fields)
    assert naming.mapping_problems({"order_no": 1}, fields)


def test_a_wrong_mapping_cannot_be_saved_in_a_form(db: None) -> None:
    """``full_clean()`` says what is wrong with it."""
    template = make_template(field_names={"title": "thing9"})
    with pytest.raises(ValidationError, match="thing9"):
        template.full_clean()


# -- calls ------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_one_call_on_two_accounts() -> None:
    """Other keys, another order, other types, one field more: the call is the same."""
    make_template(field_names={**NAMES, "total": ""})
    make_template(
        account="other",
        template_id="B" * 43,
        content=OTHER_CONTENT,
        field_names={"title": "thing7", "total": "amount3", "order_no": "character_string9"},
    )
    user = make_user("both")
    make_binding(user, 1)
    make_binding(user, 2, account="other")
    for account in ("default", "other"):
        notify(user, "order_paid", {**ORDER, "total": Decimal("39.8")}, account=account)
    first, second = (dict(message.data) for message in locmem.outbox)
    assert first == WIRE
    assert second == {
        "thing7": {"value": "围巾"},
        "amount3": {"value": "39.80元"},
        "character_string9": {"value": "2026112301"},
    }


def test_names_and_keys_may_be_mixed(named: MessageTemplate, waits: None) -> None:
    """Old code says ``thing2`` and is right; what is stored says ``title``."""
    notification = notify(make_binding(), named, {"order_no": "1", "thing2": "围巾"})
    assert notification.data.keys() == {"order_no", "title"}
    one = notify("oTest-somebody-else-000000001", named, lambda person: ORDER).logs.get()
    assert one.data is not None
    assert one.data.keys() == {"order_no", "title"}
    assert {"character_string1": {"value": "1"}, "thing2": {"value": "围巾"}} in sent()


def test_an_error_names_both_words_the_caller_s_first(named: MessageTemplate) -> None:
    """By name: "title (thing2)". By key: "thing2 (title)". What is missing, in the same manner."""
    with pytest.raises(InvalidData) as by_name:
        notify(make_binding(), named, {"title": "长" * 30})
    assert {p.field: p.other_name for p in by_name.value.problems} == {
        "title": "thing2",
        "order_no": "character_string1",
    }
    assert "title (thing2): must be at most 20 characters" in str(by_name.value)
    with pytest.raises(InvalidData) as by_key:
        notify(make_binding(None, 2), named, {"thing2": "长" * 30})
    assert "thing2 (title): must be" in str(by_key.value)
    assert "character_string1 (order_no): is missing" in str(by_key.value)


def test_an_unknown_word_and_one_given_twice_are_misuse(named: MessageTemplate) -> None:
    """Both are told at once, and nothing is written."""
    with pytest.raises(InvalidData) as error:
        notify(make_binding(), named, {**ORDER, "thing2": "帽子", "colour": "红"})
    assert "title (thing2): is given twice" in str(error.value)
    assert "colour: is no field of this template" in str(error.value)
    assert not Notification.objects.exists()


def test_a_problem_names_its_recipient_too() -> None:
    """The name, the key and the person stand in one line."""
    problem = Problem("title", "is empty", recipient="Alice", other_name="thing2")
    assert str(problem) == "title (thing2, Alice): is empty"


def test_check_data_and_render_take_names(named: MessageTemplate) -> None:
    """The template's own methods know the same words."""
    assert named.check_data(ORDER) == []
    assert [problem.field for problem in named.check_data({"title": "围巾"})] == ["order_no"]
    assert [row.value for row in named.render(ORDER).rows] == ["2026112301", "围巾"]


@pytest.mark.django_db(transaction=True)
def test_the_command_takes_names() -> None:
    """``wechat_send order_paid order_no=…``."""
    make_template(field_names=NAMES)
    out = StringIO()
    arguments = ["order_paid", "order_no=2026112301", "thing2=围巾", "--openid", openid(1)]
    call_command("wechat_send", *arguments, stdout=out)
    assert dict(locmem.outbox[0].data) == WIRE


def test_the_outbox_of_tests_takes_names(db: None) -> None:
    """In ``register``, in ``assert_notified``, and in what a failure shows; moments as sent."""
    content = "下单时间：{{time1.DATA}}\n商品：{{thing2.DATA}}"
    with wechat_outbox() as outbox:
        template = outbox.register(
            "paid", content=content, field_names={"at": "time1", "title": "thing2"}
        )
        binding = make_binding()
        moment = datetime(2026, 11, 26, 15, 1, tzinfo=get_current_timezone())
        notify(binding, template, {"at": moment, "title": "围巾"})
        outbox.assert_notified(binding, "paid", at=moment, thing2="围巾")
        with pytest.raises(AssertionError, match="title='围巾'"):
            outbox.assert_notified(binding, "paid", title="帽子")
        with pytest.raises(InvalidData, match="thing9"):
            outbox.register("paid", content=content, field_names={"at": "thing9"})


# -- keys -------------------------------------------------------------------------------------


def test_a_key_belongs_to_account_and_name(named: MessageTemplate, waits: None) -> None:
    """Another template that has got the name finds what the first has sent."""
    first = notify(make_binding(), "order_paid", ORDER, key="order-7")
    MessageTemplate.objects.update(name="order_paid-old")
    make_template(template_id="C" * 43, field_names=NAMES)
    again = notify(make_binding(None, 2), "order_paid", ORDER, key="order-7")
    assert again.pk == first.pk
    assert again.is_new is False
    assert SendLog.objects.count() == 1


# -- waiting, and what left -------------------------------------------------------------------


def test_what_waits_leaves_with_the_template_as_it_is_now(
    named: MessageTemplate, waits: None
) -> None:
    """The same words under other keys, from one moment to the next."""
    notify(make_binding(), named, ORDER)
    named.content = "商品：{{thing5.DATA}}\n单号：{{character_string6.DATA}}"
    named.field_names = {"order_no": "character_string6", "title": "thing5"}
    named.save()
    assert sent() == [{"thing5": {"value": "围巾"}, "character_string6": {"value": "2026112301"}}]


def test_a_value_that_no_longer_fits_is_refused_with_the_reason(
    named: MessageTemplate, waits: None
) -> None:
    """Not cut and not formatted anew: the row fails, and says which field in the site's word.

    Shared data and a recipient's own are both checked again; what fits goes out.
    """
    shared, own, fits = make_bindings(3)
    notify(shared, named, {"order_no": "1", "title": "羊毛长围巾一条"})
    notify(own, named, lambda person: {"order_no": "2", "title": "scarf"})
    notify(fits, named, {"order_no": "3", "title": "围巾"})
    named.content = "单号：{{character_string1.DATA}}\n商品：{{phrase2.DATA}}"
    named.field_names = {"order_no": "character_string1", "title": "phrase2"}
    named.save()
    assert [data["character_string1"]["value"] for data in sent()] == ["3"]
    failed = SendLog.objects.filter(status="failed")
    assert {log.openid for log in failed} == {shared.openid, own.openid}
    for log in failed:
        assert log.explanation.startswith("商品 (title, phrase2): must be at most 5")
        assert (log.attempts, log.errcode, log.revision) == (0, None, None)


def test_a_row_remembers_with_what_it_left(named: MessageTemplate, waits: None) -> None:
    """Title, content and keys of that day stay on its card; revisions are made by changes only."""
    before = TemplateRevision.objects.count()
    logs = [notify(binding, named, ORDER).logs.get() for binding in make_bindings(3)]
    engine.deliver()
    named.title, named.content = "新标题", "商品：{{thing5.DATA}}"
    named.field_names = {"title": "thing5", "order_no": ""}
    named.save()
    named.save()
    log = SendLog.objects.get(pk=logs[0].pk)
    assert log.card.title == "订单支付成功通知"
    assert [(row.label, row.value) for row in log.card.rows] == [
        ("订单编号", "2026112301"),
        ("商品名称", "围巾"),
    ]
    assert TemplateRevision.objects.count() == before + 1


def test_a_template_changed_behind_django_s_back_is_noticed(
    named: MessageTemplate, waits: None
) -> None:
    """``QuerySet.update()`` calls no ``save()``; the next claim makes the revision."""
    notify(make_binding(), named, ORDER)
    MessageTemplate.objects.update(field_names={"order_no": "character_string1", "name": "thing2"})
    engine.deliver()
    log = SendLog.objects.get()
    assert log.status == "sent"
    assert log.revision is not None
    assert log.revision.field_names["name"] == "thing2"


def test_a_claim_costs_the_same_for_any_number_of_notifications(
    named: MessageTemplate, waits: None
) -> None:
    """No query for a row, and none for a notification, also after a change of the template."""

    def queries(count: int, first: int) -> int:
        for binding in make_bindings(count, first=first):
            notify(binding, named, ORDER)
        MessageTemplate.objects.update(notes="x")
        named.refresh_from_db()
        named.title += "改"
        named.save()
        with CaptureQueriesContext(connection) as captured:
            engine.deliver()
        return len(captured)

    assert queries(2, 100) == queries(20, 200)


def test_a_resend_uses_the_template_that_has_the_name_now(
    named: MessageTemplate, waits: None
) -> None:
    """A failed message of a template that was replaced goes out with the new one."""
    notify(make_binding(), "order_paid", ORDER)
    SendLog.objects.update(status="failed", due_at=None)
    MessageTemplate.objects.update(name="order_paid-old", is_active=False)
    new = make_template(
        template_id="N" * 43,
        content="商品：{{thing5.DATA}}\n单号：{{character_string6.DATA}}",
        field_names={"order_no": "character_string6", "title": "thing5"},
    )
    made = resend(SendLog.objects.all()).get()
    assert made.notification.template == new
    assert sent() == [{"thing5": {"value": "围巾"}, "character_string6": {"value": "2026112301"}}]

"""What the send log teaches about const fields, whose values WeChat reviews."""

from typing import Any

import pytest

from tests.factories import make_binding, make_template, openid
from wechat_notify.admin.compose.const_values import Learned, learn, warnings
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sandbox.records import Template
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

Status = SendLog.Status
CONTENT = "申请人：{{name1.DATA}}\n类型：{{const2.DATA}}\n级别：{{enum3.DATA}}"


@pytest.fixture
def template() -> MessageTemplate:
    return make_template("leave", content=CONTENT)


def data(kind: str = "事假", level: str = "普通") -> dict[str, str]:
    return {"name1": "李小明", "const2": kind, "enum3": level}


def happened(template: MessageTemplate, said: Any, status: str, errmsg: str = "") -> None:
    """A message that WeChat has answered."""
    notification = notify(openid(1), template, said)
    errcode = 47003 if errmsg else 0
    notification.logs.update(status=status, errmsg=errmsg, errcode=errcode)


@pytest.mark.parametrize("status", [Status.SENT, Status.DELIVERED, Status.UNDELIVERED])
def test_what_was_accepted_is_approved(template: MessageTemplate, status: str) -> None:
    """Whether or not it arrived, WeChat took the value."""
    happened(template, data("病假", "紧急"), status)
    assert learn(template) == {
        "const2": Learned(frozenset({"病假"}), frozenset()),
        "enum3": Learned(frozenset({"紧急"}), frozenset()),
    }


@pytest.mark.parametrize("status", [Status.PENDING, Status.FAILED, Status.UNCERTAIN])
def test_what_was_not_accepted_teaches_nothing(template: MessageTemplate, status: str) -> None:
    """A message may fail for many reasons."""
    happened(template, data("病假"), status)
    assert learn(template)["const2"] == Learned()


def test_what_47003_names_is_refused(template: MessageTemplate) -> None:
    """Only the field that WeChat names, and only while the value was never accepted."""
    words = "argument invalid! data.const2.value invalid rid: 1"
    happened(template, data("休假", "紧急"), Status.FAILED, words)
    happened(template, data("年假"), Status.FAILED, words)
    happened(template, data("年假"), Status.SENT)
    learned = learn(template)
    assert learned["const2"] == Learned(frozenset({"年假"}), frozenset({"休假"}))
    assert learned["enum3"].refused == frozenset()


def test_values_of_single_recipients_count(template: MessageTemplate) -> None:
    """Data of a function stands on the rows and teaches the same."""
    happened(template, lambda _: data("婚假"), Status.SENT)
    words = "argument invalid! data.const2.value invalid"
    happened(template, lambda _: data("休假"), Status.FAILED, words)
    assert learn(template)["const2"] == Learned(frozenset({"婚假"}), frozenset({"休假"}))


def test_other_templates_teach_nothing(template: MessageTemplate) -> None:
    """Values are approved template by template."""
    happened(make_template("other", content=CONTENT), data("病假"), Status.SENT)
    assert learn(template)["const2"] == Learned()


def test_learning_costs_few_queries(
    template: MessageTemplate, django_assert_num_queries: Any
) -> None:
    """Four, however much was sent; none where no field is reviewed."""
    for kind in ("事假", "病假", "年假"):
        happened(template, data(kind), Status.SENT)
    with django_assert_num_queries(4):
        assert len(learn(template)["const2"].approved) == 3
    order_paid = make_template()
    with django_assert_num_queries(0):
        assert learn(order_paid) == {}


def test_a_value_nobody_has_seen_is_warned_of(template: MessageTemplate) -> None:
    """Where approved values are known, another one is a risk; where none are, nothing is said."""
    assert warnings(template, data("病假"), learn(template)) == []
    happened(template, data("事假"), Status.SENT)
    assert warnings(template, data("事假"), learn(template)) == []
    (problem,) = warnings(template, data("病假"), learn(template))
    assert (problem.field, problem.given) == ("const2", "病假")
    assert "not known to be approved" in problem.message


def test_a_refused_value_is_warned_of(template: MessageTemplate) -> None:
    """Even where nothing else is known."""
    happened(template, data("休假"), Status.FAILED, "argument invalid! data.const2.value invalid")
    (problem,) = warnings(template, data("休假"), learn(template))
    assert problem.message == "WeChat has refused this value before"


def test_other_warnings_are_there_too(django_assert_num_queries: Any) -> None:
    """Whatever the rules only warn of; knowledge that the caller has is not asked for again."""
    template = make_template(content="{{keyword1.DATA}}\n{{const2.DATA}}")
    known = {"const2": Learned(approved=frozenset({"事假"}))}
    with django_assert_num_queries(0):
        found = warnings(template, {"keyword1": "长" * 21, "const2": "休假"}, known)
    assert [problem.field for problem in found] == ["keyword1", "const2"]
    assert [problem.field for problem in warnings(template, {"keyword1": "短"}, known)] == []


@pytest.mark.django_db(transaction=True)
def test_it_is_learnt_from_wechats_own_answers(wechat: Sandbox, template: MessageTemplate) -> None:
    """The fake WeChat's 47003 over HTTP is understood, and so is its acceptance."""
    wechat.add_template(
        Template(template.template_id, "请假", CONTENT, choices={"const2": ("事假", "病假")})
    )
    binding = make_binding()
    for kind in ("事假", "休假"):
        notify(binding, template, data(kind))
    assert Notification.objects.count() == 2
    assert learn(template)["const2"] == Learned(frozenset({"事假"}), frozenset({"休假"}))

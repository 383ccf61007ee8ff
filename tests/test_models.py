"""What the rows promise by themselves: constraints, counts, texts, and history that stays."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, transaction
from django.db.models import F, ProtectedError
from django.utils import translation

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.models import (
    BindingChange,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    Receipt,
    SendLog,
)
from wechat_notify.services import notify
from wechat_notify.wechat.fields import Row

pytestmark = pytest.mark.django_db

Status = SendLog.Status


def refused(create: Any, **fields: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        create(**fields)


# -- constraints ------------------------------------------------------------------------------


def test_an_openid_belongs_to_one_user_of_an_account() -> None:
    """The database itself refuses a second owner; another account may have the same openid."""
    binding = make_binding()
    refused(OpenIDBinding.objects.create, user=make_user(), openid=binding.openid)
    make_binding(binding.user, account="other")


def test_names_and_ids_are_unique_on_an_account() -> None:
    """Neither two templates of one name nor one template twice."""
    template = make_template()
    refused(make_template, name=template.name, template_id="T2")
    refused(make_template, name="other_name", template_id=template.template_id)
    make_template(account="other")


def test_a_key_is_used_once_for_an_account_and_a_name(template: MessageTemplate) -> None:
    """Whichever template has the name. No key at all may repeat, on every database."""
    Notification.objects.create(template=template, key="1")
    refused(Notification.objects.create, template=template, key="1")
    for _ in range(2):
        Notification.objects.create(template=template)


LOOKALIKES = ["order-aB3", "order-Ab3", "order-aB3 ", "order-áB3"]


@pytest.mark.django_db(transaction=True)
def test_a_key_is_equal_only_to_itself(template: MessageTemplate) -> None:
    """MariaDB by default takes these for one key, and all messages but the first were lost."""
    binding = make_binding()
    pks = [notify(binding, template, ORDER, key=key).pk for key in LOOKALIKES]
    assert pks == [notify(binding, template, ORDER, key=key).pk for key in LOOKALIKES]
    assert len(set(pks)) == SendLog.objects.count() == len(LOOKALIKES)


def test_an_openid_is_equal_only_to_itself(template: MessageTemplate) -> None:
    """A letter's case makes it somebody else's, and so it is with a template's id."""
    openids = ["oAbc" + "x" * 24, "oabC" + "x" * 24]
    bindings = [make_binding(number=n, openid=text) for n, text in enumerate(openids)]
    for binding in bindings:
        assert OpenIDBinding.objects.get(openid=binding.openid) == binding
        log = notify(binding.openid, template, ORDER).logs.get()
        assert log.binding == binding
        assert SendLog.objects.get(openid=binding.openid) == log
    for text in ("T-a", "T-A"):
        made = make_template(f"of-{ord(text[-1])}", template_id=text)
        assert MessageTemplate.objects.get(template_id=text) == made


def test_openids_are_compared_with_other_texts(template: MessageTemplate) -> None:
    """Columns of the site's own, which keep the database's collation, can be joined with them."""
    user = make_user(openid(1))
    binding = make_binding(user, openid=openid(1))
    log = notify(binding, template, ORDER).logs.get()
    bound = OpenIDBinding.objects.filter(openid=F("user__username"))
    assert bound.get() == binding
    assert SendLog.objects.filter(openid__in=bound.values("openid")).get() == log
    assert get_user_model().objects.filter(username__in=bound.values("openid")).get() == user


# -- history ----------------------------------------------------------------------------------


def test_the_log_outlives_its_user_and_binding(template: MessageTemplate) -> None:
    """Who leaves the site takes the binding along and leaves the log."""
    binding = make_binding()
    notification = notify(binding, template, ORDER, created_by=binding.user)
    binding.user.delete()
    log = notification.logs.get()
    assert (log.user, log.binding, log.openid) == (None, None, openid(1))
    assert Notification.objects.get().created_by is None
    assert not OpenIDBinding.objects.exists()


def test_what_was_sent_is_not_deleted_with_its_template(template: MessageTemplate) -> None:
    """A template with a log, and a notification with rows, are protected."""
    notification = notify(make_binding(), template, ORDER)
    for row in (template, notification):
        with pytest.raises(ProtectedError):
            row.delete()


# -- counts and querysets ---------------------------------------------------------------------


def test_counts_name_every_status(template: MessageTemplate) -> None:
    """Zeros included, in one query."""
    notification = notify([*make_bindings(2), make_user("unbound")], template, ORDER)
    assert notification.counts == {
        **dict.fromkeys(Status.values, 0),
        "pending": 2,
        "skipped": 1,
    }
    assert notification.total == 3
    assert SendLog.objects.order_by("-pk").counts()["pending"] == 2


def test_open_and_final_rows(template: MessageTemplate) -> None:
    """Waiting and being sent are open; everything else is over."""
    notification = notify([openid(n) for n in range(len(Status))], template, ORDER)
    for log, status in zip(notification.logs.all(), Status, strict=True):
        SendLog.objects.filter(pk=log.pk).update(status=status)
    final = set(SendLog.objects.final().values_list("status", flat=True))
    assert final == set(Status) - {Status.PENDING, Status.SENDING}
    assert SendLog.objects.waiting().get().status == Status.PENDING


def test_reachable_and_active() -> None:
    """Followers, and templates that can be sent."""
    follower, _gone = make_binding(number=1), make_binding(number=2, subscribed=False)
    active, _off = make_template(), make_template("off", is_active=False)
    assert OpenIDBinding.objects.reachable().get() == follower
    assert MessageTemplate.objects.active().get() == active


# -- templates --------------------------------------------------------------------------------


def test_a_templates_fields(template: MessageTemplate) -> None:
    """Name, label and type of each placeholder."""
    assert [(field.name, field.label, field.type) for field in template.fields] == [
        ("character_string1", "订单编号", "character_string"),
        ("thing2", "商品名称", "thing"),
    ]


def test_check_data_tells_what_is_wrong(template: MessageTemplate) -> None:
    """Good data has no problems, bad data all of them."""
    assert template.check_data(ORDER) == []
    fields = [problem.field for problem in template.check_data({"thing2": "", "x": 1})]
    assert fields == ["character_string1", "thing2", "x"]


def test_the_mini_program_of_a_template() -> None:
    """None without an appid."""
    assert MessageTemplate().miniprogram is None
    assert MessageTemplate(miniprogram_appid="wx", miniprogram_pagepath="p").miniprogram == {
        "appid": "wx",
        "pagepath": "p",
    }


def test_the_card_of_a_recipient(template: MessageTemplate) -> None:
    """One's own data is laid over the shared; the card shows both."""
    notification = notify([openid(1)], template, ORDER)
    notification.logs.update(data={"thing2": {"value": "手套"}})
    log = notification.logs.get()
    assert log.merged_data == {
        "character_string1": {"value": "2026112301"},
        "thing2": {"value": "手套"},
    }
    assert log.card.title == "订单支付成功通知"
    assert log.card.rows == (Row("订单编号", "2026112301"), Row("商品名称", "手套"))


# -- words ------------------------------------------------------------------------------------


def test_no_row_shows_a_whole_openid(template: MessageTemplate) -> None:
    """In the admin, in logs and in tracebacks rows are named by people or masked openids."""
    binding = make_binding(make_user("alice"))
    unknown, known = (notify(whom, template, ORDER).logs.get() for whom in (openid(2), binding))
    assert str(binding) == "alice · oTes…001"
    assert str(known).startswith("alice · ")
    assert str(unknown).startswith("oTes…002 · ")
    change = BindingChange(openid=openid(3), change="bound")
    receipt = Receipt(openid=openid(4), status="success")
    assert str(change).startswith("oTes…003 · ")
    assert str(receipt) == "oTes…004 · success"
    for row in (binding, unknown, known, change, receipt):
        assert "oTest0" not in repr(row)


def test_templates_and_notifications_have_names(template: MessageTemplate) -> None:
    """The title, else the name used in code."""
    notification = Notification.objects.create(template=template)
    assert str(notification) == f"订单支付成功通知 #{notification.pk}"
    assert str(MessageTemplate(name="order_paid")) == "order_paid"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"errcode": 43004, "errmsg": "require subscribe"}, "(errcode 43004)"),
        ({"errcode": -1, "status": "pending"}, "in a moment. (errcode -1)"),
        ({"errcode": -1, "status": "failed"}, "It can be resent. (errcode -1)"),
        ({"errcode": -1, "status": "uncertain"}, "if not, resend it. (errcode -1)"),
        ({"errmsg": "This user has not bound WeChat."}, "This user has not bound WeChat."),
        ({"errcode": 0, "errmsg": "ok"}, ""),
        ({}, ""),
    ],
)
def test_a_row_explains_itself(fields: dict[str, Any], says: str) -> None:
    """In plain words, with the errcode at the end; nothing where there is nothing to explain."""
    with translation.override("en"):
        explanation = SendLog(**fields).explanation
    assert explanation.endswith(says)
    assert bool(explanation) == bool(says)

"""Stand-ins: what happens when WeChat no longer takes a template."""

import logging
from typing import Any

import pytest
from django.utils import timezone

from tests.factories import make_binding, make_bindings, make_template, openid
from wechat_notify import signals
from wechat_notify.backends import locmem
from wechat_notify.exceptions import TemplateNotFound
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import notify, release_template, resume_template
from wechat_notify.types import Outcome, SendResult

NAMES = {"order_no": "character_string1", "title": "thing2"}
ORDER = {"order_no": "2026112301", "title": "围巾"}
OTHER_CONTENT = "商品：{{thing7.DATA}}\n单号：{{character_string9.DATA}}"
OTHER_NAMES = {"title": "thing7", "order_no": "character_string9"}

BANNED, GONE = 43116, 40037
UNKNOWN = SendResult(Outcome.UNKNOWN)
Status = SendLog.Status

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def waits(configure: Any) -> None:
    """Nobody delivers until the test does. One message at a time, so that answers are in order."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher", CONCURRENCY=1)


@pytest.fixture
def spare() -> MessageTemplate:
    return make_template(
        "spare", template_id="S" * 43, content=OTHER_CONTENT, field_names=OTHER_NAMES
    )


@pytest.fixture
def first(spare: MessageTemplate) -> MessageTemplate:
    return make_template(field_names=NAMES, stand_in=spare)


def counts() -> dict[str, int]:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


def ids() -> list[str]:
    return [message.template_id[0] for message in locmem.outbox]


@pytest.mark.parametrize("errcode", [BANNED, GONE])
def test_the_stand_in_takes_over_in_mid_batch(
    first: MessageTemplate, spare: MessageTemplate, errcode: int, caplog: Any
) -> None:
    """Nothing lost, nothing doubled; logged, signalled once; each row says what it left with."""
    bindings = make_bindings(40)
    notify(bindings, first, lambda user: {**ORDER, "order_no": user.username})
    told: list[dict[str, Any]] = []

    def listen(**kwargs: Any) -> None:
        told.append(kwargs)

    signals.template_switched.connect(listen)
    locmem.results.add(errcode, openid=bindings[15].openid)
    try:
        with caplog.at_level(logging.WARNING):
            engine.deliver()
    finally:
        signals.template_switched.disconnect(listen)
    assert counts() == {"sent": 40}
    assert len({message.openid for message in locmem.outbox}) == len(locmem.outbox) == 40
    assert ids() == ["o"] * 15 + ["S"] * 25
    left = {log.openid: log.revision.template_id for log in SendLog.objects.all()}
    assert left == {message.openid: message.template_id for message in locmem.outbox}
    [one] = told
    assert (one["template"], one["stand_in"], one["errcode"]) == (first, spare, errcode)
    assert "leave with its stand-in 'spare'" in caplog.text


def test_without_a_stand_in_messages_wait(first: MessageTemplate) -> None:
    """As before: parked until somebody resumes the template, or gives it a stand-in."""
    spare = first.stand_in
    MessageTemplate.objects.filter(pk=first.pk).update(stand_in=None)
    notify(make_bindings(3), first, ORDER)
    locmem.results.add(BANNED)
    engine.deliver()
    assert counts() == {"pending": 3}
    assert not SendLog.objects.filter(due_at__isnull=False).exists()
    first.refresh_from_db()
    first.stand_in = spare
    first.save()
    assert release_template(first) == 3
    engine.deliver()
    assert ids() == ["S"] * 3


def test_a_row_in_doubt_never_goes_to_the_stand_in(first: MessageTemplate) -> None:
    """Its first attempt may have arrived: with another template it would come a second time."""
    doubtful, other = make_bindings(2)
    notify(doubtful, first, ORDER)
    locmem.results.add(UNKNOWN, openid=doubtful.openid)
    notify(other, first, ORDER)
    engine.deliver()
    row = SendLog.objects.get(openid=doubtful.openid)
    assert (row.status, row.in_doubt_since is None) == ("pending", False)
    MessageTemplate.objects.filter(pk=first.pk).update(
        paused_at=timezone.now(), pause_errcode=BANNED
    )
    SendLog.objects.waiting().update(due_at=timezone.now())
    engine.deliver()
    row.refresh_from_db()
    assert row.status == "uncertain"
    assert [message.openid for message in locmem.outbox] == [other.openid]


def test_a_repeat_that_is_refused_as_banned_is_uncertain(first: MessageTemplate) -> None:
    """WeChat's answer to the repeat says nothing about the first attempt."""
    [binding, other] = make_bindings(2)
    notify(binding, first, ORDER)
    notify(other, first, ORDER)
    locmem.results.add(UNKNOWN, openid=binding.openid)
    locmem.results.add(BANNED, openid=binding.openid)
    engine.deliver()
    SendLog.objects.waiting().update(due_at=timezone.now())
    engine.deliver()
    assert counts() == {"sent": 1, "uncertain": 1}


def test_a_row_in_doubt_is_repeated_as_it_was(first: MessageTemplate) -> None:
    """Template, keys and data of the first attempt, though the template has changed since."""
    [binding, other] = make_bindings(2)
    notify(binding, first, ORDER)
    notify(other, first, ORDER)
    locmem.results.add(UNKNOWN, openid=binding.openid)
    engine.deliver()
    first.refresh_from_db()
    first.content = "新单号：{{character_string5.DATA}}\n新商品：{{thing6.DATA}}"
    first.field_names = {"order_no": "character_string5", "title": "thing6"}
    first.save()
    SendLog.objects.waiting().update(due_at=timezone.now())
    engine.deliver()
    repeated = locmem.outbox[-1]
    assert repeated.openid == binding.openid
    assert repeated.data.keys() == {"character_string1", "thing2"}
    row = SendLog.objects.get(openid=binding.openid)
    assert row.status == "sent"
    assert [line.label for line in row.card.rows] == ["订单编号", "商品名称"]


def test_a_stand_in_s_own_stand_in_is_not_followed(first: MessageTemplate) -> None:
    """Both banned: the messages wait, whatever stands behind the second."""
    third = make_template("third", template_id="T" * 43, field_names=NAMES)
    MessageTemplate.objects.filter(name="spare").update(stand_in=third)
    notify(make_bindings(3), first, ORDER)
    locmem.results.add(BANNED, times=3)
    engine.deliver()
    locmem.results.clear()
    engine.deliver()
    assert counts() == {"pending": 3}
    assert not locmem.outbox
    assert resume_template(MessageTemplate.objects.get(name="spare")) == 3
    engine.deliver()
    assert ids() == ["S"] * 3


def test_one_that_a_person_switched_off_sends_nothing(first: MessageTemplate) -> None:
    """Neither itself nor by its stand-in; what waits goes out when it is switched on."""
    notify(make_bindings(2), first, ORDER)
    MessageTemplate.objects.filter(pk=first.pk).update(is_active=False)
    engine.deliver()
    with pytest.raises(TemplateNotFound):
        notify(openid(9), "order_paid", ORDER)
    assert counts() == {"pending": 2}
    MessageTemplate.objects.filter(pk=first.pk).update(is_active=True)
    first.refresh_from_db()
    assert release_template(first) == 2
    engine.deliver()
    assert ids() == ["o"] * 2


def test_one_that_is_gone_from_wechat_is_still_called_by_its_name(first: MessageTemplate) -> None:
    """The sync switched it off, and the stand-in is used: no call fails."""
    MessageTemplate.objects.filter(pk=first.pk).update(
        is_active=False, missing_since=timezone.now()
    )
    notify(make_binding(), "order_paid", ORDER)
    engine.deliver()
    assert ids() == ["S"]
    MessageTemplate.objects.filter(name="spare").update(paused_at=timezone.now())
    with pytest.raises(TemplateNotFound):
        notify(openid(9), "order_paid", ORDER)


def test_a_value_that_the_stand_in_cannot_take_is_refused(first: MessageTemplate) -> None:
    """With the reason, and the others go on."""
    MessageTemplate.objects.filter(name="spare").update(
        content="商品：{{phrase7.DATA}}\n单号：{{character_string9.DATA}}",
        field_names={"title": "phrase7", "order_no": "character_string9"},
    )
    good, bad = make_bindings(2)
    notify(good, first, ORDER)
    notify(bad, first, {**ORDER, "title": "scarf"})
    MessageTemplate.objects.filter(pk=first.pk).update(
        paused_at=timezone.now(), pause_errcode=BANNED
    )
    engine.deliver()
    assert counts() == {"sent": 1, "failed": 1}
    assert "商品 (title, phrase7): must be" in SendLog.objects.get(status="failed").errmsg

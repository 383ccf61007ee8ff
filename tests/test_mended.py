"""Messages whose cause is mended: who would get them now, and why the others would not."""

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.mended import Mended
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import bind, notify, replace_template, resend

pytestmark = pytest.mark.django_db

NOT_BOUND = "This user has not bound WeChat."
NOT_FOLLOWING = "This person does not follow the account."
UNCHANGED = "Its content must be corrected first: the template is still as it was."


def sent_to(users: Any, **ended: Any) -> Notification:
    """A notification to these, all of whose messages ended like this."""
    notification = notify(users, MessageTemplate.objects.get(name="order_paid"), ORDER)
    if ended:
        revision = notification.template.revision
        notification.logs.update(**{"due_at": None, "revision": revision, **ended})
    return notification


def outlook(notification: Notification) -> tuple[int, dict[str, int]]:
    """How many would get it now, and how many not, by reason; all of one cause."""
    mended = Mended(notification)
    (cause,) = mended.causes
    now, others = mended.now(cause), mended.others(cause)
    assert mended.rows(cause).count() == now
    assert [rows.count() for _why, _n, rows in others] == [n for _why, n, _rows in others]
    assert now + sum(n for _why, n, _rows in others) == cause.count
    return now, {str(why): n for why, n, _rows in others}


def test_those_who_have_bound_since(template: MessageTemplate) -> None:
    """Of four, two have bound WeChat, one of whom does not follow the account any more."""
    good, gone, *late = (make_user(name) for name in ("good", "gone", "late", "later"))
    notification = sent_to([good, gone, *late])
    assert outlook(notification) == (0, {NOT_BOUND: 4})
    bind(good, openid(1))
    bind(gone, openid(2))
    OpenIDBinding.objects.filter(user=gone).update(subscribed=False)
    bind(late[0], openid(3), account="other")
    assert outlook(notification) == (1, {NOT_BOUND: 2, NOT_FOLLOWING: 1})


@pytest.mark.parametrize("ended", [{}, {"status": "failed", "errcode": 43004}])
def test_those_who_follow_again(template: MessageTemplate, ended: dict[str, Any]) -> None:
    """Whether that they had left was known before, or found out by the message."""
    bindings = make_bindings(3)
    OpenIDBinding.objects.update(subscribed=False)
    notification = sent_to(bindings, **ended)
    assert outlook(notification) == (0, {NOT_FOLLOWING: 3})
    OpenIDBinding.objects.filter(pk=bindings[0].pk).update(subscribed=True)
    assert outlook(notification) == (1, {NOT_FOLLOWING: 2})


def test_of_a_bare_openid_nothing_newer_is_known(template: MessageTemplate) -> None:
    """Nobody tells whether it follows again; but a busy WeChat has time again for it."""
    notification = sent_to(openid(7), status="failed", errcode=43004)
    assert outlook(notification) == (0, {"Nothing newer is known of this person.": 1})
    notification.logs.update(errcode=-1)
    assert outlook(notification) == (1, {})


@pytest.mark.parametrize(
    ("ended", "why"),
    [
        ({"status": "uncertain"}, "It may have arrived."),
        ({"status": "failed", "errcode": 43101}, "Only the person can allow it again"),
        ({"status": "failed", "errcode": 40249}, "Change the words"),
        (
            {"status": "undelivered", "errcode": 0, "receipt_status": "failed:user block"},
            "Only the person can allow messages",
        ),
        ({"status": "skipped", "errmsg": "thing2: too long"}, UNCHANGED),
        ({"status": "failed", "errcode": 47003}, UNCHANGED),
        ({"status": "failed", "errcode": 47003, "revision": None}, UNCHANGED),
    ],
)
def test_what_nobody_knows_to_be_mended(
    template: MessageTemplate, ended: dict[str, Any], why: str
) -> None:
    """The page says what has to happen first, for each of the people."""
    now, others = outlook(sent_to(make_bindings(2), **ended))
    ((said, count),) = others.items()
    assert (now, count) == (0, 2)
    assert why in said


@pytest.mark.parametrize(
    "ended",
    [
        {"status": "failed", "errcode": -1},
        {"status": "failed", "errcode": None},
        {"status": "undelivered", "errcode": 0, "receipt_status": "failed: system failed"},
        {"status": "expired"},
    ],
)
def test_what_passes_by_itself(template: MessageTemplate, ended: dict[str, Any]) -> None:
    """It may well arrive now, to those who can be reached."""
    assert outlook(sent_to(make_bindings(2), **ended)) == (2, {})


def corrected() -> None:
    template = MessageTemplate.objects.get(name="order_paid")
    template.content = template.content.replace("thing2", "thing3")
    template.field_names = {"character_string1": "character_string1", "thing2": "thing3"}
    template.save()


def replaced() -> None:
    old = MessageTemplate.objects.get(name="order_paid")
    replace_template(old, make_template("new", template_id="N" * 43), {})


def replaced_by_a_stand_in() -> None:
    template = MessageTemplate.objects.get(name="order_paid")
    template.stand_in = make_template("instead", template_id="S" * 43)
    template.paused_at, template.pause_errcode = timezone.now(), 43116
    template.save()


@pytest.mark.parametrize("mend", [corrected, replaced, replaced_by_a_stand_in])
@pytest.mark.parametrize(
    "ended",
    [{"status": "failed", "errcode": 47003}, {"status": "skipped", "errmsg": "thing2: too long"}],
)
def test_a_template_that_is_another_by_now(
    template: MessageTemplate, ended: dict[str, Any], mend: Callable[[], None]
) -> None:
    """What was refused with the one may be taken with the other."""
    notification = sent_to(make_bindings(2), **ended)
    mend()
    notification = Notification.objects.get(pk=notification.pk)
    assert outlook(notification) == (2, {})


def test_what_left_with_the_corrected_template_was_refused_all_the_same(
    template: MessageTemplate,
) -> None:
    """It is the template that the message left with that counts, not that it was written for."""
    notification = sent_to(make_bindings(2), status="failed", errcode=47003)
    corrected()
    notification.refresh_from_db()
    now = notification.template.revision
    notification.logs.filter(user__username="user1").update(revision=now)
    assert outlook(notification) == (1, {UNCHANGED: 1})


def test_a_template_that_is_used_again(template: MessageTemplate) -> None:
    """40037 fails the message and pauses the template; somebody resumes it."""
    notification = sent_to(make_bindings(2), status="failed", errcode=40037)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=40037)
    notification = Notification.objects.get(pk=notification.pk)
    assert outlook(notification)[0] == 0
    MessageTemplate.objects.update(paused_at=None)
    notification = Notification.objects.get(pk=notification.pk)
    assert outlook(notification) == (2, {})


def test_an_account_that_is_no_longer_at_rest(template: MessageTemplate) -> None:
    """What expired during the rest would not leave either as long as it lasts."""
    notification = sent_to(make_bindings(2), status="expired")
    Breaker("default").trip(45009, "reach max api daily quota limit")
    assert outlook(notification) == (0, {"The account is at rest.": 2})
    Breaker("default").clear()
    assert outlook(notification) == (2, {})


def test_all_causes_together(template: MessageTemplate) -> None:
    """What was to arrive by a certain time is resent by its cause only."""
    users = [make_user(f"late{number}") for number in range(2)]
    notification = sent_to([*users, *make_bindings(4)])
    for user in users:
        bind(user, openid(90 + user.pk))
    logs = list(notification.logs.filter(status="pending").order_by("pk"))
    for log, status in zip(logs, ("failed", "expired", "uncertain", "delivered"), strict=True):
        SendLog.objects.filter(pk=log.pk).update(status=status, errcode=0, due_at=None)
    SendLog.objects.filter(status="failed").update(errcode=-1)
    mended = Mended(notification)
    assert mended.now() == 3
    assert set(mended.rows().values_list("status", flat=True)) == {"skipped", "failed"}
    assert sorted(n for _why, n, _rows in mended.others()) == [1, 1]


def test_nobody_gets_it_twice(template: MessageTemplate) -> None:
    """Two people have the page open, and both press the button: it is resent once. Who binds later
    can still be resent to."""
    users = [make_user(f"late{number}") for number in range(3)]
    notification = sent_to(users)
    for number, user in enumerate(users[:2], 1):
        bind(user, openid(number))
    first, second = Mended(notification), Mended(notification)
    rows = [mended.rows(mended.causes[0]) for mended in (first, second)]
    assert resend(rows[0]).count() == 2
    assert resend(rows[1]).count() == 0
    assert Notification.objects.count() == 2, "and no notification without messages"
    assert outlook(notification) == (0, {"It was resent already.": 2, NOT_BOUND: 1})
    bind(users[2], openid(3))
    assert outlook(notification) == (1, {"It was resent already.": 2})
    new = resend(Mended(notification).rows()).get()
    assert (new.user, new.status, new.openid) == (users[2], "pending", openid(3))


def test_it_takes_as_many_queries_for_many(
    template: MessageTemplate, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """One for the causes, and one for what was found out about all messages."""
    notification = sent_to([make_binding(number=n).user for n in range(1, 30)], status="failed")
    for number, log in enumerate(notification.logs.all()):
        SendLog.objects.filter(pk=log.pk).update(errcode=[-1, 43004, 43101, 47003][number % 4])
    with django_assert_num_queries(2):
        mended = Mended(notification)
        assert sum(cause.count for cause in mended.causes) == 29
        assert mended.now() == 15

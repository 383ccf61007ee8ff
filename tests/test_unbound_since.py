"""Resending to people who have unbound WeChat since, or have bound another one."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import ORDER, make_binding, make_template, make_user, openid
from wechat_notify.dry_run import ResendDryRun
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.reach import Reach
from wechat_notify.services import bind, notify, resend, unbind
from wechat_notify.writing.recipients import UNBOUND

pytestmark = pytest.mark.django_db
Status = SendLog.Status


def failed(*users: Any) -> Notification:
    """A message to each openid of these users that did not arrive."""
    notification = notify(list(users), make_template(), ORDER)
    notification.logs.update(status=Status.FAILED, due_at=None)
    return notification


def again(notification: Notification) -> list[tuple[str, str]]:
    """The openid and the reason of each row of a resend, which is as its question has said."""
    logs = notification.logs.all()
    asked = ResendDryRun(logs, most=100)
    promised, unbound = asked.again, asked.counts.get(Reach.UNBOUND, 0)
    rows = [(row.openid, row.errmsg) for row in resend(logs)]
    assert promised == sum(not reason for _openid, reason in rows)
    assert unbound == sum(reason == UNBOUND for _openid, reason in rows)
    return rows


def test_who_has_unbound_gets_nothing() -> None:
    """The openid may have been somebody else's: a wrong binding that was taken back."""
    user = make_binding(number=1).user
    notification = failed(user)
    unbind(user)
    assert again(notification) == [("", UNBOUND)]


def test_what_was_bound_since_gets_it() -> None:
    user = make_binding(number=1).user
    notification = failed(user)
    unbind(user)
    bind(user, openid(2))
    assert again(notification) == [(openid(2), "")]


def test_bound_again_is_bound() -> None:
    user = make_binding(number=1).user
    notification = failed(user)
    unbind(user)
    bind(user, openid(1))
    assert again(notification) == [(openid(1), "")]


def test_an_openid_that_has_moved_is_its_new_users() -> None:
    """BINDING_CONFLICT="move": nobody reads what was meant for the one before."""
    binding = make_binding(number=1)
    notification = failed(binding.user)
    OpenIDBinding.objects.filter(pk=binding.pk).update(user=make_user("bob"))
    assert again(notification) == [("", UNBOUND)]
    bind(binding.user, openid(2))
    assert again(notification) == [(openid(2), "")]


def test_who_got_it_on_another_openid_gets_it_once() -> None:
    user = make_binding(number=1).user
    bind(user, openid(2))
    notification = failed(user)
    unbind(user, openid(1))
    assert again(notification) == [("", UNBOUND), (openid(2), "")]


def test_two_that_were_replaced_by_one_are_one() -> None:
    user = make_binding(number=1).user
    bind(user, openid(2))
    notification = failed(user)
    unbind(user)
    bind(user, openid(3))
    assert again(notification) == [(openid(3), ""), ("", UNBOUND)]


def test_one_of_two_bound_again() -> None:
    user = make_binding(number=1).user
    bind(user, openid(2))
    notification = failed(user)
    unbind(user)
    bind(user, openid(2))
    assert again(notification) == [("", UNBOUND), (openid(2), "")]


def test_a_bare_openid_stays_as_it_was() -> None:
    """It was nobody's, and still is."""
    assert again(failed(openid(1))) == [(openid(1), "")]


CHANGES: list[Callable[[list[Any]], object]] = [
    lambda users: unbind(users[0]),
    lambda users: unbind(users[1]),
    lambda users: unbind(users[0], openid(1)),
    lambda users: OpenIDBinding.objects.filter(openid=openid(2)).update(user=users[1]),
    lambda users: OpenIDBinding.objects.filter(openid=openid(3)).update(user=users[0]),
    lambda users: OpenIDBinding.objects.filter(user=users[0]).update(subscribed=False),
    *(
        lambda users, who=who, number=number: (
            OpenIDBinding.objects.filter(openid=openid(number)).exists()
            or bind(users[who], openid(number))
        )
        for who in (0, 1)
        for number in (1, 2, 3, 4)
    ),
]


@given(st.lists(st.sampled_from(CHANGES), max_size=6))
@settings(max_examples=60)
def test_whatever_happened_nobody_reads_anothers_message(
    changes: list[Callable[[list[Any]], object]],
) -> None:
    """No openid gets two messages, none another user's, and the question told how many."""
    for model in (SendLog, Notification, MessageTemplate, OpenIDBinding):
        model.objects.all().delete()
    users = [get_user_model().objects.get_or_create(username=name)[0] for name in ("alice", "bob")]
    for number, user in ((1, users[0]), (2, users[0]), (3, users[1])):
        bind(user, openid(number))
    notification = failed(*users)
    for change in changes:
        change(users)
    again(notification)
    new = SendLog.objects.exclude(notification=notification).filter(status=Status.PENDING)
    reached = list(new.values_list("openid", "user"))
    assert len({one for one, _user in reached}) == len(reached)
    for one, user in reached:
        assert OpenIDBinding.objects.get(openid=one).user_id == user

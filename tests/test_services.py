"""notify() and the other verbs: what is written, what leaves, and what is refused."""

import asyncio
import threading
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone as django_timezone

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.delivery import recipients
from wechat_notify.delivery.content import NotShownWarning
from wechat_notify.exceptions import (
    AccountNotConfigured,
    BindingConflict,
    InvalidData,
    InvalidSettings,
    TemplateNotFound,
)
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import (
    anotify,
    bind,
    cancel,
    notify,
    pause,
    resend,
    resume,
    resume_template,
    unbind,
)

Status = SendLog.Status


def statuses(notification: Notification) -> dict[str, int]:
    """Counts without the zeros."""
    return {status: n for status, n in notification.counts.items() if n}


# -- the transaction --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_the_commit(wechat: Sandbox, known_template: Any) -> None:
    """Inside atomic() rows are written and nothing leaves the machine until it ends."""
    binding = make_binding()
    with transaction.atomic():
        notification = notify(binding, "order_paid", ORDER)
        assert statuses(notification) == {"pending": 1}
        assert not wechat.calls
    assert statuses(notification) == {"sent": 1}
    assert [message.openid for message in wechat.messages] == [binding.openid]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_after_a_rollback(wechat: Sandbox, known_template: Any) -> None:
    """A transaction that rolls back takes the rows with it, and WeChat never hears of them."""
    binding = make_binding()
    with pytest.raises(RuntimeError, match="changed my mind"), transaction.atomic():
        notify(binding, "order_paid", ORDER)
        raise RuntimeError("changed my mind")
    assert not wechat.calls
    assert not Notification.objects.exists()
    assert not SendLog.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_fifty_bound_and_five_unbound_users(wechat: Sandbox, known_template: Any) -> None:
    """50 messages, 5 skipped rows that say why, and one token fetch."""
    users = [binding.user for binding in make_bindings(50)]
    users += [make_user(f"unbound{number}") for number in range(5)]
    notification = notify(users, "order_paid", ORDER)
    assert statuses(notification) == {"sent": 50, "skipped": 5}
    assert wechat.counts == {openid(number): 1 for number in range(1, 51)}
    assert wechat.token_fetches == 1
    skipped = notification.logs.filter(status=Status.SKIPPED)
    assert {log.errmsg for log in skipped} == {recipients.NOT_BOUND}
    assert all(log.msgid and log.sent_at for log in notification.logs.filter(status=Status.SENT))

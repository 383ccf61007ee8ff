"""When the app was done with a message: ``finished_at`` is set just when the row is not open."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone

from tests.factories import ORDER, make_binding, make_bindings, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.models import MessageTemplate, Notification, Receipt, SendLog
from wechat_notify.receipts.settling import settle
from wechat_notify.sending import engine, outbox
from wechat_notify.services import cancel, notify, resend

pytestmark = pytest.mark.django_db(transaction=True)

Status = SendLog.Status


@pytest.fixture(autouse=True)
def worker(configure: Callable[..., None]) -> None:
    """Nothing leaves until the test says so."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher", MAX_ATTEMPTS=1)


@pytest.fixture(params=["native", "portable"])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This database's own statements, and those that any database understands."""
    if request.param == "portable":
        monkeypatch.setattr(type(connections["default"]), "vendor", "a stranger's")


def ends(notification: Notification) -> dict[str, bool]:
    """Whether each message has an end, by its status. The end is never before the beginning."""
    found = {}
    for log in notification.logs.all():
        found[log.status] = log.finished_at is not None
        assert (log.finished_at is None) is (log.status in SendLog.OPEN)
        if log.finished_at is not None:
            # The database's clock and this host's may differ a little.
            earliest = notification.created_at - timedelta(seconds=60)
            assert earliest < log.finished_at < timezone.now() + timedelta(seconds=60)
    return found


def test_what_the_engine_ends(template: MessageTemplate, dialect: None) -> None:
    """Accepted, refused, and in doubt; what is held back has no end yet."""
    people = make_bindings(4)
    locmem.results.add(43004, openid=openid(2))
    locmem.results.add(40241, openid=openid(3))  # "had it before": it may have arrived
    locmem.results.add(43116, openid=openid(4))  # the template is banned: the row is parked
    made = notify(people, template, ORDER)
    assert ends(made) == {"pending": False}
    engine.deliver()
    assert ends(made) == {"sent": True, "failed": True, "uncertain": True, "pending": False}
    sent = made.logs.get(status=Status.SENT)
    assert sent.finished_at == sent.sent_at


def test_an_end_that_was_none(template: MessageTemplate, configure: Callable[..., None]) -> None:
    """A row that is tried again ends when the last attempt does."""
    configure(MAX_ATTEMPTS=100)
    locmem.results.add(-1, times=100)  # a slow run may try it again itself
    made = notify(make_binding(), template, ORDER)
    engine.deliver()
    assert ends(made) == {"pending": False}
    locmem.results.clear()
    made.logs.update(due_at=timezone.now())
    engine.deliver()
    assert ends(made) == {"sent": True}


def test_what_expires(template: MessageTemplate) -> None:
    """It ends when the worker finds it too late."""
    later = timezone.now() + timedelta(hours=1)
    made = notify(make_binding(), template, ORDER, expires_at=later)
    Notification.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    engine.deliver()
    assert ends(made) == {"expired": True}


@pytest.mark.parametrize("written_by", ["queryset", "list", "function"])
@pytest.mark.parametrize("follows", [True, False])
def test_what_is_skipped(template: MessageTemplate, written_by: str, follows: bool) -> None:
    """It ends as it is written, by whichever way; the others of the same call do not."""
    make_user("unbound")
    make_binding(make_user("bound"), subscribed=follows)
    everybody: Any = get_user_model().objects.order_by("pk")
    users = everybody if written_by == "queryset" else list(everybody)
    data: Any = (lambda user: ORDER) if written_by == "function" else ORDER
    made = notify(users, template, data)
    open_row = {"pending": False} if follows else {}
    assert ends(made) == {"skipped": True, **open_row}


@pytest.mark.parametrize("as_queryset", [True, False])
def test_what_nobody_gets(
    template: MessageTemplate, configure: Callable[..., None], as_queryset: bool
) -> None:
    """Bad data that is skipped ends every row of the call."""
    configure(INVALID_DATA="skip")
    make_bindings(2)
    everybody: Any = get_user_model().objects.all()
    users = everybody if as_queryset else list(everybody)
    made = notify(users, template, {**ORDER, "thing2": "长" * 30})
    assert ends(made) == {"skipped": True}


def test_what_is_cancelled(template: MessageTemplate) -> None:
    """At that moment; one that may have arrived is uncertain from then on."""
    made = notify(make_bindings(2), template, ORDER)
    doubtful = made.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=doubtful.pk).update(in_doubt_since=timezone.now())
    cancel(made)
    assert ends(made) == {"uncertain": True, "cancelled": True}


def test_what_a_dead_worker_leaves(template: MessageTemplate) -> None:
    """Taken back too late for a repeat it is uncertain, and ends; else it goes on."""
    made = notify(make_bindings(2), template, ORDER)
    first, second = made.logs.order_by("pk")
    long_ago = timezone.now() - timedelta(hours=1)
    made.logs.update(status=Status.SENDING, claimed_at=long_ago)
    SendLog.objects.filter(pk=first.pk).update(in_doubt_since=long_ago)
    now, window = timezone.now(), timedelta(minutes=9)
    outbox.requeue_abandoned("default", now=now, due_at=now, lease=60, window=window)
    assert ends(made) == {"uncertain": True, "pending": False}
    second.refresh_from_db()
    assert second.status == Status.PENDING


def test_what_is_given_up(template: MessageTemplate) -> None:
    """After an outage without an end: failed, or uncertain where it may have left."""
    made = notify(make_bindings(2), template, ORDER)
    doubtful = made.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=doubtful.pk).update(in_doubt_since=timezone.now())
    outbox.give_up("default", before=timezone.now() + timedelta(seconds=1), errmsg="No connection.")
    assert ends(made) == {"uncertain": True, "failed": True}


def test_a_receipt_is_no_second_end(template: MessageTemplate) -> None:
    """What it says has a moment of its own; the app was done before."""
    made = notify(make_binding(), template, ORDER)
    engine.deliver()
    before = made.logs.get()
    Receipt.objects.create(
        account="default",
        openid=before.openid,
        msgid=before.msgid,
        status="success",
        event_at=timezone.now(),
    )
    settle()
    after = made.logs.get()
    assert (after.status, after.finished_at) == ("delivered", before.finished_at)
    assert after.receipt_at is not None


def test_a_resend_begins_anew(template: MessageTemplate) -> None:
    """The new row is open; the old one keeps its end."""
    locmem.results.add(43004)
    made = notify(make_binding(), template, ORDER)
    engine.deliver()
    old = made.logs.get()
    [new] = resend(made.logs.all())
    assert ends(new.notification) in ({"pending": False}, {"skipped": True})
    assert made.logs.get().finished_at == old.finished_at

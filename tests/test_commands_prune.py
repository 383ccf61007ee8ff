"""manage.py wechat_prune: what is old goes, what is not done stays."""

import io
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.models import MessageTemplate, Notification, Receipt, SendLog
from wechat_notify.retention import prune
from wechat_notify.rules.models import Firing
from wechat_notify.services import notify, resend

pytestmark = pytest.mark.django_db(transaction=True)


def run(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("wechat_prune", *arguments, stdout=out, **options)
    return out.getvalue()


def made(days_ago: int, count: int = 2, **columns: Any) -> Notification:
    """A notification of some days ago, its messages sent then."""
    template = MessageTemplate.objects.first() or make_template()
    notification = notify([openid(n) for n in range(count)], template, ORDER)
    then = timezone.now() - timedelta(days=days_ago)
    Notification.objects.filter(pk=notification.pk).update(created_at=then)
    notification.logs.update(**{"claimed_at": then, **columns})
    return notification


def test_what_is_older_than_the_setting_goes() -> None:
    """RETENTION_DAYS is 180: older messages and their notifications go, younger stay."""
    old, young = made(181), made(179)
    said = run()
    assert "2 messages, 1 notifications, 0 receipts and 0 failures of triggers deleted" in said
    assert list(Notification.objects.all()) == [young]
    assert not SendLog.objects.filter(notification=old.pk).exists()
    assert young.logs.count() == 2


def test_days_says_otherwise() -> None:
    """--days N is the age instead of the setting's."""
    made(40)
    run("--days=41")
    assert Notification.objects.exists()
    run("--days=39")
    assert not Notification.objects.exists()


@pytest.mark.parametrize("status", ["pending", "sending"])
def test_what_is_not_done_is_never_deleted(status: str) -> None:
    """A message still waiting or being sent stays, and its notification with it."""
    notification = made(400)
    kept = notification.logs.order_by("pk").last()
    assert kept is not None
    SendLog.objects.filter(pk=kept.pk).update(status=status)
    run()
    assert list(SendLog.objects.all()) == [kept]
    assert Notification.objects.exists()


def test_a_message_that_was_sent_lately_stays() -> None:
    """Asked for long ago and scheduled for yesterday: it is as old as its sending."""
    made(400, claimed_at=timezone.now() - timedelta(days=1))
    run()
    assert SendLog.objects.count() == 2


def test_a_message_that_was_never_tried_is_as_old_as_its_notification() -> None:
    """Skipped, cancelled and expired rows go with their notification."""
    made(181, status=SendLog.Status.SKIPPED, claimed_at=None)
    run()
    assert not Notification.objects.exists()


def test_a_newer_resend_forgets_its_old_message() -> None:
    """The row that was sent again goes; its resend stays, without a link to it."""
    old = made(200, count=1)
    resend(old.logs.all())
    run()
    [left] = SendLog.objects.all()
    assert left.resend_of_id is None
    assert left.status == SendLog.Status.SENT


def test_dry_run_counts_the_same_and_deletes_nothing() -> None:
    """--dry-run tells what would go, open rows and kept notifications considered."""
    made(200, count=3)
    half = made(200, count=2)
    SendLog.objects.filter(pk=half.logs.first().pk).update(status="pending")  # type: ignore[union-attr]
    said = run("--dry-run")
    assert "4 messages, 1 notifications, 0 receipts and 0 failures of triggers would be" in said
    assert SendLog.objects.count() == 5
    assert "4 messages, 1 notifications, 0 receipts and 0 failures of triggers deleted" in run()


def test_old_receipts_go_and_new_ones_stay() -> None:
    """What a receipt said stands on its message; the receipt itself is not kept for ever."""
    for number, age in enumerate((200, 200, 1)):
        came = timezone.now() - timedelta(days=age)
        receipt = Receipt.objects.create(
            account="default", openid=openid(1), msgid=number, status="success", event_at=came
        )
        Receipt.objects.filter(pk=receipt.pk).update(received_at=came)
    assert "2 receipts and 0 failures of triggers would be deleted" in run("--dry-run")
    assert Receipt.objects.count() == 3
    assert "2 receipts and 0 failures of triggers deleted" in run()
    assert Receipt.objects.count() == 1


def test_it_works_in_batches() -> None:
    """However much there is, each step deletes one batch."""
    for _ in range(6):
        made(200, count=9)
    steps: list[int] = []
    before = timezone.now() - timedelta(days=180)
    done = prune(before, batch_size=4, progress=lambda done: steps.append(done.messages))
    assert steps[:2] == [4, 8]
    assert max(after - earlier for earlier, after in pairwise(steps)) == 4
    assert (done.messages, done.notifications) == (54, 6)
    assert not SendLog.objects.exists()


def test_what_rules_did() -> None:
    """It is deleted when the send log of its time is, whether or not it sent anything."""
    now = timezone.now()
    for days in (200, 10):
        Firing.objects.create(rule_name="x", object_id="1", fired_at=now - timedelta(days=days))
    assert "1 firings of rules would be deleted." in run("--dry-run")
    assert "1 firings of rules deleted." in run()
    assert Firing.objects.get().fired_at == now - timedelta(days=10)


def test_verbosity_2_shows_each_batch() -> None:
    """A line for each step, and the sum at the end."""
    made(200, count=9)
    lines = run(verbosity=2).splitlines()
    assert lines[0] == "9 messages, 0 notifications"
    assert lines[-1].startswith("Older than 180 days: 9 messages, 1 notifications")


def test_queries_do_not_grow_with_the_messages() -> None:
    """A batch costs the same few statements for one message as for ninety."""
    found = []
    for count in (1, 90):
        made(200, count=count)
        with CaptureQueriesContext(connection) as queries:
            run()
        found.append(len(queries))
    assert found[0] == found[1]


def test_verbosity_0_says_nothing() -> None:
    """-v 0 is silent."""
    made(200)
    assert run(verbosity=0) == ""
    assert not SendLog.objects.exists()


@pytest.mark.parametrize("days", ["0", "-1", "many", "99999999999"])
def test_a_wrong_age_is_named(days: str) -> None:
    """No whole number of days, or more than the calendar has, deletes nothing."""
    with pytest.raises(CommandError, match="day"):
        run(f"--days={days}")


def test_a_wrong_setting_is_named(configure: Callable[..., None]) -> None:
    """RETENTION_DAYS that makes no sense is an error in words."""
    configure(RETENTION_DAYS="long")
    with pytest.raises(CommandError, match="RETENTION_DAYS"):
        run()

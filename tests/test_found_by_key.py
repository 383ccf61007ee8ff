"""Rows that are found by their keys, or openids: no others are read, however many there are."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.databases import counted_steps
from tests.factories import ORDER, make_template, openid
from wechat_notify.models import Notification, Receipt, SendLog
from wechat_notify.receipts.settling import settle
from wechat_notify.sending import aftermath, outbox
from wechat_notify.sending.outbox import Claimed
from wechat_notify.signals import message_sent

Status = SendLog.Status
pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(connection.vendor != "sqlite", reason="The steps of a query are SQLite's."),
]

FEW = 30
NOW = timezone.now() - timedelta(minutes=1)


def mark(logs: Sequence[SendLog]) -> None:
    """One of them was taken over by another worker, so it is asked which were not."""
    SendLog.objects.filter(pk=logs[0].pk).update(claimed_at=NOW + timedelta(seconds=1))
    claimed = [
        Claimed(log.pk, "default", 20, log.notification_id, log.openid, None, 1, None, NOW)
        for log in logs
    ]
    assert len(outbox.mark_on_wire(claimed, now=timezone.now())) == FEW - 1


def free(logs: Sequence[SendLog]) -> None:
    assert outbox.free_parked([log.pk for log in logs]) == FEW


def tell(logs: Sequence[SendLog]) -> None:
    told: list[int] = []

    def hear(sender: Any, log: SendLog, **kwargs: Any) -> None:
        told.append(log.pk)

    message_sent.connect(hear)
    aftermath.tell(Status.SENT, [log.pk for log in logs])
    message_sent.disconnect(hear)
    assert len(told) == FEW


def join(logs: Sequence[SendLog]) -> None:
    """WeChat told no msgid, so they are found by their openids."""
    Receipt.objects.bulk_create(
        Receipt(account="default", openid=log.openid, msgid=0, status="success", event_at=NOW)
        for log in logs
    )
    assert settle().delivered == FEW


@pytest.mark.parametrize(
    ("work", "fields"),
    [
        (mark, {"status": Status.SENDING, "claimed_at": NOW}),
        (free, {"due_at": None}),
        (tell, {"status": Status.SENT}),
        (join, {"status": Status.SENT, "sent_at": NOW}),
    ],
)
def test_others_of_the_same_status_cost_nothing(
    work: Callable[[Sequence[SendLog]], None], fields: dict[str, Any]
) -> None:
    """Six hundred beside them, or none."""
    assert steps(work, fields, 600) <= 1.2 * steps(work, fields, 0)


def steps(work: Callable[[Sequence[SendLog]], None], fields: dict[str, Any], others: int) -> int:
    Receipt.objects.all().delete()
    SendLog.objects.all().delete()
    template = make_template(f"beside_{others}")
    notification = Notification.objects.create(template=template, data=ORDER)
    logs = SendLog.objects.bulk_create(
        SendLog(
            notification=notification,
            account="default",
            openid=openid(number),
            **{"due_at": NOW, **fields},
        )
        for number in range(FEW + others)
    )
    with counted_steps() as counted:
        work(logs[:FEW])
    return len(counted)

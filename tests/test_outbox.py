"""Claims, leases and results in the database: on whichever one the environment names."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.delivery import engine, outbox
from wechat_notify.delivery.outbox import Claimed, Result
from wechat_notify.models import Notification, SendLog

Status = SendLog.Status
pytestmark = pytest.mark.django_db

WINDOW = timedelta(minutes=9)


@pytest.fixture
def rows() -> Any:
    """Write so many due rows."""
    template = make_template()

    def write(count: int = 3, **fields: Any) -> Notification:
        fields = {"account": "default", "due_at": timezone.now(), **fields}
        notification = Notification.objects.create(template=template, data=ORDER)
        SendLog.objects.bulk_create(
            [SendLog(notification=notification, openid=openid(n), **fields) for n in range(count)]
        )
        return notification

    return write


@pytest.fixture(params=["native", "portable"])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """This database's own statements, and those that any database understands."""
    if request.param == "portable":
        monkeypatch.setattr(outbox, "_dialect", lambda connection: "")
        monkeypatch.setattr(outbox, "_updates_returning", lambda connection: False)
    return str(request.param)


def claim(limit: int = 10, **kwargs: Any) -> list[Claimed]:
    return outbox.claim("default", limit, now=timezone.now(), **kwargs)


def test_a_claim_takes_due_rows_once(rows: Any, dialect: str) -> None:
    """Marked, counted, and gone for the next one."""
    notification = rows(3)
    taken = claim()
    assert [row.openid for row in taken] == [openid(0), openid(1), openid(2)]
    assert {row.attempts for row in taken} == {1}
    assert claim() == []
    for log in notification.logs.all():
        assert log.status == Status.SENDING
        assert log.claimed_at == taken[0].claimed_at


def test_a_claim_leaves_what_is_not_its_own(rows: Any, dialect: str) -> None:
    """Not due, parked, another account's, another notification's, or final."""
    rows(1, due_at=timezone.now() + timedelta(minutes=1))
    rows(1, due_at=None)
    rows(1, account="other")
    rows(1, status=Status.SENT)
    other, mine = rows(1), rows(1)
    assert [row.notification_id for row in claim(notification_id=mine.pk)] == [mine.pk]
    assert [row.notification_id for row in claim()] == [other.pk]


def test_a_claim_takes_the_oldest_due_first_and_no_more_than_asked(rows: Any, dialect: str) -> None:
    """In the order of due_at, whatever the order of writing."""
    new = rows(2, due_at=timezone.now() - timedelta(minutes=1))
    old = rows(2, due_at=timezone.now() - timedelta(minutes=2))
    assert [row.notification_id for row in claim(3)] == [old.pk, old.pk, new.pk]
    assert new.logs.filter(status=Status.PENDING).count() == 1


def full_result(row: Claimed, **changes: Any) -> Result:
    values = {
        "status": Status.SENT,
        "errcode": 0,
        "errmsg": "ok",
        "rid": "6912-abc",
        "msgid": 3717005636572528642,
        "sent_at": datetime(2026, 11, 23, 7, 0, 0, 123456, tzinfo=timezone.get_default_timezone()),
        **changes,
    }
    return Result(pk=row.pk, claimed_at=row.claimed_at, **values)


def test_results_are_written_as_given(rows: Any, dialect: str) -> None:
    """Every column, 64-bit ids and microseconds, each row its own."""
    rows(2)
    first, second = claim()
    later = timezone.now() + timedelta(seconds=8)
    retry = Result(
        second.pk,
        second.claimed_at,
        Status.PENDING,
        due_at=later,
        doubt=second.claimed_at,
        errmsg="第一次 “超时” \\ \x00 \ud800",
    )
    assert outbox.record([full_result(first), retry]) == 2
    sent, waiting = SendLog.objects.order_by("pk")
    assert (sent.status, sent.errcode, sent.errmsg, sent.rid) == ("sent", 0, "ok", "6912-abc")
    assert sent.msgid == 3717005636572528642
    assert sent.sent_at == full_result(first).sent_at
    assert (sent.due_at, sent.in_doubt_since, sent.attempts) == (None, None, 1)
    assert (waiting.status, waiting.due_at) == ("pending", later)
    assert waiting.in_doubt_since == second.claimed_at
    assert waiting.errmsg == "第一次 “超时” \\  ?"


def test_what_a_result_does_not_know_is_kept(rows: Any, dialect: str) -> None:
    """Handed back unsent: the last answer still stands, and the attempt is not counted."""
    rows(1, errcode=-1, errmsg="system error", rid="r-1")
    [row] = claim()
    outbox.record([Result(row.pk, row.claimed_at, Status.PENDING, attempted=False)])
    log = SendLog.objects.get()
    assert (log.errcode, log.errmsg, log.rid, log.attempts) == (-1, "system error", "r-1", 0)


def test_a_result_is_written_only_under_its_own_claim(rows: Any, dialect: str) -> None:
    """Taken over by another worker, or final in the meantime: nothing is overwritten."""
    rows(2)
    first, second = claim()
    SendLog.objects.filter(pk=first.pk).update(claimed_at=timezone.now() + timedelta(seconds=1))
    SendLog.objects.filter(pk=second.pk).update(status=Status.CANCELLED)
    assert outbox.record([full_result(first), full_result(second)]) == 0
    assert set(SendLog.objects.values_list("status", flat=True)) == {"sending", "cancelled"}


def test_long_texts_are_cut_to_their_columns(rows: Any, dialect: str) -> None:
    """A gateway's page must not cost the batch its results."""
    rows(1)
    [row] = claim()
    assert outbox.record([full_result(row, errmsg="啊" * 2000, rid="r" * 200)]) == 1
    log = SendLog.objects.get()
    assert (len(log.errmsg), len(log.rid)) == (500, 64)


def test_no_results_cost_no_statement(django_assert_num_queries: Any) -> None:
    """An empty batch is not written."""
    with django_assert_num_queries(0):
        assert outbox.record([]) == 0


def test_abandoned_rows_come_back_in_doubt_or_uncertain(rows: Any) -> None:
    """By the age of the first attempt nobody knows about."""
    now = timezone.now()
    cases = {
        "fresh": {"claimed_at": now - timedelta(seconds=10)},
        "abandoned": {"claimed_at": now - timedelta(minutes=2)},
        "too old": {"claimed_at": now - timedelta(minutes=30)},
        "in doubt before": {
            "claimed_at": now - timedelta(minutes=2),
            "in_doubt_since": now - timedelta(minutes=30),
        },
    }
    made = {name: rows(1, status=Status.SENDING, **fields) for name, fields in cases.items()}
    assert outbox.requeue_abandoned("default", now=now, lease=60, window=WINDOW) == 3
    found = {name: made[name].logs.get() for name in made}
    assert {name: log.status for name, log in found.items()} == {
        "fresh": "sending",
        "abandoned": "pending",
        "too old": "uncertain",
        "in doubt before": "uncertain",
    }
    assert found["abandoned"].in_doubt_since == cases["abandoned"]["claimed_at"]
    assert found["abandoned"].due_at == now
    assert found["in doubt before"].in_doubt_since == cases["in doubt before"]["in_doubt_since"]


def test_a_busy_database_is_asked_again(
    rows: Any, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    """Results are dearer than a second's wait; they are given up only after several tries."""
    rows(1)
    [row] = claim()
    tries: list[int] = []
    write = outbox.record

    def busy(results: Any) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise OperationalError("database is locked")
        return write(results)

    monkeypatch.setattr(outbox, "record", busy)
    monkeypatch.setattr(engine.time, "sleep", lambda seconds: None)
    assert engine._record([full_result(row)]) == 1
    assert SendLog.objects.get().status == Status.SENT

    monkeypatch.setattr(outbox, "record", lambda results: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        engine._record([full_result(row)])


def test_this_database_is_one_of_those_with_statements_of_their_own() -> None:
    """PostgreSQL, SQLite, MariaDB and MySQL of the versions Django supports never go row by row."""
    assert outbox._dialect(connection) in ("postgresql", "sqlite", "mysql")

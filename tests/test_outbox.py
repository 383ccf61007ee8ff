"""Claims, leases and results in the database: on whichever one the environment names."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_template, openid
from wechat_notify.models import Notification, SendLog
from wechat_notify.sending import outbox
from wechat_notify.sending.outbox import Claimed, Only
from wechat_notify.sending.recording import Result, record

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
        monkeypatch.setattr(type(connections["default"]), "vendor", "a stranger's")
    return str(request.param)


NORMAL: Only = ("priority", [Notification.Priority.NORMAL])


def claim(limit: int = 10, only: Only = NORMAL) -> list[Claimed]:
    now = timezone.now()
    return outbox.claim("default", limit, only, now=now, mark=now)


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
    assert [row.notification_id for row in claim(only=("notification_id", [mine.pk]))] == [mine.pk]
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
    assert record([full_result(first), retry]) == 2
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
    record([Result(row.pk, row.claimed_at, Status.PENDING, attempted=False)])
    log = SendLog.objects.get()
    assert (log.errcode, log.errmsg, log.rid, log.attempts) == (-1, "system error", "r-1", 0)


def test_a_result_is_written_only_under_its_own_claim(rows: Any, dialect: str) -> None:
    """Taken over by another worker, or final in the meantime: nothing is overwritten."""
    rows(2)
    first, second = claim()
    SendLog.objects.filter(pk=first.pk).update(claimed_at=timezone.now() + timedelta(seconds=1))
    SendLog.objects.filter(pk=second.pk).update(status=Status.CANCELLED)
    assert record([full_result(first), full_result(second)]) == 0
    assert set(SendLog.objects.values_list("status", flat=True)) == {"sending", "cancelled"}


def test_long_texts_are_cut_to_their_columns(rows: Any, dialect: str) -> None:
    """A gateway's page must not cost the batch its results."""
    rows(1)
    [row] = claim()
    assert record([full_result(row, errmsg="啊" * 2000, rid="r" * 200)]) == 1
    log = SendLog.objects.get()
    assert (len(log.errmsg), len(log.rid)) == (500, 64)


def test_no_results_cost_no_statement(django_assert_num_queries: Any) -> None:
    """An empty batch is not written."""
    with django_assert_num_queries(0):
        assert record([]) == 0


def test_abandoned_rows_come_back_as_what_is_known_of_them(rows: Any) -> None:
    """Only claimed: without doubt, no attempt counted. On the wire: by the age of the doubt."""
    now = timezone.now()
    long_ago, lately = now - timedelta(minutes=30), now - timedelta(minutes=2)
    cases: dict[str, dict[str, Any]] = {
        "held": {"claimed_at": now - timedelta(seconds=10)},
        "only claimed": {"claimed_at": long_ago},
        "on the wire": {"claimed_at": lately, "in_doubt_since": lately},
        "too long ago": {"claimed_at": long_ago, "in_doubt_since": long_ago},
        "in doubt before": {"claimed_at": lately, "in_doubt_since": long_ago},
    }
    made = {
        name: rows(1, status=Status.SENDING, attempts=1, **fields) for name, fields in cases.items()
    }
    due = now + timedelta(minutes=15)  # by this host's clock, which may differ
    assert requeue(now=now, due_at=due) == 4
    found = {name: made[name].logs.get() for name in made}
    assert {name: (log.status, log.attempts) for name, log in found.items()} == {
        "held": ("sending", 1),
        "only claimed": ("pending", 0),
        "on the wire": ("pending", 1),
        "too long ago": ("uncertain", 1),
        "in doubt before": ("uncertain", 1),
    }
    assert found["only claimed"].in_doubt_since is None
    assert found["only claimed"].due_at == due
    assert found["on the wire"].in_doubt_since == lately
    assert found["in doubt before"].in_doubt_since == long_ago


def test_without_a_window_nothing_in_doubt_is_repeated(rows: Any) -> None:
    """A backend that does not absorb repeats: what may have left is uncertain at once."""
    now = timezone.now()
    lately = now - timedelta(minutes=2)
    left = rows(1, status=Status.SENDING, claimed_at=lately, in_doubt_since=lately)
    stayed = rows(1, status=Status.SENDING, claimed_at=lately)
    requeue(now=now, due_at=now, window=timedelta(0))
    assert left.logs.get().status == "uncertain"
    assert stayed.logs.get().status == "pending"


def requeue(*, now: Any, due_at: Any, window: timedelta = WINDOW) -> int:
    return outbox.requeue_abandoned("default", now=now, due_at=due_at, lease=60, window=window)


def test_rows_are_marked_before_they_leave(rows: Any, dialect: str) -> None:
    """Those still held, an earlier doubt kept; another worker's row is neither marked nor sent."""
    earlier = timezone.now() - timedelta(minutes=3)
    notification = rows(3)
    notification.logs.filter(openid=openid(1)).update(in_doubt_since=earlier)
    claimed = claim(3)
    lost = claimed[2]
    SendLog.objects.filter(pk=lost.pk).update(claimed_at=earlier)
    now = timezone.now()
    held = outbox.mark_on_wire(claimed, now=now)
    assert held == {row.pk for row in claimed} - {lost.pk}
    assert {log.openid: log.in_doubt_since for log in notification.logs.filter(pk__in=held)} == {
        row.openid: earlier if row.openid == openid(1) else now for row in claimed[:2]
    }
    assert notification.logs.get(pk=lost.pk).in_doubt_since is None


def test_what_has_waited_too_long_is_given_up(rows: Any) -> None:
    """Failed where it cannot have left, uncertain where it may have; later ones wait on."""
    now = timezone.now()
    old, doubtful, fresh, planned, parked = (rows(1) for _ in range(5))
    ages = Notification.objects.filter(pk__in=[one.pk for one in (old, doubtful, planned, parked)])
    ages.update(created_at=now - timedelta(days=4))
    Notification.objects.filter(pk=planned.pk).update(send_at=now - timedelta(hours=1))
    doubtful.logs.update(in_doubt_since=now - timedelta(days=3, hours=1))
    parked.logs.update(due_at=None)
    failed = outbox.give_up("default", before=now - timedelta(days=3), errmsg="No connection.")
    assert failed == [old.logs.get().pk]
    assert (old.logs.get().status, old.logs.get().errmsg) == ("failed", "No connection.")
    assert doubtful.logs.get().status == "uncertain"
    assert {one.logs.get().status for one in (fresh, planned, parked)} == {"pending"}


def test_this_database_is_one_of_those_with_statements_of_their_own(rows: Any) -> None:
    """PostgreSQL, SQLite, MariaDB and MySQL of the versions Django supports never go row by row."""
    rows(20)
    claimed = claim(20)
    with CaptureQueriesContext(connection) as captured:
        assert record([full_result(row) for row in claimed]) == 20
    assert len([query for query in captured if "UPDATE" in query["sql"]]) == 1

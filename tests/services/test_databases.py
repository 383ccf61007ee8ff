"""Claiming and recording on whichever database DATABASE_URL names, and the portable ways too."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.models import Notification, OpenIDBinding, SendLog
from wechat_notify.sending.outbox import Claimed, Only, claim, mark_on_wire, requeue_abandoned
from wechat_notify.sending.recording import Result, record
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db(transaction=True)

Status = SendLog.Status
WINDOW = timedelta(minutes=9)


@pytest.fixture(autouse=True)
def only_workers_send(configure: Callable[..., None]) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture(params=["best", "portable"])
def way(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """The statements made for this database, and those for any other."""
    if request.param == "portable":
        monkeypatch.setattr(type(connections["default"]), "vendor", "a stranger's")
    return str(request.param)


def write(count: int = 5) -> Notification:
    return notify([openid(n) for n in range(count)], make_template(), ORDER)


def take(limit: int = 100, only: Only | None = None, account: str = "default") -> list[Claimed]:
    """Claim of these rows, or of whatever priority they are."""
    now, rows = timezone.now(), []
    for one in [only] if only else [("priority", [value]) for value in Notification.Priority]:
        rows += claim(account, limit - len(rows), one, now=now, mark=now)
    return rows


def statuses() -> dict[str, int]:
    return {status: n for status, n in SendLog.objects.all().counts().items() if n}


def test_a_claim_takes_the_oldest_due_first(way: str) -> None:
    """Up to the limit, in the order in which they are due, and marks them."""
    notification = write()
    now = timezone.now()
    pks = list(notification.logs.order_by("-pk").values_list("pk", flat=True))
    for age, pk in enumerate(reversed(pks)):
        SendLog.objects.filter(pk=pk).update(due_at=now - timedelta(minutes=5 - age))
    SendLog.objects.filter(pk=pks[0]).update(due_at=now + timedelta(hours=1))
    assert [row.pk for row in take(2)] == pks[:2:-1]
    assert [row.pk for row in take()] == pks[2:0:-1]
    assert take() == []
    row = SendLog.objects.get(pk=pks[-1])
    assert (row.status, row.attempts) == (Status.SENDING, 1)
    assert row.claimed_at is not None


def test_a_claim_can_be_narrowed_down(way: str) -> None:
    """To one notification, and always to one account."""
    write()
    other = notify([openid(9)], "order_paid", ORDER)
    assert take(account="other") == []
    assert [row.notification_id for row in take(only=("notification_id", [other.pk]))] == [other.pk]


def test_claims_side_by_side_never_share_a_row(way: str) -> None:
    """Four workers that claim at the same moment, again and again, get different rows."""
    write(400)
    barrier = threading.Barrier(4)
    taken: list[int] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            barrier.wait(timeout=300)
            while rows := take(20):
                taken.extend(row.pk for row in rows)
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)
        finally:
            connections.close_all()

    if "sqlite" in connection.settings_dict["ENGINE"]:
        pytest.skip("SQLite in memory has one connection; two processes share a file elsewhere")
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(taken) == len(set(taken)) == 400


def test_results_are_written_as_they_are(way: str) -> None:
    """Every column, every kind of text, and what is not said stays as it was."""
    write(3)
    first, second, third = take()
    later = timezone.now().replace(microsecond=123456) + timedelta(minutes=1)
    errmsg = "“refused” 😀 " + "長" * 600
    written = record(
        [
            Result(first.pk, first.claimed_at, Status.SENT, errcode=0, msgid=2**62, sent_at=later),
            Result(
                *(second.pk, second.claimed_at, Status.PENDING, later, later),
                errcode=-1,
                errmsg=errmsg + "\x00\ud800",
                rid="r" * 99,
            ),
            Result(third.pk, third.claimed_at, Status.PENDING, later, attempted=False),
        ]
    )
    assert written == 3
    sent, retried, refunded = SendLog.objects.order_by("pk")
    assert (sent.status, sent.msgid, sent.sent_at, sent.due_at) == ("sent", 2**62, later, None)
    assert (retried.due_at, retried.in_doubt_since, retried.errcode) == (later, later, -1)
    assert retried.errmsg == errmsg[:500]
    assert retried.rid == "r" * 64
    assert [sent.attempts, retried.attempts, refunded.attempts] == [1, 1, 0]
    assert (refunded.errcode, refunded.errmsg) == (None, "")


def test_a_result_that_comes_too_late_is_not_written(way: str) -> None:
    """Where another worker has taken the row over, the mark differs and nothing is touched."""
    write(2)
    stale, fresh = take()
    SendLog.objects.filter(pk=stale.pk).update(claimed_at=timezone.now() + timedelta(seconds=1))
    results = [Result(row.pk, row.claimed_at, Status.SENT) for row in (stale, fresh)]
    assert record(results) == 1
    assert statuses() == {"sending": 1, "sent": 1}
    assert record(results) == 0
    assert record([]) == 0


def test_results_are_one_statement_a_batch() -> None:
    """500 results cost as many statements as one."""
    write(500)
    rows = take(500)
    with CaptureQueriesContext(connection) as queries:
        assert record([Result(row.pk, row.claimed_at, Status.SENT) for row in rows]) == 500
    updates = [query for query in queries if "UPDATE" in query["sql"]]
    assert len(updates) == 1


def test_rows_of_a_dead_worker_come_back(way: str) -> None:
    """What may have left: inside WeChat's window in doubt, outside uncertain. The rest: as new."""
    write(4)
    now = timezone.now()
    fresh, ended, old, stayed = take()
    assert mark_on_wire([fresh, ended, old], now=now) == {fresh.pk, ended.pk, old.pk}
    for row, age in ((ended, 70), (old, 3600), (stayed, 3600)):
        moment = now - timedelta(seconds=age)
        SendLog.objects.filter(pk=row.pk).update(claimed_at=moment)
        SendLog.objects.filter(pk=row.pk, in_doubt_since=now).update(in_doubt_since=moment)
    assert requeue_abandoned("default", now=now, due_at=now, lease=60, window=WINDOW) == 3
    found = SendLog.objects.in_bulk()
    assert found[fresh.pk].status == Status.SENDING
    assert found[ended.pk].status == Status.PENDING
    assert found[ended.pk].in_doubt_since == now - timedelta(seconds=70)
    assert found[old.pk].status == Status.UNCERTAIN
    assert (found[stayed.pk].status, found[stayed.pk].attempts) == (Status.PENDING, 0)


def test_a_queryset_of_users_is_written_by_the_database() -> None:
    """INSERT … SELECT: everybody bound gets a row, the others a row that says why not."""
    make_bindings(20)
    make_binding(make_user("lost"), 50, subscribed=False)
    make_user("unbound")
    make_template()
    with CaptureQueriesContext(connection) as queries:
        notification = notify(get_user_model().objects.all(), "order_paid", ORDER)
    assert len([q for q in queries if q["sql"].startswith("INSERT")]) <= 3
    assert {s: n for s, n in notification.counts.items() if n} == {"pending": 20, "skipped": 2}
    assert set(notification.logs.exclude(openid="").values_list("openid", flat=True)) == set(
        OpenIDBinding.objects.values_list("openid", flat=True)
    )

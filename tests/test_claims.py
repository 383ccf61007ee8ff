"""Which rows a run claims: the most urgent first, none shut out, none claimed twice."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.databases import counted_steps
from tests.factories import ORDER, make_template, openid
from wechat_notify.models import Notification, SendLog
from wechat_notify.sending import claims
from wechat_notify.sending.claims import Claims, ClaimsForSome
from wechat_notify.sending.outbox import Claimed
from wechat_notify.sending.wanted import Wanted

Status = SendLog.Status
Priority = Notification.Priority
Write = Callable[..., Notification]
pytestmark = pytest.mark.django_db

URGENT, NORMAL, BULK = Priority


@pytest.fixture
def rows() -> Write:
    """Write so many rows of one notification, due for so many seconds."""
    template = make_template()
    now = timezone.now()

    def write(count: int, priority: Priority, due_for: float = 0, **fields: Any) -> Notification:
        notification = Notification.objects.create(template=template, data=ORDER, priority=priority)
        due_at = now - timedelta(seconds=due_for)
        fields = {"account": "default", "due_at": due_at, "priority": priority, **fields}
        SendLog.objects.bulk_create(
            [SendLog(notification=notification, openid=openid(n), **fields) for n in range(count)]
        )
        return notification

    return write


@pytest.fixture(params=["native", "portable"])
def dialect(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """This database's own statements, and those that any database understands."""
    if request.param == "portable":
        monkeypatch.setattr(type(connections["default"]), "vendor", "a stranger's")


@pytest.fixture
def always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each claim looks anew, as one does that comes a quarter of a second after the last."""
    monkeypatch.setattr(claims, "LOOK_SECONDS", 0)


def take(claiming: Claims, wanted: int, most: int = 10**6) -> list[Claimed]:
    return claiming.take(wanted, most)


def by_priority(found: list[Claimed]) -> dict[int, int]:
    return dict(Counter(row.priority for row in found))


def by_notification(found: list[Claimed]) -> dict[int, int]:
    return dict(Counter(row.notification_id for row in found))


# -- priorities -------------------------------------------------------------------------------


def test_every_priority_has_its_part_of_a_claim(rows: Write, dialect: None) -> None:
    """A tenth for each that waits, however long the more urgent ones are; the rest is theirs."""
    rows(200, BULK, due_for=60)
    rows(200, NORMAL, due_for=30)
    rows(200, URGENT)
    claiming = Claims("default")
    assert by_priority(take(claiming, 100)) == {URGENT: 80, NORMAL: 10, BULK: 10}
    assert by_priority(take(claiming, 100)) == {URGENT: 80, NORMAL: 10, BULK: 10}
    assert by_priority(take(claiming, 100)) == {URGENT: 40, NORMAL: 50, BULK: 10}


def test_what_others_do_not_need_is_used(rows: Write, dialect: None) -> None:
    """A claim is full as long as anything is due, and ends with nothing."""
    rows(3, URGENT)
    rows(40, BULK)
    claiming = Claims("default")
    assert by_priority(take(claiming, 20)) == {URGENT: 3, BULK: 17}
    assert by_priority(take(claiming, 100)) == {BULK: 23}
    assert take(claiming, 100) == []


def test_small_claims_starve_nobody(rows: Write, always_looks: None) -> None:
    """As with a tight RATE: one row at a time, and still one of ten is of each priority."""
    for priority in Priority:
        rows(60, priority)
    claiming = Claims("default")
    found = [row for _ in range(40) for row in take(claiming, 1)]
    assert by_priority(found) == {URGENT: 32, NORMAL: 4, BULK: 4}


def test_what_is_not_due_or_anothers_is_left(rows: Write, dialect: None) -> None:
    """Later, parked, another account's: of no priority."""
    for priority in Priority:
        rows(1, priority, due_for=-60)
        rows(1, priority, due_at=None)
        rows(1, priority, account="other")
        rows(1, priority, status=Status.SENT)
    assert take(Claims("default"), 100) == []
    assert len(take(Claims("other"), 100)) == 3


def test_only_what_is_more_urgent_is_claimed_out_of_turn(rows: Write, dialect: None) -> None:
    """The most urgent first, and the question costs one query in a quarter of a second."""
    for priority in Priority:
        rows(5, priority)
    claiming = Claims("default")
    assert claiming.sees_more_urgent(BULK)
    with CaptureQueriesContext(connection) as captured:
        assert not claiming.sees_more_urgent(BULK), "it was just asked"
    assert len(captured) == 0
    assert by_priority(claiming.take_more_urgent(BULK, 7)) == {URGENT: 5, NORMAL: 2}
    assert claiming.take_more_urgent(NORMAL, 7) == []


# -- within one priority ----------------------------------------------------------------------


def test_two_for_many_share(rows: Write, dialect: None) -> None:
    """The second starts with the first claim after it came, not after the first one's last row."""
    first, second = rows(500, BULK, due_for=60), rows(500, BULK)
    assert by_notification(take(Claims("default"), 100)) == {first.pk: 50, second.pk: 50}


def test_two_that_are_due_at_the_same_moment_share(rows: Write, dialect: None) -> None:
    """Both scheduled for nine o'clock."""
    first, second = rows(500, BULK), rows(500, BULK)
    assert by_notification(take(Claims("default"), 100)) == {first.pk: 50, second.pk: 50}


def test_each_of_many_has_its_turn(rows: Write, always_looks: None) -> None:
    """The one due longest has half of each claim, the others the other half, one after another."""
    made = [rows(200, BULK, due_for=60 - number) for number in range(5)]
    claiming = Claims("default")
    claimed = [by_notification(take(claiming, 20)) for _ in range(8)]
    others = [one.pk for one in made[1:]]
    assert claimed == [{made[0].pk: 10, pk: 10} for pk in others * 2]


def test_rows_to_be_tried_again_take_no_turn_of_their_own(rows: Write, always_looks: None) -> None:
    """A notification has one turn a round, however many moments its rows are due at."""
    first, second, third = (rows(100, BULK, due_for=60 - number) for number in range(3))
    now = timezone.now()
    for notification in (first, second):
        for number, log in enumerate(notification.logs.order_by("-pk")[:20]):
            SendLog.objects.filter(pk=log.pk).update(due_at=now - timedelta(seconds=number))
    claiming = Claims("default")
    claimed = [by_notification(take(claiming, 10)) for _ in range(4)]
    assert claimed == [{first.pk: 5, pk: 5} for pk in (second.pk, third.pk)] * 2


def test_many_for_one_person_go_in_the_order_they_are_due(rows: Write, dialect: None) -> None:
    """The first among them is the one that is due longest."""
    made = [rows(1, NORMAL, due_for=60 - number) for number in range(30)]
    claiming = Claims("default")
    assert [row.notification_id for row in take(claiming, 1)] == [made[0].pk]
    assert len(take(claiming, 29)) == 29


# -- a run for one notification ---------------------------------------------------------------


def test_a_run_for_one_takes_along_what_is_more_urgent(rows: Write, dialect: None) -> None:
    """Of any notification; what is as urgent or less is left to others."""
    own = rows(50, NORMAL)
    rows(2, URGENT)
    rows(50, NORMAL, due_for=60)
    rows(50, BULK, due_for=60)
    claiming = ClaimsForSome("default", Wanted([("default", own.pk)]))
    found = take(claiming, 100)
    assert by_priority(found) == {URGENT: 2, NORMAL: 50}
    assert claiming.counted(found) == 50
    assert take(claiming, 100) == []


def test_a_run_for_one_ends_with_its_own_rows(rows: Write) -> None:
    """It does not go on for others, however urgent."""
    own = rows(1, NORMAL)
    rows(50, URGENT)
    claiming = ClaimsForSome("default", Wanted([("default", own.pk)]))
    assert by_priority(take(claiming, 20)) == {URGENT: 19, NORMAL: 1}
    assert take(claiming, 20) == []


def test_what_is_taken_along_uses_up_no_limit(rows: Write, dialect: None) -> None:
    """A task for fifty of its own sends fifty of its own."""
    own = rows(500, BULK)
    rows(500, URGENT)
    claiming = ClaimsForSome("default", Wanted([("default", own.pk)]))
    found, most = [], 50
    while most:
        claimed = claiming.take(100, most)
        most -= claiming.counted(claimed)
        found += claimed
    assert by_notification(found)[own.pk] == 50
    assert by_priority(found) == {URGENT: 450, BULK: 50}


def test_a_run_for_one_of_many_lets_a_second_one_start(rows: Write, dialect: None) -> None:
    """A tenth for another notification of that kind: its own task may be the last of a queue."""
    first, second = rows(500, BULK, due_for=60), rows(500, BULK)
    assert by_notification(
        take(ClaimsForSome("default", Wanted([("default", first.pk)])), 100)
    ) == {
        first.pk: 90,
        second.pk: 10,
    }
    assert by_notification(
        take(ClaimsForSome("default", Wanted([("default", second.pk)])), 100)
    ) == {
        first.pk: 10,
        second.pk: 90,
    }


def test_a_run_for_nothing_that_is_due_claims_nothing(rows: Write) -> None:
    """Deleted, finished or due later: others are left alone."""
    rows(5, URGENT)
    later = rows(5, BULK, due_for=-60)
    assert take(ClaimsForSome("default", Wanted([("default", later.pk)])), 10) == []
    assert take(ClaimsForSome("default", Wanted([("default", later.pk + 1)])), 10) == []


# -- what it costs ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [20, 500])
def test_a_claim_costs_the_same_few_queries(rows: Write, count: int) -> None:
    """A crowd alone: three looks for the first row, two for another notification, one claim."""
    rows(count, BULK)
    with CaptureQueriesContext(connection) as captured:
        assert len(take(Claims("default"), 20)) == 20
    updates = [query for query in captured if "UPDATE" in query["sql"].upper()]
    assert len(captured) <= 12
    assert len(updates) <= 2


@pytest.mark.skipif(connection.vendor != "sqlite", reason="The steps of a query are SQLite's.")
@pytest.mark.parametrize("kind", ["all", "some"])
def test_a_claim_reads_no_more_among_many(rows: Write, kind: str) -> None:
    """Two crowds of three hundred cost about as many steps as two of thirty, for twenty rows."""
    assert steps_of_a_claim(rows, kind, 300) <= 1.5 * steps_of_a_claim(rows, kind, 30)


def steps_of_a_claim(rows: Write, kind: str, count: int) -> int:
    """How many hundred steps SQLite takes to claim twenty rows where so many of each wait."""
    SendLog.objects.all().delete()
    rows(count, BULK, due_for=60)
    chosen = [("default", rows(count, BULK, due_for=60).pk)]
    claiming = Claims("default") if kind == "all" else ClaimsForSome("default", Wanted(chosen))
    with counted_steps() as steps:
        assert len(take(claiming, 20)) == 20
    return len(steps)

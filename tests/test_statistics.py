"""Counts of what was sent, and of why the rest did not arrive."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from tests.factories import ORDER, make_bindings, make_template
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import notify
from wechat_notify.statistics import Cause, causes, count_by_day, overview, since

pytestmark = pytest.mark.django_db

Status = SendLog.Status

TRANSIENT: list[dict[str, Any]] = [
    {"status": "failed", "errcode": -1, "errmsg": "system error rid: 1-2-3"},
    {"status": "failed", "errcode": 43117},
    {"status": "failed", "errcode": None, "errmsg": "no connection"},
    {"status": "undelivered", "errcode": 0, "receipt_status": "failed: system failed"},
    {"status": "undelivered", "errcode": 0, "receipt_status": "failed:freq limit"},
]
FOR_GOOD: list[dict[str, Any]] = [
    {"status": "failed", "errcode": 43004},
    {"status": "failed", "errcode": 43101},
    {"status": "failed", "errcode": 47003},
    {"status": "failed", "errcode": 40037},
    {"status": "failed", "errcode": 99999},
    {"status": "undelivered", "errcode": 0, "receipt_status": "failed:user block"},
    {"status": "uncertain"},
    {"status": "uncertain", "errcode": -1},
    {"status": "skipped", "errmsg": "This user has not bound WeChat."},
    {"status": "expired"},
    {"status": "cancelled"},
    {"status": "sent", "errcode": 0},
    {"status": "delivered", "errcode": 0},
    {"status": "pending", "errcode": -1},
    {"status": "sending", "errcode": -1},
]


@pytest.fixture
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands still, so that no midnight falls into the test."""
    now = datetime(2026, 11, 23, 12, tzinfo=timezone.get_default_timezone())
    monkeypatch.setattr(timezone, "now", lambda: now)


def make_log(template: MessageTemplate, **values: Any) -> SendLog:
    notification = Notification.objects.create(template=template)
    return SendLog.objects.create(notification=notification, account="default", **values)


@pytest.mark.parametrize("values", TRANSIENT)
def test_what_passes_by_itself(template: MessageTemplate, values: dict[str, Any]) -> None:
    """It surely did not arrive, and the same message may well arrive now."""
    make_log(template, **values)
    (cause,) = causes(SendLog.objects.all())
    assert cause.passes


@pytest.mark.parametrize("values", FOR_GOOD)
def test_what_would_be_refused_again_or_may_have_arrived(
    template: MessageTemplate, values: dict[str, Any]
) -> None:
    """The person, the template or the data must change first, or somebody must be asked."""
    make_log(template, **values)
    assert not any(cause.passes for cause in causes(SendLog.objects.all()))


def test_causes_are_grouped_and_the_commonest_is_first(template: MessageTemplate) -> None:
    """By errcode whatever WeChat's words, else by our own words; what arrived is no cause."""
    for number in range(3):
        make_log(template, status="failed", errcode=43004, errmsg=f"subscribe rid: {number}")
    for _ in range(2):
        make_log(template, status="skipped", errmsg="This user has not bound WeChat.")
    make_log(template, status="undelivered", errcode=0, errmsg="ok", receipt_status="failed:x")
    make_log(template, status="delivered", errcode=0)
    assert causes(SendLog.objects.all()) == [
        Cause(Status.FAILED, 43004, "", 3),
        Cause(Status.SKIPPED, None, "This user has not bound WeChat.", 2),
        Cause(Status.UNDELIVERED, None, "failed:x", 1),
    ]
    assert len(causes(SendLog.objects.all(), most=1)) == 1


def test_the_overview_has_every_day_and_every_template(
    template: MessageTemplate, noon: None
) -> None:
    """Today is the last day, days without messages are there, the busiest template is first."""
    other = make_template("other")
    bindings = make_bindings(3)
    notify(bindings, template, ORDER)
    notify(bindings[:1], other, ORDER)
    old = notify(bindings, other, ORDER)
    Notification.objects.filter(pk=old.pk).update(created_at=since(30) - timedelta(seconds=1))
    yesterday = notify(bindings[:2], template, ORDER)
    Notification.objects.filter(pk=yesterday.pk).update(created_at=since(1) - timedelta(seconds=1))
    found = overview(count_by_day(SendLog.objects.all(), 30), 30)
    assert [day for day, _counts in found.days] == [
        timezone.localdate() - timedelta(days=number) for number in reversed(range(30))
    ]
    assert found.today == {"pending": 4}
    assert found.days[-2][1] == {"pending": 2}
    assert found.days[0][1] == {}
    assert found.total == {"pending": 6}
    assert [(row, dict(counts)) for row, counts in found.templates] == [
        (template, {"pending": 5}),
        (other, {"pending": 1}),
    ]


def test_a_day_begins_at_its_own_midnight(
    template: MessageTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where clocks change in between, the days on both sides are those of the calendar."""
    berlin = ZoneInfo("Europe/Berlin")
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 11, 5, 12, tzinfo=berlin))
    for day, hour in ((20, 0), (30, 23)):  # clocks went back on the 25th
        notification = notify(make_bindings(1, first=day), template, ORDER)
        at = datetime(2026, 10, day, hour, 30, tzinfo=berlin)
        Notification.objects.filter(pk=notification.pk).update(created_at=at)
    with timezone.override(berlin):
        found = overview(count_by_day(SendLog.objects.all(), 30), 30)
    counted = {day for day, counts in found.days if counts}
    assert counted == {date(2026, 10, 20), date(2026, 10, 30)}


def test_nothing_was_ever_sent() -> None:
    """Empty counts, not an error."""
    found = overview(count_by_day(SendLog.objects.all(), 30), 30)
    assert len(found.days) == 30
    assert (found.total, found.templates) == ({}, [])
    assert causes(SendLog.objects.all()) == []


def test_the_number_of_queries_does_not_depend_on_the_rows(
    template: MessageTemplate, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """Two for the overview, one for the causes."""
    for _ in range(5):
        notify(make_bindings(1, first=Notification.objects.count() + 1), template, ORDER)
        make_log(template, status="failed", errcode=-1)
    with django_assert_num_queries(2):
        overview(count_by_day(SendLog.objects.all(), 30), 30)
    with django_assert_num_queries(1):
        causes(SendLog.objects.all())

"""A dry run records what would have gone to whom; the daily limit; and what a firing says."""

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone, translation

from tests.factories import make_binding, make_user
from tests.rules import make_book_template, make_branch, make_loan, make_rule
from wechat_notify.backends import locmem
from wechat_notify.models import Notification, SendLog
from wechat_notify.rules.models import Firing, Rule

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]


def test_dry_run() -> None:
    """To whom, what, and what would have gone wrong. Nothing is written but the record."""
    ann = make_user("ann", last_name="王", first_name="安")
    make_binding(ann)
    long = make_user("bob", first_name="A name that is much longer than a field can be")
    make_binding(long, 2)
    texts = {"book": "{{ user.get_full_name }}", "thing2": "{{ object.branch.name }}"}
    recipients = [{"path": "branch__librarians"}]
    make_rule(event="created", dry_run=True, texts=texts, recipients=recipients)
    make_loan(branch=make_branch(ann, long, make_user("carl")))
    assert (Notification.objects.count(), SendLog.objects.count(), locmem.outbox) == (0, 0, [])
    firing = Firing.objects.get()
    assert (firing.is_dry_run, firing.people, firing.notification) == (True, 3, None)
    first, second, third = firing.would
    assert first == {
        "user": ann.pk,
        "name": "王安",
        "data": {"book": "王安", "thing2": "总馆"},
        "problem": "",
    }
    assert "20" in second["problem"]
    assert third["problem"] == "This user has not bound WeChat."


def test_at_most_a_hundred_people_are_recorded() -> None:
    everybody = [make_user(f"u{number}") for number in range(101)]
    make_rule(event="created", dry_run=True, recipients=[{"path": "branch__librarians"}])
    make_loan(branch=make_branch(*everybody))
    firing = Firing.objects.get()
    assert (firing.people, len(firing.would)) == (101, 100)


def test_switched_to_dry_run_by_another_process() -> None:
    """As being switched off, it is looked at when rows are written."""
    make_rule(event="created")
    make_loan()
    Rule.objects.update(dry_run=True)
    make_loan(make_user("other"))
    assert list(Firing.objects.order_by("pk").values_list("is_dry_run", flat=True)) == [False, True]


# -- at most so many a day --------------------------------------------------------------------


class Clock:
    now = datetime(2026, 11, 23, 23, tzinfo=ZoneInfo("Asia/Shanghai"))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timezone, "now", lambda: clock.now)
    return clock


def people() -> list[int]:
    return list(Firing.objects.order_by("pk").values_list("people", flat=True))


def test_daily_limit(clock: Clock) -> None:
    """Two a day to each person; a new day begins at midnight of the site's time zone."""
    reader = make_binding().user
    make_rule(event="created", most_a_day=2)
    for _ in range(3):
        make_loan(reader)
    assert people() == [1, 1, 0]
    assert Firing.objects.latest("pk").reason == (
        "Everybody has had 2 messages of this rule today."
    )
    make_loan(make_binding(number=2).user)
    assert people() == [1, 1, 0, 1]
    clock.now += timedelta(minutes=59)
    make_loan(reader)
    clock.now += timedelta(minutes=2)
    make_loan(reader)
    assert people()[4:] == [0, 1]


def test_daily_limit_of_each_rule_alone(clock: Clock) -> None:
    """Other rules' messages are not counted, nor are those that nobody got, nor a second openid."""
    reader = make_binding().user
    make_binding(reader, 2)
    make_rule(event="created", name="other")
    make_rule(event="created", most_a_day=2)
    make_loan(reader)
    make_loan(reader)
    assert people() == [1, 1, 1, 1]
    SendLog.objects.filter(notification__rule_firings__rule_name="ready").update(status="failed")
    make_loan(reader)
    assert people() == [1] * 6


def test_daily_limit_of_some(clock: Clock) -> None:
    """Those who may have one more still get it."""
    ann, bob = make_binding().user, make_binding(number=2).user
    make_rule(event="created", most_a_day=1, recipients=[{"path": "branch__librarians"}])
    make_loan(ann, branch=make_branch(ann))
    make_loan(ann, branch=make_branch(ann, bob))
    assert people() == [1, 1]
    assert list(SendLog.objects.order_by("pk").values_list("user", flat=True)) == [ann.pk, bob.pk]


# -- what it says -----------------------------------------------------------------------------


def test_language_of_messages(settings: Any) -> None:
    """The site's, whoever has saved the object; and people are named as everywhere."""
    settings.LANGUAGE_CODE = "zh-hans"
    reader = make_binding(make_user("reader", last_name="王", first_name="小明")).user
    texts = {"book": "{{ object.borrower }}", "thing2": "{{ object.is_lost }}"}
    make_rule(event="created", texts=texts)
    with translation.override("en"):
        make_loan(reader)
    assert Notification.objects.get().data == {
        "book": {"value": "王小明"},
        "thing2": {"value": "否"},
    }


def test_values_keep_their_types() -> None:
    """A date is written as its field wants it; what is the same for everybody is stored once."""
    reader = make_binding().user
    texts = {"time1": "{{ object.due_on }}", "amount2": "{{ object.fee }}"}
    make_book_template(content="{{time1.DATA}}\n{{amount2.DATA}}", field_names={})
    make_rule(event="created", texts=texts)
    make_loan(reader, due_on=date(2026, 11, 27), fee="39.8")
    assert Notification.objects.get().data == {
        "time1": {"value": "2026年11月27日 00:00"},
        "amount2": {"value": "39.80元"},
    }
    assert SendLog.objects.get().data is None

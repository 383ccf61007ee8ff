"""What a rule would do, and would have done: looked at, and nothing written."""

from datetime import date, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from tests.factories import make_binding, make_user
from tests.library.models import Loan
from tests.rules import make_branch, make_loan, rule_of
from wechat_notify.models import Notification
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.rules.outcome import outcome, recent_objects, would_have_sent

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]


@pytest.fixture(autouse=True)
def nothing_is_written() -> Any:
    """By any test here, but for what the test itself writes."""
    yield
    assert Rule.objects.count() == Firing.objects.count() == Notification.objects.count() == 0


def test_of_a_rule_that_is_not_saved() -> None:
    """To whom, what each gets, and where it leads."""
    ann = make_binding(make_user("ann", first_name="安", last_name="王")).user
    bob = make_user("bob")
    loan = make_loan(branch=make_branch(ann, bob), status="ready")
    found = outcome(rule_of(recipients=[{"path": "branch__librarians"}]), loan)
    assert (found.matches, found.why_not, found.people_count) == (True, "", 2)
    assert found.url == f"https://school.example/loans/{loan.pk}/"
    first, second = found.people
    assert (first.user, first.name, first.problem) == (ann, "王安", "")
    assert first.data == {"book": "西游记", "thing2": "ready to be fetched"}
    assert (second.user, second.problem) == (bob, "This user has not bound WeChat.")


def test_people_are_cut_off() -> None:
    everybody = [make_user(f"u{number}") for number in range(5)]
    rule = rule_of(event="created", recipients=[{"path": "branch__librarians"}])
    found = outcome(rule, make_loan(branch=make_branch(*everybody)), most=3)
    assert (len(found.people), found.people_count) == (3, 5)


@pytest.mark.parametrize(
    ("rule", "why_not"),
    [
        ({}, "Status is “wanted”."),
        ({"value": "", "field": "status"}, ""),
        ({"event": "created"}, ""),
        ({"event": "before", "field": "due_at"}, "Due at is empty."),
        ({"event": "created", "conditions": [("copies", "more", "1")]}, "Copies is “1”."),
        (
            {"event": "created", "conditions": [("note", "not_empty", ""), ("fee", "is", "1")]},
            "Note is empty.",
        ),
    ],
)
def test_why_it_does_not_match(rule: dict[str, Any], why_not: str) -> None:
    tests = [{"field": f, "op": op, "value": v} for f, op, v in rule.pop("conditions", [])]
    rule["conditions"] = {"match": "all", "tests": tests}
    found = outcome(rule_of(**rule), make_loan())
    assert (found.matches, found.why_not) == (not why_not, why_not)


def test_any_of_several_conditions() -> None:
    tests = [{"field": "copies", "op": "is", "value": value} for value in ("2", "3")]
    rule = rule_of(event="created", conditions={"match": "any", "tests": tests})
    assert outcome(rule, make_loan()).why_not == "None of the conditions holds."


def test_a_rule_that_cannot_be_run() -> None:
    with pytest.raises(ValidationError):
        outcome(rule_of(field="door_code"), make_loan())


def test_an_error_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page that tries a rule says so: when it fires, the failure is kept and nothing sent."""
    monkeypatch.setattr(Loan, "get_absolute_url", lambda loan: 1 / 0)
    make_loan()
    ((_loan, found),) = would_have_sent(rule_of(event="created"))
    assert not found.matches
    assert found.why_not == "An error in the site’s own code: ZeroDivisionError: division by zero"


def test_without_a_link() -> None:
    """The template's own."""
    rule = rule_of(event="created", link=False)
    rule.template.url = "https://x.example/"
    assert outcome(rule, make_loan()).url == "https://x.example/"


# -- recent objects ---------------------------------------------------------------------------


def test_recent_objects() -> None:
    """The newest first, of models that rules may see."""
    made = [make_loan(make_user(f"u{number}")) for number in range(3)]
    assert recent_objects("library.loan", 2) == [made[2], made[1]]
    with pytest.raises(LookupError):
        recent_objects("auth.user", 2)


# -- the last days ----------------------------------------------------------------------------


def would(days: int = 30, **rule: Any) -> tuple[str, list[tuple[Any, bool]]]:
    basis, found = would_have_told(days, **rule)
    return basis, [(one.title, its.matches) for one, its in found]


def would_have_told(days: int = 30, **rule: Any) -> tuple[str, list[tuple[Any, Any]]]:
    found = would_have_sent(rule_of(**rule), days=days)
    return found.basis, list(found)


def test_created_in_the_last_days() -> None:
    reader = make_user("reader")
    for title, ago in [("old", 40), ("new", 10)]:
        loan = make_loan(reader, title=title)
        Loan.objects.filter(pk=loan.pk).update(created_at=timezone.now() - timedelta(days=ago))
    basis, found = would(event="created")
    assert basis == "loans that were created in the last 30 days, as they are now."
    assert found == [("new", True)]


def test_created_at_a_time_that_nobody_knows() -> None:
    """A model without a column that says so: the newest are looked at."""
    make_branch()
    texts = {"book": "{{ object.name }}", "thing2": "x"}
    rule = {"event": "created", "model": "library.branch", "texts": texts}
    basis, (found,) = would_have_told(recipients=[{"path": "librarians"}], **rule)
    assert basis == "The newest branchs, as they are now: nobody knows when they were created."
    assert (str(found[0]), found[1].people, found[1].url) == ("总馆", (), "")


def test_that_have_the_value_now() -> None:
    reader = make_user("reader")
    make_loan(reader, title="a", status="ready", copies=2)
    make_loan(reader, title="b", status="lent")
    make_loan(reader, title="c", status="ready")
    tests = {"match": "all", "tests": [{"field": "copies", "op": "is", "value": "2"}]}
    basis, found = would(conditions=tests)
    assert basis == "loans that have this value now, the newest first."
    assert found == [("c", False), ("a", True)]


def test_any_change_is_not_known() -> None:
    make_loan(title="a")
    basis, found = would(value="")
    assert basis == "The newest loans, as they are now: nobody knows when they were changed."
    assert found == [("a", True)]


@pytest.mark.parametrize("event", ["before", "after"])
def test_whose_moment_was_in_the_last_days(event: str) -> None:
    """The moment of the reminder, not that of the object."""
    reader, now = make_user("reader"), timezone.now()
    sign = 1 if event == "before" else -1
    for title, days in [("past", -31), ("in it", -1), ("soon", 1)]:
        make_loan(reader, title=title, due_at=now + timedelta(days=days + sign * 5))
    make_loan(reader, title="none")
    basis, found = would(event=event, field="due_at", offset=timedelta(days=5))
    assert basis == "loans whose moment was in the last 30 days, as they are now."
    assert found == [("in it", True)]


def test_of_dates() -> None:
    reader = make_user("reader")
    today = timezone.localdate()
    make_loan(reader, title="a", due_on=today)
    make_loan(reader, title="b", due_on=date(2000, 1, 1))
    _basis, found = would(event="after", field="due_on", clock="08:00")
    assert found == [("a", True)]


def test_at_most_so_many() -> None:
    reader = make_user("reader")
    for _ in range(3):
        make_loan(reader)
    assert len(list(would_have_sent(rule_of(event="created"), most=2))) == 2

"""A rule read back as a sentence, in English and in Chinese, while it is written too."""

from datetime import time, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.utils import translation

from tests import factories
from wechat_notify.models import RecipientFilter
from wechat_notify.rules.models import Rule
from wechat_notify.rules.sentence import names_in, sentence, sentence_html

TELL: dict[str, Any] = {"model": "library.loan", "recipients": [{"path": "borrower"}]}
BECOMES: dict[str, Any] = {"event": "changed", "field": "status", "value": "ready"}


def conditions(*tests: tuple[str, str, str], match: str = "all") -> dict[str, Any]:
    named = [{"field": field, "op": op, "value": value} for field, op, value in tests]
    return {"conditions": {"match": match, "tests": named}}


SENTENCES: list[tuple[dict[str, Any], str]] = [
    ({"event": "created"}, "When a new loan is there, tell borrower"),
    (BECOMES, "When the Status of a loan becomes ready to be fetched, tell borrower"),
    ({**BECOMES, "value": ""}, "When the Status of a loan changes, tell borrower"),
    (
        {**BECOMES, "delay": timedelta(hours=2)},
        "When the Status of a loan becomes ready to be fetched, tell borrower 2 hours later",
    ),
    (
        {"event": "before", "field": "due_at", "offset": timedelta(days=1)},
        "1 day before the Due at of a loan, tell borrower",
    ),
    (
        {"event": "after", "field": "due_at", "offset": timedelta(minutes=90)},
        "90 minutes after the Due at of a loan, tell borrower",
    ),
    (
        {"event": "before", "field": "due_on", "offset": timedelta(days=2), "clock": time(9)},
        "At 09:00, 2 days before the Due on of a loan, tell borrower",
    ),
    (
        {"event": "after", "field": "due_on", "offset": timedelta(days=2), "clock": time(9)},
        "At 09:00, 2 days after the Due on of a loan, tell borrower",
    ),
    (
        {"event": "before", "field": "due_on", "clock": time(9, 30)},
        "At 09:30 on the Due on of a loan, tell borrower",
    ),
    ({"event": "after", "field": "due_at"}, "At the Due at of a loan, tell borrower"),
    (
        {"event": "created", **conditions(("copies", "more", "3"))},
        "When a new loan is there, if Copies is more than 3, tell borrower",
    ),
    (
        {
            "event": "created",
            "delay": timedelta(days=1),
            **conditions(("is_lost", "is", "True"), ("note", "contains", "x"), match="any"),
        },
        "When a new loan is there, if Is lost is yes or Note contains x, tell borrower 1 day later",
    ),
    (
        {
            "event": "created",
            **conditions(("due_on", "less", "2026-12-01"), ("fee", "not_empty", "")),
        },
        "When a new loan is there, if Due on is earlier than 2026-12-01 and Fee is not empty, "
        "tell borrower",
    ),
]


@pytest.mark.django_db
@pytest.mark.parametrize(("columns", "said"), SENTENCES, ids=[said for _c, said in SENTENCES])
def test_every_event_and_condition_is_read_back(columns: dict[str, Any], said: str) -> None:
    """By the words that people know: labels of fields and choices, units of time."""
    assert sentence(Rule(**{**TELL, **columns})) == said


@pytest.mark.django_db
def test_whom_it_tells_is_named() -> None:
    """Paths, groups and saved recipients by name, all together."""
    group = Group.objects.create(name="Staff")
    saved = RecipientFilter.objects.create(name="Parents", account="default", criteria={})
    recipients = [
        {"path": "branch__librarians"},
        {"group": group.pk},
        {"saved": saved.pk},
        {"group": 4_000},
    ]
    rule = Rule(model="library.loan", event="created", recipients=recipients)
    assert sentence(rule).endswith("tell librarians, the group Staff, Parents, the group …")


@pytest.mark.django_db
def test_what_is_referred_to_is_named() -> None:
    """A condition on a reference keeps a key; the sentence has the name of a person."""
    alice = factories.make_user("alice", first_name="Alice", last_name="Liddell")
    rule = Rule(**TELL, event="created", **conditions(("borrower", "is", str(alice.pk))))
    assert "if Borrower is Alice Liddell" in sentence(rule)
    for gone in ("4000", "x" * 300, "9" * 40):
        rule.conditions["tests"][0]["value"] = gone
        assert f"Borrower is {gone}" in sentence(rule)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"model": "library.loan"},
        {"model": "auth.user", "event": "changed", "field": "password", "value": "x"},
        {"model": "library.loan", "event": "changed"},
        {"model": "library.loan", "event": "before", "conditions": [], "recipients": {}},
        {"model": "library.loan", "recipients": [{"group": "9" * 5_000}, {"saved": 10**40}]},
        {"model": "library.loan", "recipients": [{"group": "²"}, {"saved": None}]},
        {
            "model": "library.loan",
            "conditions": {"tests": [3, {}]},
            "recipients": [7, {"group": "x"}],
        },
    ],
)
def test_what_is_not_known_yet_is_left_open(columns: dict[str, Any]) -> None:
    """A rule that is half written, or badly by hand, is read back with "…"; nothing fails."""
    assert "…" in sentence(Rule(**columns))
    assert "…" in sentence_html(Rule(**columns))


@pytest.mark.django_db
def test_the_page_has_it_in_bold_and_escaped() -> None:
    """What people typed cannot become part of the page."""
    rule = Rule(**TELL, event="created", **conditions(("title", "is", "<script>")))
    said = sentence_html(rule)
    assert "<b>borrower</b>" in said
    assert "<b>&lt;script&gt;</b>" in said
    assert "<script>" not in said


@pytest.mark.django_db
def test_many_are_read_back_with_two_queries(django_assert_num_queries: Any) -> None:
    """A list of rules asks once for groups and once for saved recipients."""
    group = Group.objects.create(name="Staff")
    saved = RecipientFilter.objects.create(name="Parents", account="default", criteria={})
    rules = [
        Rule(model="library.loan", event="created", recipients=[{"group": group.pk}]),
        Rule(model="library.loan", event="created", recipients=[{"saved": saved.pk}]),
    ] * 5
    with django_assert_num_queries(2):
        names = names_in(rules)
        said = {sentence(rule, names) for rule in rules}
    assert said == {
        "When a new loan is there, tell the group Staff",
        "When a new loan is there, tell Parents",
    }


@pytest.mark.django_db
def test_chinese_is_said_as_chinese() -> None:
    """The order of words is Chinese, too."""
    rule = Rule(**TELL, **BECOMES)
    reminder = Rule(**TELL, event="before", field="due_at", offset=timedelta(days=1))
    with translation.override("zh-hans"):
        assert sentence(rule) == "当 loan 的 Status 变为 ready to be fetched 时，通知 borrower"
        rule.delay = timedelta(hours=2)
        assert sentence(rule).endswith("时，过 2 小时后通知 borrower")
        assert sentence(reminder) == "在 loan 的 Due at 前 1 天，通知 borrower"

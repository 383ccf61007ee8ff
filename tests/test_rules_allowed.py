"""``allow()``: what rules may see of a model, and what nobody can allow."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy

from tests.library.models import Branch, Loan
from tests.school.models import Order
from wechat_notify.rules import allow, allowed
from wechat_notify.rules.allowed import allowed_for
from wechat_notify.rules.kinds import Kind


@pytest.fixture(autouse=True)
def own_allowed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the test allows ends with it, and no model is watched for it."""
    kept = dict(allowed._allowed)
    monkeypatch.setattr(allowed, "listeners", [])
    yield
    allowed._allowed.clear()
    allowed._allowed.update(kept)


def refused(fields: Any = (), recipients: Any = (), link: Any = None) -> list[str]:
    with pytest.raises(ImproperlyConfigured) as error:
        allow(Order, fields=fields, recipients=recipients, link=link)
    assert "school.order" not in allowed._allowed
    return str(error.value).splitlines()


def test_what_is_allowed() -> None:
    found = allowed_for("library.loan")
    assert (found.model, found.label, found.name) == (Loan, "library.loan", "loan")
    assert {path: field.kind for path, field in found.fields.items()} == {
        "title": Kind.TEXT,
        "number": Kind.TEXT,
        "copies": Kind.NUMBER,
        "fee": Kind.NUMBER,
        "status": Kind.CHOICE,
        "is_lost": Kind.BOOLEAN,
        "note": Kind.TEXT,
        "due_on": Kind.DATE,
        "due_at": Kind.DATETIME,
        "created_at": Kind.DATETIME,
        "borrower": Kind.RELATED,
        "borrower__email": Kind.TEXT,
        "branch": Kind.RELATED,
        "branch__name": Kind.TEXT,
    }
    assert found.url_of(Loan(pk=7)) == "/loans/7/"
    assert [one.label for one in allowed.allowed()] == ["library.branch", "library.loan"]


def test_labels() -> None:
    """Those that are given, or the fields' own."""
    fields = allowed_for("library.loan").fields
    assert fields["due_on"].label == "Due on"
    assert fields["borrower__email"].label == "Borrower · Email address"
    assert fields["borrower__email"].placeholder == "object.borrower.email"
    assert allowed_for("library.branch").fields["name"].label == "name of the branch"
    labels = [one.label for one in allowed_for("library.loan").recipients.values()]
    assert labels == ["borrower", "librarians", "Watchers"]
    allow(Order, fields={"status": gettext_lazy("status")}, recipients={"buyer": None})
    assert allowed_for("school.order").fields["status"].label == "status"
    assert allowed_for("school.order").recipients["buyer"].label == "Buyer"


def test_of_reverse_relations() -> None:
    """A path may go either way; its label is that of the rows."""
    allow("auth.Group", fields=["name"], recipients=["user"])
    assert allowed_for("auth.group").recipients["user"].label == "Users"


def test_by_name() -> None:
    """A model may be named, as in a ForeignKey."""
    allow("school.Order", fields=["note"], recipients=["buyer"], link=lambda order: order.note)
    found = allowed_for("school.order")
    assert found.model is Order
    assert found.url_of(Order(note="/x/")) == "/x/"
    assert found.url_of(Order()) == ""


def test_the_second_replaces_the_first() -> None:
    allow(Branch, fields=["name"], recipients=[])
    found = allowed_for("library.branch")
    assert (list(found.fields), found.recipients) == (["name"], {})
    assert found.url_of(Branch(name="x")) == ""


def test_what_is_not_allowed() -> None:
    for label in ("auth.user", "school.order", "Library.Loan", "nothing"):
        with pytest.raises(LookupError):
            allowed_for(label)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("buyer__password", "is not for messages"),
        ("_state", "is not for messages"),
        ("__class__", "is not for messages"),
        ("", "is not for messages"),
        ("buyer__", "is not for messages"),
        ("pk", "is no field"),
        ("objects", "is no field"),
        ("save", "is no field"),
        ("get_status_display", "is no field"),
        ("unknown", "is no field"),
        ("buyer_id", "is called 'buyer'"),
        ("tags", "is no column"),
        ("buyer__groups", "is no column"),
        ("gift", "is no column"),
        ("buyer__loans__title", "is no column"),
        ("status__name", "does not lead on from 'status'"),
        ("extra", "has values that rules cannot compare (JSONField)"),
        ("extra__key", "does not lead on from 'extra'"),
    ],
)
def test_fields_that_nobody_can_allow(path: str, says: str) -> None:
    (problem,) = refused(fields=[path])
    assert problem.startswith(f"allow(school.Order): {path!r} ")
    assert says in problem


def test_a_file() -> None:
    with pytest.raises(ImproperlyConfigured, match="is a file"):
        allow(Loan, fields=["scan"], recipients=[])


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("status", "it refers to nothing"),
        ("tags", "but to auth.Group"),
        ("buyer__groups", "but to auth.Group"),
        ("buyer__username", "it refers to nothing"),
        ("unknown", "is no field"),
        ("_buyer", "is not for messages"),
    ],
)
def test_recipients_that_are_nobody(path: str, says: str) -> None:
    (problem,) = refused(recipients=[path])
    assert says in problem


@pytest.mark.parametrize("link", ["delete", "_get_pk_val", "note", "unknown", "pk"])
def test_links(link: str) -> None:
    """A method that changes nothing, or a function."""
    (problem,) = refused(link=link)
    assert "must be a method that returns a URL" in problem


def test_every_problem_at_once() -> None:
    assert len(refused(["pk", "note", "_state"], ["status"], "delete")) == 4


@pytest.mark.parametrize("model", ["shop.Order", "nothing", "a.b.c"])
def test_models_that_are_not_there(model: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="allow"):
        allow(model, fields=[], recipients=[])


def test_one_text_instead_of_a_list() -> None:
    with pytest.raises(ImproperlyConfigured, match="lists"):
        allow(Order, fields="status", recipients=[])


def test_before_the_models_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """It waits until they are, and is checked then."""
    monkeypatch.setattr(allowed.apps, "models_ready", False)
    allow("school.Order", fields=["note"], recipients=["buyer"])
    allow("school.Voucher", fields=["unknown"], recipients=[])
    assert "school.order" not in allowed._allowed
    monkeypatch.undo()
    with pytest.raises(ImproperlyConfigured, match="Voucher"):
        allowed.resolve_waiting()
    assert "school.order" in allowed._allowed
    allowed.resolve_waiting()

"""Whom a rule tells."""

from typing import Any

import pytest
from django.contrib.auth.models import Group, User

from tests.factories import make_binding, make_user, openid
from tests.library.models import Loan
from tests.rules import make_branch, make_loan, make_rule, rule_of
from wechat_notify.models import RecipientFilter, SendLog
from wechat_notify.rules.allowed import allowed_for
from wechat_notify.rules.models import Firing
from wechat_notify.rules.ready import make_ready
from wechat_notify.rules.whom import Recipients, known_in, recipients_of
from wechat_notify.services import bind, resend

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("fresh_rules")]


def told(loan: Loan, *recipients: dict[str, Any]) -> list[str]:
    return sorted(user.username for user in meant(*recipients).of(loan))


def meant(*recipients: dict[str, Any]) -> Recipients:
    given = list(recipients)
    return recipients_of(given, allowed_for("library.loan"), "default", known_in([given]))


def saved(account: str = "default", **criteria: Any) -> dict[str, Any]:
    name = f"saved {RecipientFilter.objects.count()}"
    kept = RecipientFilter.objects.create(account=account, name=name, criteria=criteria)
    return {"saved": kept.pk}


@pytest.fixture
def loan() -> Loan:
    """Its reader is a librarian of its branch, and watches it."""
    reader, ann = make_user("reader"), make_user("ann")
    made = make_loan(reader, branch=make_branch(reader, ann))
    made.watchers.set([reader])
    return made


def test_paths(loan: Loan) -> None:
    """One person, or many; over references forward and many-to-many."""
    assert told(loan, {"path": "borrower"}) == ["reader"]
    assert told(loan, {"path": "branch__librarians"}) == ["ann", "reader"]
    assert told(loan, {"path": "watchers"}) == ["reader"]


def test_each_once(loan: Loan) -> None:
    """Whoever is meant several times gets one message."""
    everybody = [{"path": path} for path in ("borrower", "branch__librarians", "watchers")]
    assert told(loan, *everybody, {"path": "borrower"}) == ["ann", "reader"]


def test_a_way_that_ends(loan: Loan) -> None:
    """A reference that is empty leads to nobody."""
    Loan.objects.update(branch=None)
    loan.refresh_from_db()
    assert told(loan, {"path": "branch__librarians"}) == []


def test_groups(loan: Loan) -> None:
    """Their members as they are when the rule fires."""
    group = Group.objects.create(name="board")
    recipients = meant({"group": group.pk})
    assert list(recipients.of(loan)) == []
    make_user("bo").groups.add(group)
    assert [user.username for user in recipients.of(loan)] == ["bo"]
    assert told(loan, {"group": group.pk}, {"path": "borrower"}) == ["bo", "reader"]


def test_saved_recipients(loan: Loan) -> None:
    """People, groups and everybody who can be reached, as the compose page saves them."""
    group = Group.objects.create(name="board")
    make_user("bo").groups.add(group)
    make_binding(make_user("bound"))
    make_binding(make_user("left"), 2, subscribed=False)
    ann = User.objects.get(username="ann")
    assert told(loan, saved(users=[str(ann.pk)])) == ["ann"]
    assert told(loan, saved(groups=[str(group.pk)])) == ["bo"]
    assert told(loan, saved(everyone=True)) == ["bound"]
    assert told(loan, saved(everyone=True, users=[str(ann.pk)]), {"path": "borrower"}) == [
        "ann",
        "bound",
        "reader",
    ]


@pytest.mark.parametrize(
    "junk", [{"users": ["x", None, "1 or 1=1"]}, {"users": "x"}, {"groups": ["x", None]}, {}]
)
def test_saved_recipients_that_say_nothing(loan: Loan, junk: dict[str, Any]) -> None:
    """What no compose page saves leads to nobody, and to no error of the database."""
    assert told(loan, saved(**junk)) == []


@pytest.mark.parametrize(
    ("recipient", "says"),
    [
        (lambda: {"group": 9}, "A group that it is to tell is gone"),
        (lambda: {"saved": 9}, "Saved recipients that it is to tell are gone"),
        (lambda: saved("other", everyone=True), "of another account"),
        (lambda: saved(openids=[openid(1)]), "which a rule cannot use"),
        (lambda: saved(list={"label": "x", "query": "", "ids": []}), "which a rule cannot use"),
        # Left out, each of these would tell more people than were saved.
        (lambda: saved(everyone=True, missed=True), "which a rule cannot use"),
        (lambda: saved(everyone=True, bound_since="2026-11-27"), "which a rule cannot use"),
        (lambda: saved(groups=["1", "2"], in_all=True), "which a rule cannot use"),
        (lambda: saved(segments=["room-1"]), "which a rule cannot use"),
        (lambda: {"path": "borrower__groups__user"}, "may not tell people by"),
    ],
)
def test_what_cannot_be_told(recipient: Any, says: str) -> None:
    """In words for whoever writes the rule."""
    rule = rule_of(recipients=[recipient()])
    with pytest.raises(Exception, match=says) as error:
        make_ready(rule)
    assert set(error.value.message_dict) == {"recipients"}


def test_nobody_to_tell() -> None:
    """It is recorded, with the reason; a person who has not bound gets a row, as ever."""
    make_rule(recipients=[{"path": "watchers"}], event="created")
    make_rule(name="reader", event="created")
    make_loan()
    nobody, reader = Firing.objects.order_by("fired_at")
    assert (nobody.notification, nobody.people) == (None, 0)
    assert nobody.reason == "There is nobody to tell."
    assert (reader.people, reader.reason) == (1, "")
    assert SendLog.objects.get().status == "skipped"


def test_people_whom_a_replica_does_not_know_yet(settings: Any) -> None:
    """They are read where they are written: as what the object leads to, and as a group."""
    make_rule(event="created")
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsUsersElsewhere"]
    group = Group.objects.create(name="board")
    make_user("bo").groups.add(group)
    loan = make_loan(make_user("reader"))
    firing = Firing.objects.get()
    assert (firing.people, firing.reason) == (1, "")
    board = Recipients("default", groups=(str(group.pk),))
    assert [user.username for user in board.of(loan)] == ["bo"]


def test_what_somebody_out_of_reach_was_to_be_told() -> None:
    """It is kept, and resent once they have bound WeChat."""
    texts = {"book": "{{ object.title }}", "thing2": "{{ user.get_full_name }}"}
    make_rule(event="created", texts=texts)
    reader = make_user("reader", last_name="王", first_name="芳")
    make_loan(reader)
    bind(reader, openid(1))
    again = resend(SendLog.objects.filter(status="skipped")).get()
    assert (again.status, again.merged_data["thing2"]["value"]) == ("pending", "王芳")


def test_large_numbers_of_people(django_assert_max_num_queries: Any) -> None:
    """The statements do not grow with the people."""
    everybody = User.objects.bulk_create(User(username=f"u{number}") for number in range(300))
    make_rule(recipients=[{"path": "branch__librarians"}], event="created")
    branch = make_branch(*everybody)
    reader = make_user("reader")
    with django_assert_max_num_queries(20):
        make_loan(reader, branch=branch)
    assert Firing.objects.get().people == SendLog.objects.count() == 300

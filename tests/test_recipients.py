"""From what callers hand to notify() to one target per openid."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, Group
from django.db.models import Q, QuerySet

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from tests.school.models import Leave
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import OpenIDBinding
from wechat_notify.services import notify
from wechat_notify.wechat.openids import is_openid
from wechat_notify.writing import recipients
from wechat_notify.writing.recipients import (
    NOT_BOUND,
    NOT_FOLLOWING,
    OTHER_ACCOUNT,
    Target,
    can_be_subquery,
    targets,
)

pytestmark = pytest.mark.django_db

User = get_user_model()


def found(users: Any, account: str = "default") -> list[tuple[str, str]]:
    """(openid, reason) of each target."""
    return [(target.openid, target.reason) for target in targets(users, account)]


# -- one recipient ----------------------------------------------------------------------------


def test_a_user_a_binding_and_an_openid_are_the_same_person() -> None:
    """Whichever way somebody is named, the target has the user, the binding and the openid."""
    binding = make_binding()
    expected = [Target(binding.openid, binding.user, binding)]
    for named in (binding.user, binding, binding.openid):
        assert list(targets(named, "default")) == expected


def test_an_openid_that_nobody_has_is_written_to() -> None:
    """An openid needs no binding."""
    assert list(targets(openid(9), "default")) == [Target(openid(9))]


def test_a_user_with_two_openids_gets_it_on_both() -> None:
    """Somebody with two WeChat accounts reads it on either."""
    user = make_user()
    bindings = [make_binding(user, number) for number in (1, 2)]
    assert found(user) == [(binding.openid, "") for binding in bindings]


def test_who_cannot_be_reached_comes_with_a_reason() -> None:
    """Unbound users and people who unfollowed are not left out."""
    gone = make_binding(number=1, subscribed=False)
    unbound = make_user("unbound")
    assert found([unbound, gone.user, gone, gone.openid]) == [
        ("", NOT_BOUND),
        (gone.openid, NOT_FOLLOWING),
    ]


def test_a_binding_of_another_account_is_not_written_to() -> None:
    """An openid means nothing on another account; a user is looked up on the right one."""
    other = make_binding(account="other")
    assert found(other) == [(other.openid, OTHER_ACCOUNT)]
    assert found(other.user) == [("", NOT_BOUND)]
    assert found(other, "other") == [(other.openid, "")]


def test_two_aliases_of_one_account_do_not_hide_each_other() -> None:
    """The binding under the other alias, named first, does not cost the person the message."""
    user = make_user()
    other = make_binding(user, 1, account="other")
    here = make_binding(user, 1, account="default")
    assert found([other, here]) == [(here.openid, OTHER_ACCOUNT), (here.openid, "")]


def test_what_was_learnt_since_counts() -> None:
    """A binding object that is older than the news of an unfollowing does not override it."""
    held = make_binding()
    OpenIDBinding.objects.update(subscribed=False)
    assert found(held) == [(held.openid, NOT_FOLLOWING)]


def test_a_binding_that_is_gone_is_not_written_to() -> None:
    """Who has been unbound since the caller looked gets nothing."""
    held = make_binding()
    OpenIDBinding.objects.all().delete()
    assert found(held) == [(held.openid, NOT_BOUND)]


# -- many -------------------------------------------------------------------------------------


def test_nobody_is_named_twice() -> None:
    """User, binding and openid of one person in any mixture are one target."""
    first, second = make_bindings(2)
    unbound = make_user("unbound")
    mixed = [first.openid, unbound, second, first.user, first, unbound, second.openid, first.openid]
    assert found(mixed) == [(first.openid, ""), ("", NOT_BOUND), (second.openid, "")]


@pytest.mark.parametrize("kind", [list, tuple, iter, set])
def test_any_iterable_will_do(kind: Any) -> None:
    """Lists, tuples, sets and generators are all lists of recipients."""
    bindings = make_bindings(3)
    assert sorted(found(kind(bindings))) == [(binding.openid, "") for binding in bindings]


@pytest.mark.slow
def test_people_beyond_one_chunk_are_found_once() -> None:
    """Duplicates on both sides of a chunk's border are still one message."""
    count = recipients.CHUNK + 1
    users = [binding.user for binding in make_bindings(count)]
    everybody = [(openid(number), "") for number in range(1, count + 1)]
    assert found(users + users) == everybody
    groups = [Group.objects.create(name=name) for name in "ab"]
    for group in groups:
        group.user_set.set(users)
    twice = User.objects.filter(groups__in=groups).order_by("-username")
    assert twice.count() == 2 * count
    assert sorted(found(twice)) == everybody


def _querysets() -> dict[str, QuerySet[Any]]:
    users, bindings = User.objects.all(), OpenIDBinding.objects.all()
    return {
        "users": users,
        "filtered": users.filter(Q(username="user1") | Q(username="user3")),
        "ordered": users.order_by("-username"),
        "excluded": users.exclude(wechat_bindings__subscribed=False),
        "none": users.none(),
        "distinct": users.filter(wechat_bindings__isnull=False).distinct(),
        "sliced": users.order_by("-pk")[1:3],
        "union": users.filter(username="user1").union(users.filter(username="user2")),
        "deferred": users.only("username"),
        "joined": users.filter(wechat_bindings__account="default"),
        "bindings": bindings,
        "bindings sliced": bindings.order_by("-pk")[:2],
        "bindings of others": bindings.filter(account="other"),
        "reachable": OpenIDBinding.objects.reachable(),
        "openids": bindings.filter(account="default").values_list("openid", flat=True),
        "with users": bindings.select_related("user"),
    }


@pytest.mark.parametrize("name", _querysets())
def test_a_queryset_is_its_list(name: str) -> None:
    """However a QuerySet's rows come to be written, they are those of the list it stands for.

    Shared data lets the database do it where it can; a function of the recipient never does.
    """
    user = make_bindings(3)[0].user
    make_binding(user, 4)
    make_binding(number=5, subscribed=False)
    make_binding(number=6, account="other")
    make_user("unbound")
    template = make_template()
    queryset = _querysets()[name]
    reference = _rows(notify(list(queryset), template, ORDER))
    assert _rows(notify(queryset.all(), template, ORDER)) == reference
    assert _rows(notify(queryset.all(), template, lambda _: ORDER)) == reference
    if name != "none":
        assert reference


def _rows(notification: Any) -> list[tuple[Any, ...]]:
    names = ("openid", "user", "binding", "account", "status", "errmsg", "attempts", "rid")
    rows = notification.logs.values_list(*names, "due_at", "receipt_status")
    return sorted((*row[:-2], row[-2] is None, row[-1]) for row in rows)


def test_openids_of_a_sites_own_table(template: Any) -> None:
    """A flat values_list of another model is a list of openids, with shared data or a function."""
    user = make_binding().user
    for number in (1, 2):
        Leave.objects.create(person=user, reason=openid(number), start="2026-11-23T00:00:00Z")
    theirs = Leave.objects.values_list("reason", flat=True)
    expected = [(openid(1), ""), (openid(2), "")]
    assert found(theirs) == expected
    assert notify(theirs, template, ORDER).total == 2
    assert notify(theirs, template, lambda _: ORDER).total == 2


@pytest.mark.django_db(databases=["default", "elsewhere"], transaction=True)
def test_a_queryset_of_another_database(template: Any) -> None:
    """Users of another database are read there; their rows are written here."""
    make_bindings(2)
    elsewhere = User.objects.using("elsewhere")
    assert not can_be_subquery(elsewhere.all(), "default")
    assert found(elsewhere.all()) == [(openid(1), ""), (openid(2), "")]
    assert notify(elsewhere.all(), template, ORDER).total == 2


@pytest.mark.parametrize("name", ["sliced", "union", "openids", "bindings sliced"])
def test_what_the_database_cannot_do_alone(name: str) -> None:
    """Slices, unions and values are read by the app."""
    assert not can_be_subquery(_querysets()[name], "default")


def test_distinct_on_is_read_by_the_app() -> None:
    """DISTINCT ON picks rows by the ordering that a subquery would lose."""
    assert not can_be_subquery(User.objects.distinct("username"), "default")


@pytest.mark.parametrize("count", [1, 50])
def test_queries_do_not_grow_with_the_recipients(
    count: int, django_assert_num_queries: Any
) -> None:
    """A chunk of users, bindings and openids costs three queries, however many they are."""
    bindings = make_bindings(count)
    mixed = [binding.user for binding in bindings] + list(OpenIDBinding.objects.all())
    mixed += [binding.openid for binding in bindings]
    with django_assert_num_queries(3):
        list(targets(mixed, "default"))


# -- what is no recipient ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "named"),
    [
        (None, "NoneType 'None'"),
        (5, "int '5'"),
        ([None], "NoneType"),
        ("", "str ''"),
        ("Alice Wang", "str 'Alice Wang'"),
        (["张三"], "str '张三'"),
        ([1, 2], "int '1'"),
        (AnonymousUser(), "AnonymousUser"),
        (b"oTest", "int"),
    ],
)
def test_what_is_no_recipient_is_named(users: Any, named: str) -> None:
    """A pk, a name or nothing at all is refused, and the message says what was given."""
    with pytest.raises(InvalidData, match="users: ") as caught:
        list(targets(users, "default"))
    assert named in str(caught.value)
    assert "is not a user, an OpenIDBinding or an openid" in str(caught.value)


def test_a_model_of_another_kind_is_no_recipient() -> None:
    """A group is not its members."""
    with pytest.raises(InvalidData, match="Group 'staff'"):
        list(targets(Group.objects.create(name="staff"), "default"))
    with pytest.raises(InvalidData, match="Group 'staff'"):
        list(targets(Group.objects.all(), "default"))


@pytest.mark.parametrize("entry", [User(username="new"), OpenIDBinding(user=User(username="new"))])
def test_what_is_not_saved_is_no_recipient(entry: Any) -> None:
    """An object without a row cannot stand in the send log."""
    with pytest.raises(InvalidData, match=r"'new.* is not saved yet"):
        list(targets([entry], "default"))


def test_a_broken_openid_is_not_shown_whole() -> None:
    """An openid with a stray blank is refused without being spelled out in the error."""
    whole = openid(1)
    with pytest.raises(InvalidData) as caught:
        list(targets(f"{whole} ", "default"))
    assert "oTes…" in str(caught.value)
    assert whole not in str(caught.value)
    assert whole not in repr(caught.value)


@pytest.mark.parametrize(
    ("value", "good"),
    [
        ("oABC_def-123", True),
        ("o" * 64, True),
        ("o" * 65, False),
        ("", False),
        ("o ABC", False),
        ("oABC\n", False),
        ("ｏABC", False),
        (5, False),
        (None, False),
    ],
)
def test_what_can_be_an_openid(value: Any, good: bool) -> None:
    """Letters, digits, "_" and "-", up to the length of the column."""
    assert is_openid(value) is good


# -- how people are named ---------------------------------------------------------------------


def test_a_label_never_shows_an_openid() -> None:
    """A problem names the user, or the masked openid where there is none."""
    assert Target(openid(1), make_user("alice")).label == "alice"
    assert Target(openid(1)).label == "oTes…001"

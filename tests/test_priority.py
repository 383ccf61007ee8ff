"""The priority of a message: as asked for, or by the number of its recipients."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin_pages import text
from tests.compose_pages import CONTENT, composer, filled, person, review, send
from tests.factories import ORDER, make_binding, make_bindings, make_template, openid
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.services import anotify, notify, resend
from wechat_notify.signals import notify_requested

URGENT, NORMAL, BULK = Notification.Priority
pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def only_workers_send(configure: Callable[..., None]) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


def people(count: int) -> list[str]:
    return [openid(number) for number in range(count)]


def kept(notification: Notification) -> int:
    """The priority in the database, which all rows must share."""
    [of_rows] = set(notification.logs.values_list("priority", flat=True))
    stored = Notification.objects.get(pk=notification.pk).priority
    assert of_rows == stored == notification.priority
    return stored


WAYS: dict[str, Callable[[int], Any]] = {
    "list": people,
    "tuple": lambda count: tuple(people(count)),
    "set": lambda count: set(people(count)),
    "dict's keys": lambda count: dict.fromkeys(people(count)).keys(),
    "generator": lambda count: (one for one in people(count)),
    "map": lambda count: map(str, people(count)),
    "bindings": lambda count: OpenIDBinding.objects.filter(pk__in=_bound(count)),
    "users": lambda count: get_user_model().objects.filter(wechat_bindings__in=_bound(count)),
    "users in an order": lambda count: (
        get_user_model().objects.filter(wechat_bindings__in=_bound(count)).order_by("-username")
    ),
    "distinct users": lambda count: (
        get_user_model().objects.filter(wechat_bindings__in=_bound(count)).distinct()
    ),
    "a slice of bindings": lambda count: OpenIDBinding.objects.filter(pk__in=_bound(150)).order_by(
        "pk"
    )[:count],
    "values": lambda count: OpenIDBinding.objects.filter(pk__in=_bound(count)).values_list(
        "openid", flat=True
    ),
    "evaluated bindings": lambda count: _evaluated(
        OpenIDBinding.objects.filter(pk__in=_bound(count))
    ),
    "iterator() of bindings": lambda count: OpenIDBinding.objects.filter(
        pk__in=_bound(count)
    ).iterator(),
}


def _bound(count: int) -> list[int]:
    return [binding.pk for binding in make_bindings(count)]


def _evaluated(rows: Any) -> Any:
    len(rows)
    return rows


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("count", "expected"), [(100, NORMAL), (101, BULK)])
def test_more_than_a_hundred_recipients_are_many(
    template: MessageTemplate, way: Callable[[int], Any], count: int, expected: int
) -> None:
    """Whatever they are given as, and each of them still gets a row."""
    notification = notify(way(count), template, ORDER)
    assert kept(notification) == expected
    assert notification.total == count


@pytest.mark.parametrize("one", [openid(1), make_binding, lambda: make_binding().user])
def test_one_recipient_is_not_many(template: MessageTemplate, one: Any) -> None:
    """A bare openid, binding or user; no query is spent on it."""
    assert kept(notify(one() if callable(one) else one, template, ORDER)) == NORMAL


def test_what_is_wrong_after_the_first_hundred_is_still_misuse(
    template: MessageTemplate,
) -> None:
    """Of a generator whose first 101 were looked at before: it is raised, nothing is written."""
    read = 0

    def stream() -> Iterator[Any]:
        nonlocal read
        for number in range(150):
            read += 1
            yield openid(number)
        yield 17

    with pytest.raises(InvalidData, match="17"):
        notify(stream(), template, ORDER)
    assert read == 150
    assert not SendLog.objects.exists()


def test_a_queryset_is_not_counted(template: MessageTemplate) -> None:
    """One query more, with LIMIT 101 and no COUNT; none where the priority is given."""
    make_bindings(120)
    users = get_user_model().objects.order_by("username")
    with CaptureQueriesContext(connection) as default:
        notify(users, template, ORDER)
    with CaptureQueriesContext(connection) as given:
        notify(users, template, ORDER, priority=BULK)
    assert len(default) == len(given) + 1
    assert not any("COUNT(" in query["sql"] for query in default)
    [looked] = [query["sql"] for query in default if "LIMIT 101" in query["sql"]]
    assert "ORDER BY" not in looked


@pytest.mark.parametrize("priority", [*Notification.Priority, 10, 20, 30])
@pytest.mark.parametrize("way", ["list", "bindings"])
def test_what_is_asked_for_counts(template: MessageTemplate, priority: int, way: str) -> None:
    """Whatever the number; the database's own INSERT … SELECT writes it too."""
    assert kept(notify(WAYS[way](3), template, ORDER, priority=priority)) == priority
    assert kept(notify(WAYS["list"](101), template, ORDER, priority=priority)) == priority


def test_skipped_rows_have_it_too(template: MessageTemplate) -> None:
    """A resend finds it there."""
    assert kept(notify(make_binding(subscribed=False), template, ORDER, priority=URGENT)) == URGENT


@pytest.mark.parametrize("wrong", [0, 1, 15, 40, -1, True, 10.0, "urgent", "10", [10], object()])
def test_another_priority_is_misuse(template: MessageTemplate, wrong: Any) -> None:
    """Told together with whatever else is wrong, and nothing is written."""
    with pytest.raises(InvalidData) as told:
        notify([openid(1)], template, {}, priority=wrong, url=7)  # type: ignore[arg-type]
    assert {problem.field for problem in told.value.problems} >= {"priority", "url", "thing2"}
    assert "Notification.Priority.URGENT" in str(told.value)
    assert not Notification.objects.exists()


def test_from_async_code(template: MessageTemplate) -> None:
    """anotify() takes it, and counts as notify() does."""
    assert kept(async_to_sync(_notify_in_a_loop)(101)) == BULK
    assert kept(async_to_sync(_notify_in_a_loop)(1, priority=URGENT)) == URGENT


async def _notify_in_a_loop(count: int, **options: Any) -> Notification:
    return await anotify(people(count), "order_paid", ORDER, **options)


def test_by_a_signal(template: MessageTemplate) -> None:
    """Code that must not import the app gives the number."""
    wanted = {"users": openid(1), "template": "order_paid", "data": ORDER}
    notify_requested.send(None, **wanted, priority=10)
    assert Notification.objects.get().priority == URGENT


# -- resends ----------------------------------------------------------------------------------


def ended(count: int, priority: int | None = None) -> Notification:
    notification = notify(people(count), "order_paid", ORDER, priority=priority)
    notification.logs.update(status=SendLog.Status.FAILED, due_at=None)
    return notification


def test_a_resend_goes_by_the_number_of_those_chosen(template: MessageTemplate) -> None:
    """Three of a crowd are a few; rows of several notifications are counted together."""
    crowd, few = ended(150), ended(3)
    assert {log.priority for log in resend(crowd.logs.order_by("pk")[:3])} == {NORMAL}
    assert {log.priority for log in resend(list(crowd.logs.all()[:101]))} == {BULK}
    both = SendLog.objects.filter(notification__in=[crowd, few])
    assert {log.priority for log in resend(both)} == {BULK}


def test_what_was_urgent_is_resent_as_such(template: MessageTemplate) -> None:
    """However many: somebody said so. That it was bulk says nothing of those chosen."""
    assert {log.priority for log in resend(ended(101, URGENT).logs.all())} == {URGENT}
    assert {log.priority for log in resend(ended(2, BULK).logs.all())} == {NORMAL}


# -- the admin --------------------------------------------------------------------------------


@pytest.fixture
def compose_site(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def whole(compose_site: None) -> MessageTemplate:
    return make_template(content=CONTENT)


@pytest.mark.parametrize(
    ("chosen", "count", "expected", "shown"),
    [
        ("", 1, NORMAL, "normal"),
        ("", 101, BULK, "bulk"),
        (URGENT, 1, URGENT, "urgent"),
        (BULK, 1, BULK, "bulk"),
        (NORMAL, 101, NORMAL, "normal"),
    ],
)
def test_the_compose_page_offers_it_and_the_review_says_it(
    whole: MessageTemplate, chosen: Any, count: int, expected: int, shown: str
) -> None:
    """Left alone, it goes by the number of recipients."""
    users = [person(f"user{number}", number) for number in range(1, count + 1)]
    form = filled(whole, *users, priority=str(chosen))
    client = composer()
    assert f"Priority: {shown}" in text(review(client, form))
    send(client, form)
    assert Notification.objects.get().priority == expected


def test_a_form_of_before_and_a_wrong_choice(whole: MessageTemplate) -> None:
    """Without the input it is the default; anything else than a choice is an error."""
    form = filled(whole, person("alice", 1))
    assert "Priority: normal" in text(review(composer(), form))
    response = review(composer(name="other"), {**form, "priority": "15"})
    assert "priority" in response.context["form"].errors

"""Finding a notification again: by what a person remembers of it."""

from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import browser, page, text
from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user
from wechat_notify.models import MessageTemplate, Notification
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


@pytest.fixture
def trip(template: MessageTemplate) -> Notification:
    """The one that is looked for, among others."""
    people = make_bindings(2)
    other = make_template("lesson_moved", title="课程变更通知")
    notify(people, other, {**ORDER, "thing2": "数学"}, title="周一停课")
    made = notify(
        people,
        template,
        {"character_string1": "A-77", "thing2": "秋游报名 Zoo"},
        title="三年级秋游",
        key="trip-2026",
    )
    notify(people, template, lambda user: {**ORDER, "thing2": f"密语 {user.username}"})
    return made


def found(term: str) -> list[int]:
    """The numbers of the notifications that the list shows, in its order."""
    response = browser("view_notification").get(page("notification"), {"q": term})
    return [row.pk for row in response.context["cl"].result_list]


@pytest.mark.parametrize(
    "term",
    [
        "三年级秋游",
        "秋游",
        "报名",
        "zoo",
        "ZOO",
        "a-77",
        "秋游 zoo",
        "zoo 三年级",
        "trip-2026",
    ],
)
def test_it_is_found_by_title_and_content(trip: Notification, term: str) -> None:
    """A part of the title, of a shared value, in any case and order; or the whole key."""
    assert found(term) == [trip.pk]


@pytest.mark.parametrize(
    "term", ["密语", "user1", "trip-20", "春游", "秋游 数学", "%", "A_77", "\\"]
)
def test_what_does_not_find_it(trip: Notification, term: str) -> None:
    """A row's own data, part of a key, another word, words of two notifications, wildcards."""
    assert found(term) == []


def test_it_is_found_by_its_template(trip: Notification) -> None:
    """By the template's title or name, together with other words."""
    assert len(found("订单支付")) == 2
    assert len(found("order_paid")) == 2
    assert found("订单支付 zoo") == [trip.pk]


def test_it_is_found_by_its_number(trip: Notification) -> None:
    """With "#" that one alone; without, it comes first, before what has the number in its text."""
    newer = notify(make_binding(number=9), trip.template, ORDER, title=f"第 {trip.pk} 周")
    assert found(f"#{trip.pk}") == [trip.pk]
    assert found(str(trip.pk))[0] == trip.pk
    assert newer.pk in found(str(trip.pk))
    assert found("#999999999") == []
    assert found("9" * 40) == []


def test_rows_of_other_accounts_stay_hidden(trip: Notification, settings: Any) -> None:
    """The search narrows what the list shows; it does not widen it."""
    MessageTemplate.objects.filter(pk=trip.template_id).update(account="other")
    response = browser("view_notification").get(
        page("notification"), {"q": f"#{trip.pk}", "account": "default"}
    )
    assert response.context["cl"].result_count == 0


def test_a_search_costs_a_fixed_number_of_queries(
    trip: Notification, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    """However many words it has, and however many notifications there are."""
    people = make_bindings(1, first=5)
    for number in range(30):
        notify(people, trip.template, ORDER, title=f"秋游 {number}")
    client = browser("view_notification")
    with django_assert_max_num_queries(9):
        client.get(page("notification"), {"q": "秋游 围巾 20261"})


def test_the_list_tells_notifications_apart(trip: Notification) -> None:
    """Title and number, the first fields by their labels, and to how many."""
    shown = text(browser("view_notification").get(page("notification")))
    assert f"三年级秋游 #{trip.pk}</a>" in shown
    assert "<small>订单编号</small> A-77" in shown
    assert "<small>商品名称</small> 秋游报名 Zoo" in shown
    assert "differs for each recipient" in shown
    assert shown.count("<div>2 recipients</div>") == 3


def test_the_list_says_when_and_by_whom(trip: Notification) -> None:
    """The person by name; what code has sent was made by nobody."""
    wang = make_user("wang", last_name="王", first_name="小明")
    Notification.objects.filter(pk=trip.pk).update(created_by=wang)
    shown = text(browser("view_notification").get(page("notification")))
    assert shown.count('<div class="wechat-listed">王小明 (wang)</div>') == 1
    assert shown.count('<div class="wechat-listed"></div>') == 2

"""To whom: everyone, groups, single people, pasted lists, and rows of other lists."""

from datetime import datetime, timezone
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.urls import reverse

from tests import factories
from tests.admin_pages import ACTION, browser, text
from tests.compose_pages import (
    CONTENT,
    address,
    composer,
    errors,
    filled,
    names,
    person,
    review,
    send,
)
from tests.compose_site import UsersAdmin
from tests.school.models import Leave
from wechat_notify.admin.compose.pasted import split
from wechat_notify.admin.parts.people import matching
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding

pytestmark = pytest.mark.django_db

STRANGER = "oStranger-0123456789abcdefgh"


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(content=CONTENT)


@pytest.fixture
def people() -> dict[str, Any]:
    """Parents and a teacher who have bound WeChat, one who has not, and one nobody may see."""
    made = [
        person("alice", 1, group="家长", last_name="王", first_name="芳"),
        person("bob", 2, group="家长", last_name="王", first_name="芳"),
        person("carol", 3, group="教师", last_name="陈", first_name="静"),
        person("dave", 0, group="家长", last_name="Smith", first_name="Dave"),
        person("gone", 5, subscribed=False),
        person("hidden1", 6, group="家长", last_name="秘", first_name="密"),
    ]
    return {user.username: user for user in made}


def sent_to(template: MessageTemplate, *users: Any, **chosen: Any) -> list[str]:
    response = send(composer(), filled(template, *users, **chosen))
    assert response.status_code == 302, errors(response)
    return names()


def test_everyone(template: MessageTemplate, people: Any) -> None:
    """All who have bound WeChat and follow, as far as this member of staff may see them."""
    shown = text(composer().get(address(), {"template": template.pk}))
    assert '<span class="wechat-number">3</span>' in shown
    assert sent_to(template, everyone="on") == ["alice", "bob", "carol"]


def test_groups(template: MessageTemplate, people: Any) -> None:
    """Their members, each once, with the number of those who may be seen beside the name."""
    shown = text(composer().get(address(), {"template": template.pk}))
    assert "家长 (3)" in shown
    group = people["alice"].groups.get()
    assert sent_to(template, people["alice"], groups=group.pk) == ["alice", "bob", "dave"]


def test_all_ways_add_up(template: MessageTemplate, people: Any) -> None:
    """Whoever is chosen in several ways gets one message."""
    chosen = {"groups": people["carol"].groups.get().pk, "pasted": f"bob {STRANGER}"}
    assert sent_to(template, people["bob"], **chosen) == ["bob", "carol", STRANGER]


@pytest.mark.parametrize(
    ("pasted", "expected"),
    [
        ("alice", ["alice"]),
        ("alice\r\nbob，carol、dave；alice\tbob;\n\n", ["alice", "bob", "carol", "dave"]),
        ("alice bob", ["alice", "bob"]),
        ("陈静", ["carol"]),
        ("Dave Smith, alice", ["alice", "dave"]),
        ("Dave Smith alice", None),
        (factories.openid(1), ["alice"]),
        (f"{factories.openid(1)}\nalice", ["alice"]),
        (f"{STRANGER} {factories.openid(2)}", ["bob", STRANGER]),
        (STRANGER, [STRANGER]),
        (factories.openid(5), None),
    ],
)
def test_pasted_lists(
    template: MessageTemplate, people: Any, pasted: str, expected: list[str] | None
) -> None:
    """User names, full names and openids, with whatever stands between them."""
    response = review(composer(), filled(template, pasted=pasted))
    if expected is None:
        assert "Send" not in text(response).partition("wechat-answers")[2]
        return
    send(composer(), filled(template, pasted=pasted))
    assert names() == sorted(expected)


@pytest.mark.skipif(
    connection.vendor == "mysql", reason="There a user name is the same in whatever case."
)
def test_pasted_names_that_differ_in_case_only(template: MessageTemplate, people: Any) -> None:
    """They are two people; one whom nobody is called is unknown, and not taken for another."""
    person("Alice", 9)
    assert sent_to(template, pasted="Alice, alice") == ["Alice", "alice"]
    response = review(composer(), filled(template, pasted="alice, ALICE"))
    assert errors(response)["pasted"] == "1 is not known: ALICE"


@pytest.mark.parametrize(
    ("pasted", "message"),
    [
        ("nobody", "1 is not known: nobody"),
        ("王芳", "1 name is that of several people: 王芳. Search for the right one."),
        ("hidden1", "1 is not known: hidden1"),
        ("秘密", "1 is not known: 秘密"),
        (factories.openid(6), f"1 is not known: {factories.openid(6)}"),
        ("alice " + "x" * 100, "1 is not known: " + "x" * 39 + "…"),
        ("\n".join(f"n{number}" for number in range(12)), "12 are not known: n0, n1,"),
        ("\n".join(f"n{number}" for number in range(5001)), "At most 5000 at once; these are 5001"),
    ],
)
def test_pasted_lists_with_somebody_unknown(
    template: MessageTemplate, people: Any, pasted: str, message: str
) -> None:
    """Who is not known, or could be two people, or may not be seen, is named; nobody gets it."""
    assert message in errors(review(composer(), filled(template, pasted=pasted)))["pasted"]
    assert not Notification.objects.exists()


def test_entries_of_a_pasted_list() -> None:
    """Each once, in order, without blanks around it."""
    assert split(" b ,a\n\nb；c d ") == ["b", "a", "c d"]


def test_people_who_may_not_be_seen(template: MessageTemplate, people: Any) -> None:
    """Not chosen by number, not found, and not among everyone."""
    response = review(composer(), filled(template, people["hidden1"]))
    assert "Select a valid choice" in errors(response)["users"]
    answer = composer().get(address("compose_users"), {"template": template.pk, "q": "hidden"})
    assert answer.json() == {"results": []}


# -- searching -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("ali", ["王芳 (alice)"]),
        ("王芳", ["王芳 (alice)", "王芳 (bob)"]),
        ("smith dave", ["Dave Smith (dave)"]),
        ("陈静", ["陈静 (carol)"]),
        (factories.openid(1), ["王芳 (alice)"]),
        ("", []),
        ("zzz", []),
    ],
)
def test_searching_people(
    template: MessageTemplate, people: Any, term: str, expected: list[str]
) -> None:
    """As the user admin searches, and by the full name or openid of who is bound."""
    answer = composer().get(address("compose_users"), {"template": template.pk, "q": term})
    assert sorted(person["name"] for person in answer.json()["results"]) == expected


@pytest.mark.parametrize(
    ("term", "expected"),
    [
        ("王老师", ["blank", "teacher"]),
        ("王 老师", ["blank", "teacher"]),
        ("老师王", ["blank", "teacher"]),
        ("老 王", ["blank", "teacher"]),
        ("Dave Smith", ["dave"]),
        ("smith  dave", ["dave"]),
        ("davesmith", ["dave"]),
        ("王 teacher", ["teacher"]),
        ("x@school.example", ["teacher"]),
        ("135 0000", ["phone"]),
        ("13500001111", ["phone"]),
        ("王 Smith", []),
    ],
)
def test_people_are_found_as_their_names_are_written(
    template: MessageTemplate, term: str, expected: list[str], monkeypatch: Any
) -> None:
    """In either order, with blanks and without, bound or not; or by what the site's own list of
    users searches, such as a phone number."""
    person("teacher", last_name="王", first_name="老师", email="x@school.example")
    person("blank", last_name="王 ", first_name="老师")
    person("dave", last_name="Smith", first_name="Dave")
    caller = person("phone", 1)
    moment = datetime(2026, 11, 23, tzinfo=timezone.utc)
    Leave.objects.create(person=caller, reason="tel 13500001111", start=moment)
    Leave.objects.create(person=caller, reason="135 0000", start=moment)
    monkeypatch.setattr(UsersAdmin, "search_fields", ("username", "leave__reason"))
    client = composer("view_sendlog", "view_openidbinding")
    answer = client.get(address("compose_users"), {"template": template.pk, "q": term})
    found = {entry["id"] for entry in answer.json()["results"]}
    assert (
        sorted(user.username for user in get_user_model().objects.filter(pk__in=found)) == expected
    )
    bindings = client.get(reverse("admin:wechat_notify_openidbinding_changelist"), {"q": term})
    assert bindings.context["cl"].result_count == ("phone" in expected)


def test_a_site_whose_list_of_users_searches_nothing(
    template: MessageTemplate, monkeypatch: Any
) -> None:
    """Names are found all the same; a term of nothing but blanks finds nobody."""
    person("teacher", 1, last_name="王", first_name="老师")
    monkeypatch.setattr(UsersAdmin, "search_fields", ())
    client = composer()
    answer = client.get(address("compose_users"), {"template": template.pk, "q": "王老师"})
    assert [found["name"] for found in answer.json()["results"]] == ["王老师 (teacher)"]
    assert not matching(get_user_model().objects.all(), " \u3000").exists()


def test_a_phone_number_is_not_told_to_who_may_not_see_users(
    template: MessageTemplate, monkeypatch: Any
) -> None:
    """The lists of the app then search no more than what they show."""
    caller = person("phone", 1)
    moment = datetime(2026, 11, 23, tzinfo=timezone.utc)
    Leave.objects.create(person=caller, reason="tel 13500001111", start=moment)
    monkeypatch.setattr(UsersAdmin, "search_fields", ("leave__reason",))
    client = browser("view_openidbinding")
    where = reverse("admin:wechat_notify_openidbinding_changelist")
    assert client.get(where, {"q": "13500001111"}).context["cl"].result_count == 0
    assert client.get(where, {"q": "phone"}).context["cl"].result_count == 1


def test_what_is_said_of_people_found(template: MessageTemplate, people: Any) -> None:
    """Whom nothing reaches is marked before somebody chooses them."""
    client = composer()
    found = {
        entry["name"]: entry["note"]
        for term in ("alice", "dave", "gone")
        for entry in client.get(
            address("compose_users"), {"template": template.pk, "q": term}
        ).json()["results"]
    }
    assert found == {
        "王芳 (alice)": "",
        "Dave Smith (dave)": "has not bound WeChat",
        "gone": "does not follow the account",
    }


def test_searching_without_a_script(template: MessageTemplate, people: Any) -> None:
    """The button shows people to tick, and nothing typed is lost."""
    form = filled(template, people["carol"], user_search="ali")
    shown = text(composer().post(address(), {**form, "_search": "1"}))
    assert f'name="users" value="{people["carol"].pk}" checked>' in shown
    assert f'name="users" value="{people["alice"].pk}">' in shown
    assert 'value="围巾"' in shown
    assert "errornote" not in shown
    none = composer().post(address(), {**form, "user_search": "zzz", "_search": "1"})
    assert "Nobody was found." in text(none)


def test_a_site_without_users_in_its_admin(
    template: MessageTemplate, people: Any, settings: Any
) -> None:
    """The permission to see users decides, and people are found by user name."""
    from tests import compose_site

    compose_site.site.unregister(get_user_model())
    try:
        answer = composer().get(address("compose_users"), {"template": template.pk, "q": "hid"})
        assert [entry["name"] for entry in answer.json()["results"]] == ["秘密 (hidden1)"]
        assert sent_to(template, people["hidden1"]) == ["hidden1"]
    finally:
        compose_site.site.register(get_user_model(), compose_site.UsersAdmin)


# -- from another list ---------------------------------------------------------------------------


def users_list() -> str:
    return reverse("admin:auth_user_changelist")


def leave_list() -> str:
    return reverse("admin:school_leave_changelist")


def act(client: Any, url: str, *rows: Any, across: bool = False) -> dict[str, Any]:
    """What the page that the action leads to carries on."""
    form = {
        "action": "send_wechat_message",
        ACTION: [row.pk for row in rows],
        "select_across": "1" if across else "0",
    }
    response = client.post(url, form)
    assert "wechat-tiles" in text(response)
    found: dict[str, Any] = {}
    for name, value in response.context["hidden"]:
        found.setdefault(name, []).append(value)
    return found


def test_from_the_list_of_users(template: MessageTemplate, people: Any) -> None:
    """The ticked people are chosen one by one, so each can still be taken off."""
    carried = act(composer(), users_list(), people["alice"], people["carol"])
    assert sorted(carried) == ["users"]
    filled_in = text(composer().post(address(), {**carried, "template": template.pk}))
    assert filled_in.count('name="users" value=') == 2 + 1  # and the pattern for new ones
    assert sent_to(template, **carried) == ["alice", "carol"]


def test_all_that_a_filter_leaves(template: MessageTemplate, people: Any) -> None:
    """Every row of all pages, as the filter says on the day it is sent."""
    for number in range(20, 40):
        person(f"parent{number}", number, group="家长")
    group = people["alice"].groups.get()
    url = f"{users_list()}?groups__id__exact={group.pk}&o=-1"
    carried = act(composer(), url, people["alice"], across=True)
    assert carried["list_label"] == ["auth.user"]
    shown = text(composer().post(address(), {**carried, "template": template.pk}))
    assert "All of a list: users" in shown
    assert '<span class="wechat-number">23</span>' in shown
    person("late", 50, group="家长")
    assert len(sent_to(template, **carried)) == 24
    assert "hidden1" not in names()


def test_searching_the_list_first(template: MessageTemplate, people: Any) -> None:
    """What was searched for is part of the filter."""
    carried = act(composer(), f"{users_list()}?q=alice", people["alice"], across=True)
    assert sent_to(template, **carried) == ["alice"]


@pytest.fixture
def leaves(people: Any) -> list[Leave]:
    start = datetime(2026, 11, 23, tzinfo=timezone.utc)
    return [
        Leave.objects.create(person=people[name], reason=reason, start=start)
        for name, reason in (("alice", "病假"), ("bob", "事假"), ("bob", "婚假"), ("carol", "事假"))
    ]


def leave_composer() -> Any:
    from django.contrib.auth.models import Permission

    client = composer()
    user = get_user_model().objects.get(username="clerk")
    user.user_permissions.add(Permission.objects.get(codename="view_leave"))
    return client


def test_from_a_list_whose_rows_lead_to_users(
    template: MessageTemplate, leaves: list[Leave]
) -> None:
    """Each person once, however many of their rows are ticked."""
    client = leave_composer()
    carried = act(client, leave_list(), *leaves[:3])
    assert sorted(carried) == ["list_ids", "list_label"]
    shown = text(client.post(address(), {**carried, "template": template.pk}))
    assert "Chosen on a list: leaves" in shown
    send(client, filled(template, **carried))
    assert names() == ["alice", "bob"]


def test_all_rows_that_lead_to_users(template: MessageTemplate, leaves: list[Leave]) -> None:
    """The filter of that list decides, and people nobody may see stay out."""
    client = leave_composer()
    carried = act(client, f"{leave_list()}?q=事假", leaves[0], across=True)
    send(client, filled(template, **carried))
    assert names() == ["bob", "carol"]


@pytest.mark.parametrize(
    "given",
    [
        {"list_label": "school.leave"},  # no permission to see it
        {"list_label": "auth.group"},  # not a list of users
        {"list_label": "auth.nothing"},
        {"list_label": "nonsense"},
        {"list_label": "auth.user", "list_query": "nothing__exact=1"},
        {"list_label": "auth.user", "list_ids": "x,y"},
        {"list_label": "auth.user", "list_query": "groups__id__exact=x"},
        {"list_label": "auth.user", "list_query": "q=a%00"},
        {"list_label": "auth.user", "list_query": "username=a%00"},
        # Nobody finds out a password letter by letter from here either.
        {"list_label": "auth.user", "list_query": "password__startswith=p"},
        {"list_label": "auth.user", "list_query": "_to_field=password"},
    ],
    ids=str,
)
def test_a_list_that_cannot_be_read(
    template: MessageTemplate, people: Any, given: dict[str, str]
) -> None:
    """Nothing is sent to anybody, and the page says why."""
    response = review(composer(), filled(template, **given))
    assert errors(response) == {"list_label": "The list that people were chosen on cannot be read."}
    assert "?</span>" in text(response)
    assert not Notification.objects.exists()


@pytest.mark.parametrize("page", ["p=7", "all=", "e=1"])
def test_the_page_of_a_list_is_not_kept(template: MessageTemplate, people: Any, page: str) -> None:
    """What was chosen on its last page is still read, whole, when it has fewer pages."""
    for number in range(20, 40):
        person(f"parent{number}", number)
    carried = {"list_label": "auth.user", "list_query": f"q=parent&{page}"}
    assert len(sent_to(template, **carried)) == 20


def test_a_list_that_is_taken_off_again(template: MessageTemplate, people: Any) -> None:
    """Without its tick the list no longer counts."""
    form = filled(template, people["alice"], list_query="", list_ids=str(people["bob"].pk))
    send(composer(), form)
    assert names() == ["alice"]


def test_a_list_that_leads_nowhere(people: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever set it up wrongly is told what to set."""
    from tests import compose_site

    leave_admin = compose_site.site.get_model_admin(Leave)
    monkeypatch.setattr(leave_admin, "wechat_user_field", "teacher")
    with pytest.raises(ImproperlyConfigured, match="wechat_user_field"):
        leave_admin.get_wechat_users(None, Leave.objects.all())


def test_bindings_of_other_accounts_do_not_count(template: MessageTemplate, people: Any) -> None:
    """Everyone is everyone on the template's account."""
    OpenIDBinding.objects.filter(user=people["alice"]).update(account="other")
    assert sent_to(template, everyone="on") == ["bob", "carol"]

"""Bindings in the admin: who can be reached, added and deleted through the services."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection

from tests.admin_pages import browser, page, text
from tests.factories import ORDER, make_binding, make_bindings, make_user, openid
from wechat_notify.models import BindingChange, MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

LIST = "/admin/wechat_notify/openidbinding/"
EDIT = ("view_openidbinding", "add_openidbinding", "change_openidbinding", "delete_openidbinding")


def changes() -> list[tuple[str, str]]:
    """What the services wrote down about bindings."""
    return list(BindingChange.objects.order_by("pk").values_list("openid", "change"))


def form(**values: Any) -> dict[str, Any]:
    return {"account": "default", "openid": openid(1), "subscribed": "on", **values}


def test_the_list_says_who_can_be_reached_and_why_not() -> None:
    """Following or not, the reason where a send found out, and the way to the messages."""
    binding = make_binding(subscribed=False, unreachable_errcode=43004)
    shown = text(browser("view_openidbinding").get(LIST))
    assert "The person does not follow the account. (errcode 43004)" in shown
    assert f"{page('sendlog')}?binding={binding.pk}" in shown


@pytest.mark.parametrize("address", ["list", "detail"])
def test_openids_and_unionids_are_masked(address: str) -> None:
    """Without view_openid neither is shown whole, not even to those who may change bindings."""
    binding = make_binding(unionid="oUnion0000000000000000000001")
    url = LIST if address == "list" else page("openidbinding", "change", binding.pk)
    shown = text(browser(*EDIT).get(url))
    assert binding.openid not in shown
    assert binding.unionid not in shown
    assert "oTes…001" in shown
    trusted = text(browser(*EDIT, "view_openid").get(url))
    assert binding.openid in trusted


@pytest.mark.parametrize(
    ("query", "count"), [("user2", 1), (openid(2), 1), (openid(2)[:-1], 0), ("", 3)]
)
def test_search(query: str, count: int) -> None:
    """By a part of a name, by a whole openid, and never by a part of an openid."""
    make_bindings(3)
    response = browser("view_openidbinding").get(LIST, {"q": query})
    assert response.context["cl"].result_count == count


def test_a_binding_is_added_as_entered_by_hand() -> None:
    """It goes through the service, which writes down what happened."""
    user = make_user()
    browser(*EDIT).post(page("openidbinding", "add"), form(user=user.pk))
    binding = OpenIDBinding.objects.get()
    assert (binding.user, binding.openid, binding.source) == (user, openid(1), "manual")
    assert changes() == [(openid(1), "bound")]


def sees_users() -> Any:
    """A browser of somebody who may see users, too."""
    client = browser(*EDIT)
    user = get_user_model().objects.get(username="clerk")
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    return client


def test_the_person_is_found_by_typing() -> None:
    """By name in any order, page by page; the form shows names, and no key is asked for."""
    client = sees_users()
    teacher = make_user("teacher", last_name="王", first_name="老师")
    people = page("openidbinding", "people")
    shown = text(client.get(page("openidbinding", "add")))
    assert f'data-ajax--url="{people}"' in shown
    for term in ("王老师", "老师 王", "teach"):
        assert client.get(people, {"term": term}).json() == {
            "results": [{"id": str(teacher.pk), "text": "王老师 (teacher)"}],
            "pagination": {"more": False},
        }
    bad = form(user=teacher.pk, openid="not an openid")
    assert "王老师 (teacher)</option>" in text(client.post(page("openidbinding", "add"), bad))
    client.post(page("openidbinding", "add"), form(user=teacher.pk))
    assert OpenIDBinding.objects.get().user == teacher


def test_many_people_come_page_by_page() -> None:
    """Twenty at a time; whatever the page's number is, nothing breaks."""
    client, people = sees_users(), page("openidbinding", "people")
    make_bindings(25)
    pages = [client.get(people, {"term": "user", "page": number}).json() for number in (1, 2)]
    assert [len(one["results"]) for one in pages] == [20, 5]
    assert [one["pagination"]["more"] for one in pages] == [True, False]
    for number in ("0", "-1", "x", "9" * 15):
        assert client.get(people, {"page": number}).status_code == 200


@pytest.mark.parametrize("codenames", [("view_openidbinding",), EDIT])
def test_people_are_not_told_to_who_may_not_see_them(codenames: tuple[str, ...]) -> None:
    """Neither to somebody who may add bindings only, who gives a user's key, nor to others."""
    client = browser(*codenames)
    assert client.get(page("openidbinding", "people"), {"term": "a"}).status_code == 403
    if codenames == EDIT:
        shown = text(client.get(page("openidbinding", "add")))
        assert "vForeignKeyRawIdAdminField" in shown
        assert "data-ajax--url" not in shown


@pytest.mark.parametrize(
    "values",
    [
        {"openid": "not an openid"},
        {"openid": openid(9)},
        {"account": "nowhere"},
        {"unionid": "oAB 123"},
    ],
)
def test_a_wrong_binding_is_refused_by_the_form(values: dict[str, str]) -> None:
    """No openid, somebody else's openid, an account that is not configured, no unionid."""
    make_binding(number=9)
    response = browser(*EDIT).post(
        page("openidbinding", "add"), form(user=make_user().pk, **values)
    )
    assert response.context["errors"]
    assert OpenIDBinding.objects.count() == 1


def test_a_unionid_is_kept() -> None:
    """One that looks like one; it may be left out."""
    unionid = "oUnion0000000000000000000001"
    address = page("openidbinding", "add")
    browser(*EDIT).post(address, form(user=make_user().pk, unionid=unionid))
    browser(*EDIT).post(address, form(user=make_user("bob").pk, openid=openid(2), unionid=""))
    bound = OpenIDBinding.objects.order_by("openid").values_list("unionid", flat=True)
    assert list(bound) == [unionid, ""]


@pytest.mark.urls("tests.compose_site")
def test_who_is_hidden_is_not_bound() -> None:
    """The site's own list of users hides somebody: a key in a POST does not bind them."""
    client, address = sees_users(), page("openidbinding", "add")
    refused = client.post(address, form(user=make_user("hidden").pk))
    assert "Select a valid choice" in text(refused)
    assert not OpenIDBinding.objects.exists()
    client.post(address, form(user=make_user("seen").pk))
    assert OpenIDBinding.objects.get().user.username == "seen"


def test_an_openid_that_is_taken_while_the_form_is_saved() -> None:
    """Another user gets it after the form was checked: it says so, and keeps what was filled in."""
    client, user, taken = browser(*EDIT), make_user(), []

    def take(execute: Any, sql: str, *args: Any) -> Any:
        result = execute(sql, *args)
        if not taken and sql.startswith("SELECT") and "openidbinding" in sql:
            taken.append(sql)
            make_binding(number=1)
        return result

    with connection.execute_wrapper(take):
        answer = client.post(page("openidbinding", "add"), form(user=user.pk))
    assert taken
    shown = text(answer)
    assert "This WeChat belongs to another user of this site." in shown
    assert f'value="{openid(1)}"' in shown
    assert not OpenIDBinding.objects.filter(user=user).exists()


def test_a_binding_is_not_edited() -> None:
    """An openid is not moved to another user, and following is WeChat's to say."""
    binding = make_binding()
    address = page("openidbinding", "change", binding.pk)
    assert browser(*EDIT).post(address, form(user=make_user().pk)).status_code == 403


@pytest.mark.parametrize("way", ["page", "action"])
def test_deleting_keeps_the_log(template: MessageTemplate, way: str) -> None:
    """The binding goes, through the service, and the messages to it stay readable."""
    binding = make_binding()
    log = notify(binding, template, ORDER).logs.get()
    client = browser(*EDIT, "view_sendlog")
    if way == "page":
        client.post(page("openidbinding", "delete", binding.pk), {"post": "yes"})
    else:
        form = {"action": "delete_selected", "_selected_action": [binding.pk], "post": "yes"}
        client.post(LIST, form)
    assert not OpenIDBinding.objects.exists()
    assert SendLog.objects.get().openid == binding.openid
    assert changes() == [(binding.openid, "unbound")]
    assert client.get(page("sendlog", "change", log.pk)).status_code == 200

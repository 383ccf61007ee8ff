"""Bindings in the admin: who can be reached, added and deleted through the services."""

from typing import Any

import pytest

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


@pytest.mark.parametrize(
    "values", [{"openid": "not an openid"}, {"openid": openid(9)}, {"account": "nowhere"}]
)
def test_a_wrong_binding_is_refused_by_the_form(values: dict[str, str]) -> None:
    """No openid, somebody else's openid, an account that is not configured."""
    make_binding(number=9)
    response = browser(*EDIT).post(
        page("openidbinding", "add"), form(user=make_user().pk, **values)
    )
    assert response.context["errors"]
    assert OpenIDBinding.objects.count() == 1


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

"""Bindings: asking WeChat again who follows, and finding those who cannot be reached."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.admin_pages import ACTION, browser, page, text, told
from tests.factories import make_binding, make_bindings, openid
from wechat_notify.models import OpenIDBinding
from wechat_notify.sandbox.server import Sandbox

pytestmark = pytest.mark.django_db

RECHECK = ("view_openidbinding", "change_openidbinding")


def form(**fields: Any) -> dict[str, Any]:
    chosen = list(OpenIDBinding.objects.values_list("pk", flat=True)[:100])
    return {"action": "recheck", ACTION: chosen, **fields}


def test_wechat_says_who_follows(wechat: Sandbox) -> None:
    """Whoever left is marked, whoever came back is not any more, and the log says who asked."""
    make_bindings(2)
    OpenIDBinding.objects.filter(openid=openid(2)).update(subscribed=False)
    wechat.follow(openid(2))
    wechat.unfollow(openid(1))
    client = browser(*RECHECK)
    assert "WeChat is asked about 2 people." in text(client.post(page("openidbinding"), form()))
    response = client.post(page("openidbinding"), form(post="yes"), follow=True)
    assert told(response) == "2 people were asked about: 1 follow again, 1 no longer follow."
    found = dict(OpenIDBinding.objects.values_list("openid", "subscribed"))
    assert found == {openid(1): False, openid(2): True}
    assert LogEntry.objects.get().object_repr == "default"


def test_a_filtered_list_is_rechecked_on_record(wechat: Sandbox) -> None:
    """The log names the account, though nobody is left whom the list's filter shows."""
    make_bindings(1)
    wechat.unfollow(openid(1))
    url = page("openidbinding") + "?reach=yes"
    response = browser(*RECHECK).post(url, form(post="yes"), follow=True)
    assert "1 no longer follow" in told(response)
    assert LogEntry.objects.get().object_repr == "default"


def test_nothing_is_asked_before_the_answer(wechat: Sandbox) -> None:
    """Choosing the action only shows the question."""
    make_bindings(2)
    browser(*RECHECK).post(page("openidbinding"), form())
    assert wechat.calls["/cgi-bin/user/info/batchget"] == 0


def test_too_many_are_left_to_the_command(wechat: Sandbox) -> None:
    """Twenty calls are what a person waits for; no answer gets past that."""
    make_bindings(2001)
    client = browser(*RECHECK)
    for answer in (form(select_across=1), form(select_across=1, post="yes")):
        assert "manage.py wechat_sync_followers" in text(client.post(page("openidbinding"), answer))
    assert wechat.calls["/cgi-bin/user/info/batchget"] == 0


def test_what_wechat_refuses_is_told(wechat: Sandbox) -> None:
    """An account that may not ask about people is no crash."""
    make_bindings(1)
    wechat.fail(48001, path="/cgi-bin/user/info/batchget")
    response = browser(*RECHECK).post(page("openidbinding"), form(post="yes"), follow=True)
    assert "48001" in told(response)


def test_the_action_needs_its_permission(wechat: Sandbox) -> None:
    """Staff that may only look is not offered it, and a forged POST of it does nothing."""
    make_bindings(1)
    client = browser("view_openidbinding")
    assert 'value="recheck"' not in text(client.get(page("openidbinding")))
    client.post(page("openidbinding"), form(post="yes"))
    assert wechat.calls["/cgi-bin/user/info/batchget"] == 0


@pytest.mark.parametrize(
    ("reach", "count"), [("", 3), ("yes", 1), ("no", 2), ("unfollowed", 1), ("refused", 1)]
)
def test_who_cannot_be_reached(reach: str, count: int) -> None:
    """By how it is known: they left, or a message found out."""
    make_binding(number=1)
    make_binding(number=2, subscribed=False)
    make_binding(number=3, subscribed=False, unreachable_errcode=40003)
    response = browser("view_openidbinding").get(page("openidbinding"), {"reach": reach})
    assert response.context["cl"].result_count == count

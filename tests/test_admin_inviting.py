"""Inviting people in the admin: who may, whom, and what it leaves behind."""

import re
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.http import HttpRequest
from django.test import Client
from django.urls import path, reverse

from tests import factories
from tests.admin_pages import ACTION, SEE, page, staff, text, told
from tests.compose_pages import CONTENT, composer, filled, review
from wechat_notify.admin.pages import inviting
from wechat_notify.admin.parts.remedies import MOST_CHOSEN
from wechat_notify.binding import drawing, invitations
from wechat_notify.models import (
    BindingRequest,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from wechat_notify.services import bind, notify

pytestmark = pytest.mark.django_db

INVITE = "add_openidbinding"
RESEND = ("resend_sendlog", "send_notification")
LINK = re.compile(r'wechat-invited__link">\s*([^<\s]+)\s*<')


def clerk(*codenames: str, users: bool = True, name: str = "clerk") -> Client:
    """A member of staff who may see all lists, and users too, with more permissions."""
    user = staff(*SEE, *codenames, name=name)
    if users:
        user.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alice() -> Any:
    return factories.make_user("alice", last_name="王", first_name="敏")


@pytest.fixture
def notification(template: Any, alice: Any) -> Notification:
    """Reaches one person; one has not bound, one does not follow, a third cannot sign in."""
    reached, gone = factories.make_bindings(2)
    OpenIDBinding.objects.filter(pk=gone.pk).update(subscribed=False)
    left = factories.make_user("left", is_active=False)
    return notify([reached.user, gone.user, left, alice], template, factories.ORDER)


def row_of(notification: Notification, name: str) -> SendLog:
    return notification.logs.get(user__username=name)


def ask_url(*users: Any, account: str = "default", notification: Any = None) -> str:
    address = page("openidbinding", "invite", account)
    if notification is not None:
        return f"{address}?notification={notification.pk}"
    return f"{address}?" + "&".join(f"user={user.pk}" for user in users)


def cards(client: Client, address: str) -> str:
    """The page of the cards, after the question was answered with yes."""
    return text(client.post(address, {"post": "yes"}, follow=True))


def invited(shown: str) -> list[str]:
    """Who is invited by the links on this page, in their order."""
    found = []
    for link in LINK.findall(shown):
        assert link.startswith("https://school.example/wechat/default/invited/")
        invitation = invitations.read("default", link.rstrip("/").rpartition("/")[2])
        assert invitation is not None
        assert invitation.is_open
        found.append(invitation.user.username)
    return found


# -- where it is offered


def places(notification: Notification) -> list[str]:
    """Every page where somebody stands who has not bound WeChat."""
    log = row_of(notification, "alice")
    return [
        page("notification", "change", notification.pk),
        page("notification", "progress", notification.pk),
        page("notification", "not_reached", notification.pk),
        page("sendlog", "change", log.pk),
        page("sendlog", "resend", log.pk),
    ]


def test_it_is_offered_wherever_the_cause_stands(notification: Notification) -> None:
    """To those who may invite; nobody else sees a button that would be refused."""
    may = clerk(INVITE, *RESEND)
    may_not = clerk(*RESEND, name="other")
    blind = clerk(INVITE, *RESEND, users=False, name="blind")
    prefix = page("openidbinding", "invite", "default")
    for address in places(notification):
        answer = may.get(address)
        shown = answer.json()["html"] if "progress" in address else text(answer)
        assert prefix in shown, address
        assert prefix not in may_not.get(address).content.decode(), address
        assert prefix not in blind.get(address).content.decode(), address


def test_the_review_offers_it(settings: Any, alice: Any) -> None:
    """Before anything is sent, beside those who will not get it."""
    settings.ROOT_URLCONF = "tests.compose_site"
    template = factories.make_template("review", content=CONTENT)
    form = filled(template, alice, factories.make_binding().user)
    prefix = f"{page('openidbinding', 'invite', 'default')}?user={alice.pk}"
    assert prefix not in text(review(composer(), form))
    assert prefix in text(review(composer(INVITE, "view_openidbinding"), form))


def test_a_message_that_arrived_offers_nothing(notification: Notification) -> None:
    """Nor does one that failed for another reason."""
    client = clerk(INVITE)
    log = row_of(notification, "user1")
    for changes in ({}, {"status": "failed", "errcode": 47003}):
        SendLog.objects.filter(pk=log.pk).update(**changes)
        assert "/invite/" not in text(client.get(page("sendlog", "change", log.pk)))


def test_who_was_found_not_to_follow_can_be_invited(notification: Notification) -> None:
    """WeChat's own errcode for it counts as the app's reason does."""
    log = row_of(notification, "user1")
    SendLog.objects.filter(pk=log.pk).update(status="failed", errcode=43004)
    shown = text(clerk(INVITE).get(page("sendlog", "change", log.pk)))
    assert f"?user={log.user_id}" in shown


def test_a_site_without_the_apps_pages_offers_nothing(
    notification: Notification, settings: Any
) -> None:
    """There is nowhere for an invitation to lead to."""
    urls: Any = ModuleType("admin_alone")
    urls.urlpatterns = [path("admin/", admin.site.urls)]
    settings.ROOT_URLCONF = urls
    client = clerk(INVITE)
    shown = text(client.get(page("notification", "change", notification.pk)))
    assert "/invite/" not in shown
    assert "/poster/" not in text(client.get(page("openidbinding")))
    assert client.get(page("openidbinding", "poster")).status_code == 404
    assert client.get(ask_url(notification=notification)).status_code == 404


# -- people by name


def test_one_person(alice: Any) -> None:
    """A question first; then the name, a link that is theirs, and a code."""
    client, address = clerk(INVITE), ask_url(alice)
    asked = text(client.get(address))
    assert "王敏" in asked
    assert "Make 1 invitation" in asked
    assert "/invited/" not in asked
    shown = cards(client, address)
    assert invited(shown) == ["alice"]
    assert "王敏" in shown
    assert 'aria-label="QR code for 王敏"' in shown
    assert "style=" not in shown.partition('class="wechat-paper"')[2].partition("</ul>")[0]


def test_everybody_whom_a_notification_did_not_reach(notification: Notification) -> None:
    """Neither whom it reached, nor whom no link would help; and by now reached is counted."""
    client, address = clerk(INVITE), ask_url(notification=notification)
    assert invited(cards(client, address)) == ["alice", "user2"]
    bind(get_user_model().objects.get(username="alice"), factories.openid(9))
    asked = text(client.get(address))
    assert "1 other can be reached by now" in asked
    assert invited(cards(client, address)) == ["user2"]


def test_nobody_left(alice: Any) -> None:
    """No button, and a POST makes nothing."""
    bind(alice, factories.openid(9))
    client = clerk(INVITE)
    for answer in (client.get(ask_url(alice)), client.post(ask_url(alice), {"post": "yes"})):
        assert "All of them have bound WeChat" in text(answer)
        assert "Make" not in text(answer)
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("query", ["user=x", "user=99999999999999999999", "user=%00", "", "user="])
def test_what_is_no_user_invites_nobody(query: str) -> None:
    """Nor does it crash."""
    client, address = clerk(INVITE), page("openidbinding", "invite", "default")
    for made in (query, query.replace("user", "notification")):
        assert "Nobody whom you may see" in text(client.get(f"{address}?{made}"))


def test_it_is_entered_in_the_log(notification: Notification, alice: Any) -> None:
    """Of the notification, or of each user; a GET enters nothing."""
    client = clerk(INVITE)
    client.get(ask_url(alice))
    client.post(ask_url(alice))
    assert not LogEntry.objects.exists()
    cards(client, ask_url(alice))
    cards(client, ask_url(notification=notification))
    entries = LogEntry.objects.order_by("pk")
    assert [(one.get_edited_object(), one.user.username) for one in entries] == [
        (alice, "clerk"),
        (notification, "clerk"),
    ]
    assert "Invited 2 people" in entries[1].get_change_message()


def test_the_page_of_the_cards_is_for_who_made_them(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be loaded again; another member of staff, another account or another day sees none."""
    client = clerk(INVITE)
    made = client.post(ask_url(alice), {"post": "yes"})["Location"]
    assert invited(text(client.get(made))) == ["alice"]
    assert LogEntry.objects.count() == 1
    changed = [
        (clerk(INVITE, name="other"), made),
        (client, made.replace("/default/", "/other/")),
        (client, made[:-2]),
        (client, made.partition("?")[0]),
    ]
    for browser, address in changed:
        assert browser.get(address)["Location"] == page("openidbinding")
    monkeypatch.setattr(inviting, "GOOD_FOR", -1)
    answer = client.get(made, follow=True)
    assert "Make them again" in told(answer)


def test_cards_are_paged(notification: Notification, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page has its own cards, and leads to the next."""
    monkeypatch.setattr(inviting, "CARDS", 1)
    client = clerk(INVITE)
    first = cards(client, ask_url(notification=notification))
    assert invited(first) == ["alice"]
    following = re.search(r'href="(\?made=[^"]*page=2)"', first)
    assert following is not None
    address = page("openidbinding", "invitations", "default")
    second = text(client.get(address + following[1].replace("&amp;", "&")))
    assert invited(second) == ["user2"]


def test_queries_do_not_grow_with_the_cards(
    template: Any, django_assert_max_num_queries: Any
) -> None:
    """A page of ninety people asks as often as one of three."""
    people = [factories.make_user(f"parent{number}") for number in range(90)]
    notification = notify(people, template, factories.ORDER)
    client = clerk(INVITE)
    made = client.post(ask_url(notification=notification), {"post": "yes"})["Location"]
    with django_assert_max_num_queries(16):
        shown = text(client.get(made))
    assert len(invited(shown)) == 90


def test_without_the_extra_the_link_stands_alone(
    alice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No code, but what to do with the link; the poster likewise."""
    monkeypatch.setattr(drawing, "segno", None)
    client = clerk(INVITE)
    for shown in (cards(client, ask_url(alice)), text(client.get(page("openidbinding", "poster")))):
        assert 'role="img"' not in shown.partition('class="wechat-paper"')[2]
        assert "Open this link in WeChat" in shown
        assert "https://school.example/wechat/default/" in shown


# -- who may


def test_it_takes_each_permission(alice: Any) -> None:
    """To add bindings, to see them, and to see users."""
    user = staff("view_openidbinding", INVITE)
    sees = Permission.objects.get(codename="view_user")
    user.user_permissions.add(sees)
    client = Client()
    client.force_login(user)
    made = client.post(ask_url(alice), {"post": "yes"})["Location"]
    for missing in ("view_openidbinding", INVITE, "view_user"):
        user.user_permissions.set(
            Permission.objects.filter(
                codename__in={"view_openidbinding", INVITE, "view_user"}
            ).exclude(codename=missing)
        )
        for answer in (
            client.get(ask_url(alice)),
            client.post(ask_url(alice), {"post": "yes"}),
            client.get(made),
        ):
            assert answer.status_code == 403, missing
    assert LogEntry.objects.count() == 1


def test_strangers_sign_in_first(alice: Any) -> None:
    """And nothing is made."""
    for send in (Client().get, Client().post):
        assert "/login/" in send(ask_url(alice), {"post": "yes"})["Location"]
    assert not LogEntry.objects.exists()


def test_it_takes_the_csrf_token(alice: Any) -> None:
    """A form on somebody else's site makes nothing."""
    client = clerk(INVITE)
    client.handler.enforce_csrf_checks = True
    assert client.post(ask_url(alice), {"post": "yes"}).status_code == 403
    assert not LogEntry.objects.exists()


def test_another_account_does_not_exist(
    alice: Any, notification: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its pages, nor what was made before the right was taken away."""
    client = clerk(INVITE)
    made = client.post(ask_url(alice), {"post": "yes"})["Location"]

    def allowed(request: HttpRequest, account: str) -> bool:
        return account == "other"

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)
    poster = page("openidbinding", "poster")
    for address in (ask_url(alice), ask_url(notification=notification), made):
        assert client.get(address).status_code == 404
        assert client.post(address, {"post": "yes"}).status_code in {403, 404, 405}
    assert client.get(f"{poster}?account=default").status_code == 404
    # A notification of an account that is not theirs names nobody, by way of one that is.
    elsewhere = ask_url(notification=notification).replace("/default/", "/other/")
    assert "Nobody whom you may see" in text(client.get(elsewhere))
    shown = text(client.get(poster))
    assert "/wechat/other/bind/" in shown
    assert "account=default" not in shown


def test_an_unknown_account_is_not_found(alice: Any) -> None:
    """Nor one that is not configured any more."""
    client = clerk(INVITE)
    assert client.get(ask_url(alice, account="nowhere")).status_code == 404
    assert client.get(f"{page('openidbinding', 'poster')}?account=nowhere").status_code == 404


def test_users_whom_they_may_not_see_are_not_invited(settings: Any) -> None:
    """What the admin of users hides is hidden here."""
    settings.ROOT_URLCONF = "tests.compose_site"
    hidden, seen = factories.make_user("hidden1"), factories.make_user("seen")
    assert invited(cards(clerk(INVITE), ask_url(hidden, seen))) == ["seen"]


def test_a_notifications_people_take_sight_of_the_send_log(notification: Notification) -> None:
    """Who was not reached is what the send log says."""
    user = staff("view_openidbinding", "view_notification", INVITE)
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = Client()
    client.force_login(user)
    asked = text(client.get(ask_url(notification=notification)))
    assert "Nobody whom you may see" in asked


def test_saved_recipients_are_invited(alice: Any, settings: Any) -> None:
    """Whom they mean now and who cannot be reached; for those who may see them."""
    follower = factories.make_binding().user
    criteria = {"users": [str(alice.pk), str(follower.pk)]}
    saved = RecipientFilter.objects.create(name="家长", account="default", criteria=criteria)
    client = clerk(INVITE)
    address = f"{page('openidbinding', 'invite', 'default')}?recipients={saved.pk}"
    assert address in text(client.get(page("recipientfilter", "change", saved.pk)))
    assert invited(cards(client, address)) == ["alice"]
    assert LogEntry.objects.get().get_edited_object() == saved
    assert "Nobody" in text(client.get(address.replace("/default/", "/other/")))
    user = get_user_model().objects.get(username="clerk")
    user.user_permissions.remove(Permission.objects.get(codename="view_recipientfilter"))
    assert "Nobody whom you may see" in text(client.get(address))


# -- the lists


def test_the_poster_is_for_everybody() -> None:
    """It names the account and leads to the page that asks people to sign in; nothing is made."""
    client = clerk(users=False)
    shown = text(client.get(page("openidbinding", "poster")))
    assert "https://school.example/wechat/default/bind/" in shown
    assert "/invited/" not in shown
    assert not BindingRequest.objects.exists()
    other = text(client.get(page("openidbinding", "poster"), {"account": "other"}))
    assert "https://school.example/wechat/other/bind/" in other


def test_the_list_of_bindings_leads_to_it() -> None:
    """Empty or not."""
    client, poster = clerk(), page("openidbinding", "poster")
    assert text(client.get(page("openidbinding"))).count(f'href="{poster}"') == 2
    factories.make_binding()
    assert f'href="{poster}"' in text(client.get(page("openidbinding")))


def test_chosen_bindings_are_invited_to_follow(notification: Notification) -> None:
    """The action leads to the question about their people."""
    binding = OpenIDBinding.objects.get(subscribed=False)
    client = clerk(INVITE)
    form = {"action": "invite", ACTION: [binding.pk]}
    answer = client.post(page("openidbinding"), form)
    assert answer["Location"] == ask_url(binding.user)
    assert 'value="invite"' not in text(clerk(name="other").get(page("openidbinding")))


def test_too_many_or_mixed_bindings_are_not(settings: Any) -> None:
    """An address holds so many people, of one account."""
    bindings = factories.make_bindings(MOST_CHOSEN + 1)
    client = clerk(INVITE)
    form = {"action": "invite", ACTION: [binding.pk for binding in bindings]}
    assert f"{MOST_CHOSEN} people at most" in told(
        client.post(page("openidbinding"), form, follow=True)
    )
    bindings[0].account = "other"
    bindings[0].save()
    form[ACTION] = form[ACTION][:2]
    assert "of one account" in told(client.post(page("openidbinding"), form, follow=True))


def test_the_dashboard_leads_to_the_poster(notification: Notification) -> None:
    """Beside the cause that it does away with."""
    shown = text(clerk().get(page("sendlog", "dashboard")))
    assert f'href="{reverse("admin:wechat_notify_openidbinding_poster")}"' in shown

"""Approving in the admin: who may, what they see, and what a POST can and cannot do."""

from collections.abc import Callable
from copy import copy
from datetime import timedelta
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone

from tests.admin_pages import RESEND, SEE, browser, page, resend_form, staff, text, told
from tests.compose_pages import (
    CONTENT,
    address,
    composer,
    filled,
    hidden_inputs,
    person,
    review,
    send,
)
from tests.factories import ORDER, make_bindings, make_template, make_user
from wechat_notify.admin.permissions import allowed_accounts
from wechat_notify.approving import fingerprint
from wechat_notify.backends.locmem import outbox
from wechat_notify.models import Approval, MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import cancel, notify, pause

pytestmark = pytest.mark.django_db

APPROVE = ("view_notification", "approve_notification")
EVERYTHING = (*SEE, "send_notification", "resend_sendlog", "approve_notification")


@pytest.fixture(autouse=True)
def limit(configure: Callable[..., None]) -> None:
    configure(APPROVAL_ABOVE=2)


@pytest.fixture
def asker() -> Any:
    return make_user("wang", is_staff=True, last_name="王", first_name="芳")


@pytest.fixture
def held(template: MessageTemplate, asker: Any) -> Notification:
    """Three messages that wait, and one person who does not follow."""
    bindings = make_bindings(4)
    OpenIDBinding.objects.filter(pk=bindings[3].pk).update(subscribed=False)
    bindings[3].refresh_from_db()
    return notify(
        bindings,
        template,
        ORDER,
        url="https://school.example/news/",
        created_by=asker,
        _source=Notification.Source.ADMIN,
    )


def snapshot() -> list[Any]:
    models: tuple[Any, ...] = (Notification, SendLog, Approval, LogEntry)
    return [list(model.objects.order_by("pk").values()) for model in models] + [list(outbox)]


def due(notification: Notification) -> int:
    return notification.logs.filter(status="pending", due_at__isnull=False).count()


def answer(client: Client, notification: Notification, verb: str = "approve", **more: Any) -> Any:
    form = {"post": "yes", "seen": fingerprint(notification), "reason": "no", **more}
    return client.post(page("notification", verb, notification.pk), form, follow=True)


# -- what is shown ----------------------------------------------------------------------------


def test_the_card_is_the_one_that_leaves(held: Notification) -> None:
    """The template was changed after it was asked for, or a stand-in takes over."""
    new = make_template("other", content="商品：{{thing2.DATA}}\n编号：{{character_string1.DATA}}")
    address, client = page("notification", "approve", held.pk), browser(*APPROVE)
    seen = fingerprint(held)
    assert "商品名称" in text(client.get(address))
    MessageTemplate.objects.filter(pk=held.template_id).update(
        stand_in=new, paused_at=timezone.now(), pause_errcode=43116
    )
    shown = text(client.get(address))
    assert ("商品名称" in shown, "编号" in shown) == (False, True)
    held.refresh_from_db()
    assert fingerprint(held) != seen


# -- who may ----------------------------------------------------------------------------------

ADDRESSES: list[tuple[str, Callable[[Notification], str]]] = [
    ("to approve", lambda held: page("notification", "to_approve")),
    ("menu", lambda held: page("approvalspage")),
    ("approve", lambda held: page("notification", "approve", held.pk)),
    ("refuse", lambda held: page("notification", "refuse", held.pk)),
]
addresses = pytest.mark.parametrize(
    "where", [one[1] for one in ADDRESSES], ids=[one[0] for one in ADDRESSES]
)
Address = Callable[[Notification], str]


def form(held: Notification) -> dict[str, str]:
    return {"post": "yes", "seen": fingerprint(held), "reason": "no"}


@addresses
def test_strangers_are_sent_to_the_login(held: Notification, where: Address) -> None:
    before = snapshot()
    for response in (Client().get(where(held)), Client().post(where(held), form(held))):
        assert response.status_code == 302
        assert "/login/" in response.url
    assert snapshot() == before


@addresses
@pytest.mark.parametrize("missing", APPROVE)
def test_each_permission_is_needed(held: Notification, where: Address, missing: str) -> None:
    """Whoever may send and resend may not approve for that; and approving takes seeing."""
    client = browser(*(name for name in EVERYTHING if name != missing))
    before = snapshot()
    assert client.get(where(held)).status_code == 403
    assert client.post(where(held), form(held)).status_code == 403
    assert snapshot() == before


@addresses
def test_who_may_approve_sees_the_pages_and_changes_nothing_by_looking(
    held: Notification, where: Address
) -> None:
    """A GET, and a POST that is no answer to the question, only show it."""
    client = browser(*APPROVE)
    before = snapshot()
    for response in (
        client.get(where(held), follow=True),
        client.get(where(held), {"post": "yes"}, follow=True),
        client.post(where(held), follow=True),
    ):
        assert response.status_code == 200
    assert snapshot() == before


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_a_forged_post_is_refused(held: Notification, verb: str) -> None:
    client = browser(*APPROVE)
    client.handler.enforce_csrf_checks = True
    before = snapshot()
    response = client.post(page("notification", verb, held.pk), form(held))
    assert response.status_code == 403
    assert snapshot() == before


@pytest.fixture
def only_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A site on which "li" may work with the account "other" alone."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return account == "other" or request.user.get_username() != "li"

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)


def test_each_persons_accounts_are_their_own(only_other: None, rf: RequestFactory) -> None:
    """Although the answer is kept with the request, of which a copy is made for somebody else."""
    request = rf.get("/")
    request.user = make_user("zhao")
    assert allowed_accounts(admin.site, request) == ["default", "other"]
    theirs = copy(request)
    theirs.user = make_user("li")
    assert allowed_accounts(admin.site, theirs) == ["other"]
    assert allowed_accounts(admin.site, request) == ["default", "other"]


@pytest.mark.parametrize("verb", ["approve", "refuse"])
def test_another_accounts_messages_do_not_exist(
    held: Notification, only_other: None, verb: str
) -> None:
    """For somebody who may approve, but not for this account. Nor is it on the list."""
    client = browser(*EVERYTHING, name="li")
    before = snapshot()
    url = page("notification", verb, held.pk)
    for response in (client.get(url), client.post(url, form(held))):
        assert response.status_code == 404
    assert held.shown_title not in text(client.get(page("notification", "to_approve")))
    assert snapshot() == before
    other = browser(*APPROVE, name="zhao")
    assert held.shown_title in text(other.get(page("notification", "to_approve")))


@pytest.mark.parametrize("verb", ["approve", "refuse"])
@pytest.mark.parametrize("is_superuser", [False, True])
def test_nobody_decides_on_their_own(
    held: Notification, asker: Any, verb: str, is_superuser: bool
) -> None:
    """No button, and a POST that nobody has offered does nothing."""
    staff(*EVERYTHING, name="wang")
    get_user_model().objects.filter(pk=asker.pk).update(is_superuser=is_superuser)
    client = Client()
    client.force_login(get_user_model().objects.get(pk=asker.pk))
    for where in (page("notification", "change", held.pk), page("notification", "to_approve")):
        assert page("notification", verb, held.pk) not in text(client.get(where))
    before = snapshot()
    client.get(page("notification", verb, held.pk))
    assert "You have asked for it yourself" in told(answer(client, held, verb))
    assert snapshot() == before


# -- what is seen and done --------------------------------------------------------------------


def test_the_approver_sees_what_was_seen(held: Notification) -> None:
    """Card, link, number, time, some of the people, and who is left out and why."""
    shown = text(browser(*APPROVE).get(page("notification", "approve", held.pk)))
    for words in (
        "<strong>3</strong> messages wait for your approval",
        "围巾",
        "https://school.example/news/",
        "Asked for by 王芳",
        "Sent as soon as it is approved",
        "user1",
        "1 person does not get it:",
        "user4",
        "Approve: send 3 messages",
    ):
        assert words in shown, words
    assert OpenIDBinding.objects.all()[0].openid not in shown


def test_the_approver_sees_what_else_holds_it(held: Notification) -> None:
    """Beside the approval, with the pages that end it for those who may."""
    url = page("notification", "approve", held.pk)
    assert "wechat-warnings" not in text(browser(*EVERYTHING).get(url))
    pause(held)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    Breaker("default").trip(45009, "reach max api daily quota limit")
    ways = (
        page("notification", "resume", held.pk),
        page("messagetemplate", "resume", held.template_id),
        page("sendlog", "try_again", "default"),
    )
    shown = text(browser(*EVERYTHING).get(url))
    reader = text(browser(*APPROVE, name="reader").get(url))
    for one in (shown, reader):
        assert "The notification is paused." in one
        assert "The template is paused" in one
        assert "Account default rests until" in one
        assert "it waits for a second person" not in one
    assert [way for way in ways if way not in shown] == []
    assert [way for way in ways if way in reader] == []


def test_approved_while_the_account_rests(held: Notification) -> None:
    """Nobody is told that it goes out; the page says why."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    response = answer(browser(*APPROVE), held)
    assert "It does not go out yet" in told(response)
    assert "go out." not in told(response)
    assert "Account default rests until" in text(response)
    assert due(held) == 3


def test_approved_it_goes_out(held: Notification, django_capture_on_commit_callbacks: Any) -> None:
    """Just these messages; the page says who asked, who approved and when."""
    client = browser(*EVERYTHING, name="li")
    listed = text(client.get(page("notification")))
    assert "Waiting for approval" in listed
    before = text(client.get(page("notification", "change", held.pk)))
    assert "it waits for a second person’s approval." in before
    assert "Asked for by 王芳 at" in before
    assert "Look at it and approve" in before
    with django_capture_on_commit_callbacks(execute=True):
        response = answer(client, held)
    assert "Approved: 3 messages go out." in told(response)
    assert len(outbox) == 3
    shown = text(client.get(page("notification", "change", held.pk)))
    assert "王芳 asked for approval" in shown
    assert "approved by li" in shown
    assert "Look at it and approve" not in shown
    log = held.logs.filter(status="sent")[0]
    line = text(client.get(page("sendlog", "change", log.pk)))
    assert "王芳 asked for approval" in line
    assert "approved by li" in line
    assert LogEntry.objects.get().user.get_username() == "li"


def test_approved_twice(held: Notification, django_capture_on_commit_callbacks: Any) -> None:
    """By the same answer again, and by somebody else: told who was first, nothing sent again."""
    with django_capture_on_commit_callbacks(execute=True):
        answer(browser(*APPROVE, name="li"), held)
        for name in ("li", "zhao"):
            response = answer(browser(*APPROVE, name=name), held)
            assert "li has approved it already" in told(response)
            looked = browser(*APPROVE, name=name).get(
                page("notification", "approve", held.pk), follow=True
            )
            assert "li has approved it already" in told(looked)
    assert len(outbox) == 3


def test_refused_with_the_reason(held: Notification, asker: Any) -> None:
    """A reason is needed, and whoever asked reads it."""
    client = browser(*APPROVE, name="li")
    assert "errorlist" in text(answer(client, held, "refuse", reason=" "))
    assert Approval.objects.get().is_open
    response = answer(client, held, "refuse", reason="The date is wrong.")
    assert "Refused: 3 messages were cancelled." in told(response)
    assert "refused by li: The date is wrong." in text(response)
    assert held.logs.filter(status="cancelled").count() == 3


@pytest.mark.parametrize("end", ["withdrawn", "expired"])
def test_what_is_over_cannot_be_approved(held: Notification, end: str) -> None:
    """Told in words, by looking and by answering."""
    if end == "withdrawn":
        cancel(held)
    else:
        Notification.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
        held.refresh_from_db()
    client = browser(*APPROVE)
    answered = answer(client, held)
    looked = client.get(page("notification", "approve", held.pk), follow=True)
    for response in (answered, looked):
        assert ("It was withdrawn" if end == "withdrawn" else "It expired before") in told(response)
    assert (due(held), outbox) == (0, [])


def test_what_was_called_off_by_other_code_is_not_offered(held: Notification) -> None:
    """Neither on the list nor by its address, although nobody has withdrawn the request."""
    held.logs.update(status="cancelled", due_at=None)
    Notification.objects.update(cancelled_at=timezone.now())
    client = browser(*APPROVE)
    assert "Nothing waits for approval." in text(client.get(page("notification", "to_approve")))
    looked = client.get(page("notification", "approve", held.pk), follow=True)
    assert "No message waits any more" in told(looked)


@pytest.mark.parametrize("seen", ["", "x", None])
def test_an_answer_without_what_was_seen_approves_nothing(
    held: Notification, seen: str | None
) -> None:
    more = {"post": "yes"} if seen is None else {"post": "yes", "seen": seen}
    response = browser(*APPROVE).post(page("notification", "approve", held.pk), more, follow=True)
    assert "It has changed since you looked at it" in told(response)
    assert due(held) == 0


def test_who_asked_can_call_it_off(held: Notification, asker: Any) -> None:
    client = browser(*SEE, "send_notification", name="wang")
    url = page("notification", "cancel", held.pk)
    assert url in text(client.get(page("notification", "change", held.pk)))
    client.post(url, {"post": "yes"})
    assert held.logs.filter(status="cancelled").count() == 3
    shown = text(client.get(page("notification", "change", held.pk)))
    assert "the request for approval was withdrawn" in shown


@pytest.mark.parametrize("verb", ["pause", "resume", "resend"])
def test_other_pages_free_nothing(held: Notification, verb: str) -> None:
    """Pausing and resuming by hand, and resending what waits."""
    client = browser(*EVERYTHING, name="wang")
    for name in dict.fromkeys(["pause", verb]) if verb == "resume" else [verb]:
        client.post(page("notification", name, held.pk), {"post": "yes"})
    client.post(page("sendlog"), resend_form(*held.logs.all(), post="yes"))
    assert due(held) == 0
    assert Notification.objects.filter(held_at=None, logs__status="pending").count() == 0


# -- asking -----------------------------------------------------------------------------------


@pytest.fixture
def order() -> MessageTemplate:
    return make_template("order", content=CONTENT)


def test_composing_says_so_before_and_after(order: MessageTemplate) -> None:
    """The button asks for approval; after that the page says who can approve."""
    people = [person(f"user{number}", number) for number in range(1, 4)]
    staff(*APPROVE, name="li")
    client = composer(*SEE)
    small = text(review(client, filled(order, *people[:2])))
    assert "second person" not in small
    asked = text(review(client, filled(order, *people)))
    assert "Above 2 recipients a second person approves it" in asked
    assert "Can approve it: li." in asked
    assert "Ask for approval of 3 messages" in asked
    assert "Send 3 messages now" not in asked
    response = send(client, filled(order, *people))
    after = client.get(response.url)
    assert "It waits for approval" in told(after)
    assert "Can approve it: li." in told(after)
    assert due(Notification.objects.get()) == 0


def test_composing_says_that_nobody_could_approve(order: MessageTemplate, only_other: None) -> None:
    """Not the one who asks, nor one of another account, nor one who cannot see the page."""
    people = [person(f"user{number}", number) for number in range(1, 4)]
    staff(*APPROVE, name="li")
    staff("approve_notification", name="zhao")
    client = composer(*SEE, "approve_notification")
    shown = text(review(client, filled(order, *people)))
    assert "At present nobody else can approve it" in shown


def test_a_test_to_oneself_needs_nobody(order: MessageTemplate) -> None:
    client = composer(*SEE)
    people = [person(f"user{number}", number) for number in range(1, 4)]
    OpenIDBinding.objects.filter(user=people[0]).update(
        user=get_user_model().objects.get(username="clerk")
    )
    form = filled(order, *people[1:])
    hidden = review(client, form)
    assert hidden.status_code == 200
    client.post(address(), {**hidden_inputs(hidden), "_test": "1"})
    assert due(Notification.objects.get()) == 1


def test_resending_says_so_before_and_after(template: MessageTemplate) -> None:
    """From the list of messages: held as a whole, however many notifications they are of."""
    first, second, third = make_bindings(3)
    for users in ([first, second], [third]):
        notify(users, template, ORDER)
    SendLog.objects.update(status="failed", due_at=None)
    staff(*APPROVE, name="li")
    client = browser(*SEE, *RESEND)
    logs = list(SendLog.objects.all())
    asked = text(client.post(page("sendlog"), resend_form(*logs)))
    assert "Above 2 recipients a second person approves it" in asked
    assert "Ask for approval of 3 messages" in asked
    token = asked.partition('name="once" value="')[2].partition('"')[0]
    response = client.post(page("sendlog"), resend_form(*logs, post="yes", once=token), follow=True)
    assert "3 messages wait for approval." in told(response)
    assert "Can approve it: li." in told(response)
    made = Notification.objects.filter(source="resend")
    assert [due(one) for one in made] == [0, 0]
    assert made.filter(held_at__isnull=False).count() == 2


# -- the list ---------------------------------------------------------------------------------


def test_the_list_of_what_is_to_be_approved(held: Notification) -> None:
    """With who asked and how many; empty when all is decided."""
    client = browser(*APPROVE, name="li")
    shown = text(client.get(page("notification", "to_approve")))
    for words in (str(held), "王芳", "3 messages", page("notification", "approve", held.pk)):
        assert words in shown
    answer(client, held)
    assert "Nothing waits for approval." in text(client.get(page("notification", "to_approve")))


def test_the_menu_leads_there(held: Notification, configure: Callable[..., None]) -> None:
    """For those who may approve, where the setting is on."""
    client = browser(*APPROVE)
    assert page("approvalspage") in text(client.get("/admin/"))
    response = client.get(page("approvalspage"), follow=True)
    assert response.redirect_chain == [(page("notification", "to_approve"), 302)]
    assert page("approvalspage") not in text(browser(*SEE, name="other").get("/admin/"))
    configure(APPROVAL_ABOVE=None)
    assert page("approvalspage") not in text(client.get("/admin/"))
    # What waits already can still be decided.
    assert "Approved" in told(answer(client, held))

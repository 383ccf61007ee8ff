"""Resending from the admin: what the question says, and what the answer does."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.utils import timezone

from tests.admin_pages import RESEND, SEE, browser, page, resend_form, text, told
from tests.factories import ORDER, make_binding, make_template, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import bind, notify

CHANGELIST = "/admin/wechat_notify/sendlog/"


def failed(template: MessageTemplate, *users: Any) -> list[SendLog]:
    """One failed message for each user; nothing was sent, with a commit or without."""
    locmem.results.add(47003, times=max(len(users), 1))
    notification = notify(users or [make_binding().user], template, ORDER)
    notification.logs.filter(status="pending").update(status="failed", errcode=47003, due_at=None)
    return list(notification.logs.order_by("pk"))


# -- the answer -------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_chosen_rows_are_resent_and_delivered() -> None:
    """New rows, linked by resend_of, made by the user who asked, and on their way at once."""
    logs = failed(make_template(), make_binding(number=1).user, make_binding(number=2).user)
    client = browser(*SEE, *RESEND)
    response = client.post(CHANGELIST, resend_form(logs[0], post="yes"), follow=True)
    again = SendLog.objects.get(resend_of=logs[0])
    assert again.status == "sent"
    assert [message.openid for message in locmem.outbox] == [logs[0].openid]
    assert again.notification.created_by is not None
    assert again.notification.created_by.username == "clerk"
    assert again.notification.source == Notification.Source.RESEND
    assert "1 message was resent (accepted by WeChat: 1)" in told(response)
    assert page("notification", "change", again.notification_id) in text(response)
    entry = LogEntry.objects.get()
    assert entry.object_id == str(again.notification_id)


@pytest.mark.django_db(transaction=True)
def test_one_row_is_resent_from_its_own_page() -> None:
    """The row's page has a button, it asks the same question, and the answer resends this row."""
    (log,) = failed(make_template())
    client = browser(*SEE, *RESEND)
    address = page("sendlog", "resend", log.pk)
    assert address in text(client.get(page("sendlog", "change", log.pk)))
    assert "1 message will be sent again." in text(client.get(address))
    response = client.post(address, {"post": "yes"})
    assert response.url == page("sendlog", "change", log.pk)
    assert SendLog.objects.get(resend_of=log).status == "sent"


@pytest.mark.django_db
def test_a_row_that_still_waits_has_no_button(template: MessageTemplate) -> None:
    """What has not been sent yet cannot be resent, and saying yes all the same does nothing."""
    log = notify(make_binding(), template, ORDER).logs.get()
    client = browser(*SEE, *RESEND)
    address = page("sendlog", "resend", log.pk)
    assert address not in text(client.get(page("sendlog", "change", log.pk)))
    assert "There is nothing to resend" in text(client.get(address))
    response = client.post(address, {"post": "yes"}, follow=True)
    assert told(response) == "There was nothing to resend."
    assert SendLog.objects.count() == 1


@pytest.mark.django_db
def test_all_filtered_rows_are_resent_across_pages(template: MessageTemplate) -> None:
    """Selecting all means the filter of the list, not only the rows of this page."""
    users = [make_binding(number=number).user for number in range(1, 106)]
    logs = failed(template, *users)
    SendLog.objects.filter(pk=logs[0].pk).update(status="delivered", errcode=0)
    client = browser(*SEE, *RESEND)
    form = resend_form(*logs[5:], select_across=1)
    asked = text(client.post(f"{CHANGELIST}?status__exact=failed", {**form, "index": 0}))
    assert "104 messages will be sent again." in asked
    assert "and 84 more" in asked
    assert 'name="select_across" value="1"' in asked
    client.post(f"{CHANGELIST}?status__exact=failed", {**form, "post": "yes"})
    assert SendLog.objects.filter(resend_of__status="failed").count() == 104
    assert not SendLog.objects.filter(resend_of=logs[0]).exists()


@pytest.mark.django_db
def test_pressing_the_button_twice_resends_once(template: MessageTemplate) -> None:
    """The page's own token counts a single time; the page asked for again counts anew."""
    (log,) = failed(template)
    client = browser(*SEE, *RESEND)
    address = page("sendlog", "resend", log.pk)
    token = client.get(address).context["once"]
    client.post(address, {"post": "yes", "once": token})
    response = client.post(address, {"post": "yes", "once": token}, follow=True)
    assert "Nothing was sent a second time" in told(response)
    assert SendLog.objects.filter(resend_of=log).count() == 1
    client.post(address, {"post": "yes", "once": client.get(address).context["once"]})
    assert SendLog.objects.filter(resend_of=log).count() == 2


@pytest.mark.django_db
def test_an_answer_that_failed_can_be_given_again(template: MessageTemplate) -> None:
    """Nothing was sent, so the same page still counts once what stood in the way is gone."""
    (log,) = failed(template)
    client = browser(*SEE, *RESEND)
    address = page("sendlog", "resend", log.pk)
    answer = {"post": "yes", "once": client.get(address).context["once"]}
    MessageTemplate.objects.update(is_active=False)
    assert "is not active" in told(client.post(address, answer, follow=True))
    MessageTemplate.objects.update(is_active=True)
    assert "1 message was resent" in told(client.post(address, answer, follow=True))
    assert SendLog.objects.filter(resend_of=log).count() == 1


@pytest.mark.django_db
def test_a_second_press_that_another_process_answers(template: MessageTemplate) -> None:
    """Each process may have a cache of its own: it is the database that remembers."""
    (log,) = failed(template)
    client = browser(*SEE, *RESEND)
    address = page("sendlog", "resend", log.pk)
    answer = {"post": "yes", "once": client.get(address).context["once"]}
    client.post(address, answer)
    caches["default"].clear()
    assert "Nothing was sent a second time" in told(client.post(address, answer, follow=True))
    assert SendLog.objects.filter(resend_of=log).count() == 1


@pytest.mark.django_db
def test_an_answer_that_somebody_else_gives_too(template: MessageTemplate) -> None:
    """Whoever answers the same page, the key of the notification that was made is what counts."""
    (log,) = failed(template)
    client = browser(*SEE, *RESEND)
    address = page("sendlog", "resend", log.pk)
    answer = {"post": "yes", "once": client.get(address).context["once"]}
    client.post(address, answer)
    other = browser(*SEE, *RESEND, name="other")
    assert "Nothing was sent a second time" in told(other.post(address, answer, follow=True))
    assert SendLog.objects.filter(resend_of=log).count() == 1


@pytest.mark.django_db
def test_what_a_first_press_resent_is_not_resent_by_the_second(template: MessageTemplate) -> None:
    """A filter that chose the failed ones has those of the first press too, if they failed."""
    (log,) = failed(template)
    client = browser(*SEE, *RESEND)
    form = resend_form(log, select_across=1)
    address = f"{CHANGELIST}?status__exact=failed"
    asked = client.post(address, {**form, "index": 0})
    answer = {**form, "post": "yes", "once": asked.context["once"]}
    client.post(address, answer)
    SendLog.objects.filter(resend_of=log).update(status="failed", due_at=None)
    assert "Nothing was sent a second time" in told(client.post(address, answer, follow=True))
    assert SendLog.objects.count() == 2


@pytest.mark.django_db
def test_rows_of_several_notifications_become_several(template: MessageTemplate) -> None:
    """Each notification among the rows becomes a new one, and each new one is linked to."""
    binding = make_binding()
    logs = [failed(template, binding.user)[0] for _ in range(2)]
    client = browser(*SEE, *RESEND)
    response = client.post(CHANGELIST, resend_form(*logs, post="yes"), follow=True)
    made = Notification.objects.filter(source="resend")
    assert [notification.logs.get().resend_of for notification in made.order_by("pk")] == logs
    for notification in made:
        assert page("notification", "change", notification.pk) in told(response)


@pytest.mark.django_db
def test_very_many_notifications_are_linked_to_as_a_list(template: MessageTemplate) -> None:
    """Past a handful the message names the list of resent notifications instead of each."""
    binding = make_binding()
    logs = [failed(template, binding.user)[0] for _ in range(6)]
    client = browser(*SEE, *RESEND)
    response = client.post(CHANGELIST, resend_form(*logs, post="yes"), follow=True)
    assert f"{page('notification')}?source__exact=resend" in told(response)
    assert client.get(f"{page('notification')}?source__exact=resend").status_code == 200


@pytest.mark.django_db
def test_a_template_that_was_switched_off_in_between(template: MessageTemplate) -> None:
    """Nothing is resent, nothing crashes, and the reason is told."""
    (log,) = failed(template)
    client = browser(*SEE, *RESEND)
    MessageTemplate.objects.update(is_active=False)
    response = client.post(CHANGELIST, resend_form(log, post="yes"), follow=True)
    assert "is not active" in told(response)
    assert SendLog.objects.count() == 1


@pytest.mark.django_db
def test_an_account_that_is_no_longer_configured(
    template: MessageTemplate, configure: Callable[..., None]
) -> None:
    """An alias taken out of the settings is an obstacle on the page, and no crash afterwards."""
    (log,) = failed(template)
    configure(ACCOUNTS={})
    client = browser(*SEE, *RESEND)
    assert "not active" in text(client.post(CHANGELIST, resend_form(log, index=0)))
    response = client.post(CHANGELIST, resend_form(log, post="yes"), follow=True)
    assert "No account" in told(response)


# -- the question -----------------------------------------------------------------------------


def question(*logs: SendLog) -> str:
    """The page that asks, for somebody who may resend and not see whole openids."""
    client = browser(*SEE, *RESEND)
    return text(client.post(CHANGELIST, resend_form(*logs, index=0)))


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("pending", "2 are left alone because they are still waiting or being sent."),
        ("sending", "2 are left alone because they are still waiting or being sent."),
        ("sent", "2 were accepted or delivered: these people get it a second time."),
        ("delivered", "2 were accepted or delivered: these people get it a second time."),
        ("uncertain", "2 are uncertain: these people may get it a second time."),
    ],
)
def test_the_question_says_what_each_status_means_for_it(
    template: MessageTemplate, status: str, said: str
) -> None:
    """Left alone, a second time, perhaps a second time: each with its number."""
    logs = failed(template, *(make_binding(number=number).user for number in (1, 2, 3)))
    SendLog.objects.filter(pk__in=[logs[0].pk, logs[1].pk]).update(status=status)
    shown = question(*logs)
    assert said in shown
    again = 1 if status in SendLog.OPEN else 3
    assert f"{again} message" in shown


@pytest.mark.django_db
def test_the_question_tells_of_earlier_resends(template: MessageTemplate) -> None:
    """Rows that were resent before are counted."""
    (log,) = failed(template)
    SendLog.objects.create(
        notification=log.notification, account="default", openid=log.openid, resend_of=log
    )
    assert "1 was resent before." in question(log)


def split(*logs: SendLog) -> tuple[int, dict[str, int]]:
    """What the question says: how many messages are sent again, and who does not get one."""
    client = browser(*SEE, *RESEND, name="asker")
    response = client.post(CHANGELIST, resend_form(*logs, index=0))
    shown, plan = text(response), response.context["confirmation"]
    sent = re.search(r"(\d+) messages? will be sent again", shown)
    assert sent is not None
    return int(sent[1]), {str(group.reason): group.count for group in plan.left_out}


@pytest.mark.django_db
def test_the_question_says_who_will_not_get_it(template: MessageTemplate) -> None:
    """As many are promised as are sent: nobody unbound, not following, or on another account."""
    good, gone, unbound, late = (make_user(name) for name in ("good", "gone", "unbound", "late"))
    make_binding(good, 1)
    left = make_binding(gone, 2, subscribed=False)
    other = make_binding(make_user("other"), 3, account="second")
    failed(template, good, unbound, late)
    notify([left, other], template, ORDER)
    bind(late, openid(4))
    bind(late, openid(5))
    logs = list(SendLog.objects.all())
    assert split(*logs) == (
        3,
        {
            "This user has not bound WeChat.": 1,
            "This person does not follow the account.": 1,
            "This openid belongs to another account.": 1,
        },
    )
    browser(*SEE, *RESEND).post(CHANGELIST, resend_form(*logs, post="yes"))
    again = SendLog.objects.filter(notification__source="resend")
    assert again.counts()["pending"] == 3
    assert again.counts()["skipped"] == 3


@pytest.mark.django_db
def test_a_row_that_the_template_refuses_now_is_not_promised(template: MessageTemplate) -> None:
    """Shared values and own ones are checked as they will be when the button is pressed."""
    alice, bob = make_binding(number=1).user, make_binding(number=2).user
    notify(
        [alice, bob],
        template,
        lambda user: {**ORDER, "thing2": "围巾" if user == alice else "很" * 20},
    )
    SendLog.objects.update(status="failed", due_at=None)
    SendLog.objects.filter(user=bob).update(data={**ORDER, "thing2": {"value": "很" * 21}})
    logs = list(SendLog.objects.all())
    promised, left_out = split(*logs)
    assert promised == 1
    assert list(left_out.values()) == [1]
    assert "at most 20 characters" in next(iter(left_out))
    browser(*SEE, *RESEND).post(CHANGELIST, resend_form(*logs, post="yes"))
    again = SendLog.objects.filter(notification__source="resend")
    assert again.get(status="skipped").user == bob
    MessageTemplate.objects.update(content="改变：{{thing9.DATA}}")
    assert split(*logs)[0] == 0


def bind_later(*subscribed: bool) -> Callable[[], SendLog]:
    """A row of a user who had not bound WeChat, and has bound these openids since."""

    def make() -> SendLog:
        user = make_user("late")
        (log,) = failed(MessageTemplate.objects.get(), user)
        for number, follows in enumerate(subscribed, 50):
            make_binding(user, number, subscribed=follows)
        make_binding(user, 60, account="second")
        return log

    return make


def changed(**values: Any) -> Callable[[], SendLog]:
    """A row that failed, changed since."""

    def make() -> SendLog:
        (log,) = failed(MessageTemplate.objects.get())
        SendLog.objects.filter(pk=log.pk).update(**values)
        return log

    return make


def unbound_since() -> SendLog:
    (log,) = failed(MessageTemplate.objects.get())
    OpenIDBinding.objects.all().delete()
    return log


def user_is_gone() -> SendLog:
    (log,) = failed(MessageTemplate.objects.get(), make_user("nobody"))
    get_user_model().objects.filter(username="nobody").delete()
    return log


def unfollowed() -> SendLog:
    (log,) = failed(MessageTemplate.objects.get())
    OpenIDBinding.objects.update(subscribed=False)
    return log


KINDS: dict[str, Callable[[], SendLog]] = {
    "failed": changed(),
    "unfollowed since": unfollowed,
    "binding deleted since": unbound_since,
    "user deleted since": user_is_gone,
    "not bound": bind_later(),
    "bound since": bind_later(True),
    "bound twice since": bind_later(True, True),
    "bound since, one does not follow": bind_later(True, False),
    "bound since, does not follow": bind_later(False),
    "own data is refused": changed(data={"thing2": {"value": "很" * 21}}),
    "own data is good": changed(data={"thing2": {"value": "很"}}),
}


@pytest.mark.django_db
@pytest.mark.parametrize("kind", KINDS)
def test_as_many_are_promised_as_are_sent(template: MessageTemplate, kind: str) -> None:
    """For each kind of row: the question's numbers are those of the rows that the answer makes."""
    log = KINDS[kind]()
    promised, left_out = split(log)
    browser(*SEE, *RESEND).post(CHANGELIST, resend_form(log, post="yes"))
    again = SendLog.objects.filter(notification__source="resend").counts()
    assert (promised, sum(left_out.values())) == (again["pending"], again["skipped"])


@pytest.mark.django_db
def test_it_is_said_where_not_all_rows_were_looked_at(
    template: MessageTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data of very many rows is checked in part, and what follows for the others is said."""
    monkeypatch.setattr("wechat_notify.admin.pages.resend_plan.MOST_CHECKED", 1)
    logs = [failed(template, make_binding(number=number).user)[0] for number in (1, 2)]
    said = "The first 1 different contents were looked at."
    assert said in question(*logs)
    assert "were looked at" not in question(logs[0])
    SendLog.objects.update(notification=logs[0].notification)
    assert "were looked at" not in question(*logs), "what all share is looked at once"
    SendLog.objects.update(data={})
    assert said in question(*logs)


@pytest.mark.django_db
def test_there_is_no_button_if_nobody_would_get_it(template: MessageTemplate) -> None:
    """The page says why instead, and names the person."""
    (log,) = failed(template, make_user("nobody"))
    shown = question(log)
    assert "0 messages will be sent again." in shown
    assert "Nobody would get this message." in shown
    assert "1 person does not get it: This user has not bound WeChat." in shown
    assert "nobody" in shown
    assert 'type="submit"' not in shown.split('id="content-main"')[1]


@pytest.mark.django_db
def test_what_was_skipped_all_the_same_is_not_counted_as_resent(
    template: MessageTemplate,
) -> None:
    """Somebody may unfollow between the question and the answer."""
    (log,) = failed(template)
    OpenIDBinding.objects.update(subscribed=False)
    response = browser(*SEE, *RESEND).post(CHANGELIST, resend_form(log, post="yes"), follow=True)
    assert "0 messages were resent (skipped: 1)" in told(response)


@pytest.mark.django_db
def test_the_split_costs_as_many_queries_for_many(
    template: MessageTemplate, django_assert_max_num_queries: Any
) -> None:
    """The database counts; nothing is asked for each row."""
    logs = failed(template, *(make_binding(number=number).user for number in range(1, 60)))
    client = browser(*SEE, *RESEND)
    with django_assert_max_num_queries(40):
        client.post(CHANGELIST, resend_form(*logs, index=0))


@pytest.mark.django_db
def test_a_user_who_has_bound_since_gets_the_message(template: MessageTemplate) -> None:
    """A skipped row resent after its user has bound WeChat goes to the new openid."""
    user = make_user("late")
    (log,) = failed(template, user)
    assert log.status == "skipped"
    bind(user, openid(7))
    browser(*SEE, *RESEND).post(CHANGELIST, resend_form(log, post="yes"))
    assert SendLog.objects.get(resend_of=log).openid == openid(7)


@pytest.mark.django_db
def test_the_question_tells_what_holds_the_messages_up(template: MessageTemplate) -> None:
    """A paused template and an account at rest are named with their reasons."""
    (log,) = failed(template)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    Breaker("default").trip(45009, "reach max api daily quota limit")
    shown = question(log)
    assert "is paused, its messages wait" in shown
    assert "errcode 43116" in shown
    assert "Account default rests until" in shown


@pytest.mark.django_db
def test_an_inactive_template_is_an_obstacle(template: MessageTemplate) -> None:
    """The question says why it cannot be done, and offers no button."""
    (log,) = failed(template)
    MessageTemplate.objects.update(is_active=False)
    shown = question(log)
    assert "These templates are not active" in shown
    assert 'type="submit"' not in shown.split('id="content-main"')[1]


@pytest.mark.django_db
def test_the_question_masks_openids(template: MessageTemplate) -> None:
    """To whom it goes is shown with masked openids, whole for those with the permission."""
    (log,) = failed(template)
    shown = question(log)
    assert log.openid not in shown
    assert "user1" in shown
    client = browser(*SEE, *RESEND, "view_openid", name="trusted")
    assert log.openid in text(client.post(CHANGELIST, resend_form(log, index=0)))


@pytest.mark.django_db
def test_names_are_escaped(template: MessageTemplate) -> None:
    """A user's name is text, on the question and in the message after it."""
    user = make_user("<script>alert(1)</script>")
    make_binding(user)
    MessageTemplate.objects.update(title="<img src=x onerror=alert(1)>")
    (log,) = failed(MessageTemplate.objects.get(), user)
    assert "<script>alert" not in question(log)
    client = browser(*SEE, *RESEND, name="other")
    response = client.post(CHANGELIST, resend_form(log, post="yes"), follow=True)
    assert "<img src=x" not in text(response)

"""From a notification back to composing: once more, changed, for those who did not get it."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.admin_pages import page, text, told
from tests.compose_pages import CONTENT, VALUES, address, composer, errors, hidden_inputs, person
from tests.factories import make_template
from wechat_notify.admin.compose.earlier_values import EarlierValues
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.services import notify, resend

pytestmark = pytest.mark.django_db

Status = SendLog.Status
DATA = {name.removeprefix("value_"): value for name, value in VALUES.items()}
SEES = ("view_notification", "view_sendlog")


@pytest.fixture(autouse=True)
def later(configure: Any) -> None:
    """What is sent waits for a worker that never comes."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture
def template(db: None) -> MessageTemplate:
    return make_template(content=CONTENT)


@pytest.fixture
def users() -> list[Any]:
    return [person(f"parent{number}", number) for number in range(1, 6)]


@pytest.fixture
def sent(template: MessageTemplate, users: list[Any]) -> Notification:
    """To five people: delivered, failed with 47003 twice, failed with 43004, uncertain."""
    notification = notify(users, template, DATA, title="校服到货")
    outcomes = [
        {"status": Status.DELIVERED},
        {"status": Status.FAILED, "errcode": 47003, "errmsg": "argument invalid! rid: 1"},
        {"status": Status.FAILED, "errcode": 47003, "errmsg": "argument invalid! rid: 2"},
        {"status": Status.FAILED, "errcode": 43004},
        {"status": Status.UNCERTAIN},
    ]
    for log, columns in zip(notification.logs.order_by("pk"), outcomes, strict=True):
        SendLog.objects.filter(pk=log.pk).update(due_at=None, **columns)
    return notification


@pytest.fixture
def clerk() -> Client:
    return composer(*SEES)


def opened(client: Client, notification: Notification, outcome: str, of: Any = "") -> Any:
    """The form behind the link."""
    query = {"earlier": notification.pk, "outcome": outcome, "outcome_of": of}
    return client.get(address(), query)


def filled_in(response: Any) -> dict[str, Any]:
    """What a browser would send of the form as it comes, without its buttons."""
    form = response.context["form"]
    names = [*form.fields]
    values = {name: form[name].value() for name in names}
    given = {name: value for name, value in values.items() if value not in (None, "", False)}
    return {**given, "template": response.context["composing"].template.pk}


def reviewed(client: Client, response: Any, **changes: Any) -> Any:
    return client.post(address(), {**filled_in(response), **changes, "_review": "1"})


def send(client: Client, response: Any, **changes: Any) -> Notification:
    """Through the review, to the notification that was made."""
    review = reviewed(client, response, **changes)
    assert review.context.get("review") is not None, errors(review)
    answer = client.post(address(), {**hidden_inputs(review), "_send": "1"})
    assert answer.status_code == 302, text(answer)
    return Notification.objects.latest("pk")


def to(notification: Notification) -> list[str]:
    return sorted(log.user.username for log in notification.logs.select_related("user"))


# -- duplicating ------------------------------------------------------------------------------


def test_the_page_leads_to_a_copy(clerk: Client, sent: Notification) -> None:
    """Button, form, review, sent: the same to the same people, with nothing typed."""
    link = re.search(r'href="([^"]+outcome=all)"', text(clerk.get(page("notification"))))
    assert link is not None
    form = clerk.get(link[1].replace("&amp;", "&"))
    copy = send(clerk, form)
    assert to(copy) == to(sent)
    assert (copy.data, copy.title, copy.template) == (sent.data, sent.title, sent.template)
    assert set(copy.logs.values_list("resend_of", flat=True)) == {None}


def test_link_priority_and_title_come_along(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """What was chosen then; what the template or the number of people says is left to them."""
    urgent = Notification.Priority.URGENT
    program = {"appid": "wx1", "pagepath": "pages/a"}
    url = "https://shop.example/1"
    old = notify(users, template, DATA, title="x", url=url, miniprogram=program, priority=urgent)  # type: ignore[call-overload]
    copy = send(clerk, opened(clerk, old, "all"))
    assert (copy.url, copy.miniprogram, copy.priority) == (url, program, urgent)
    MessageTemplate.objects.update(url="https://shop.example/own")
    template.refresh_from_db()
    plain = notify(users, template, DATA)
    given = filled_in(opened(clerk, plain, "all"))
    assert not {"url", "title", "priority"}.intersection(given)


def test_other_people_can_be_chosen(clerk: Client, sent: Notification) -> None:
    """Untick the line, and choose somebody."""
    other = person("other", 9)
    form = opened(clerk, sent, "all")
    copy = send(clerk, form, earlier="", users=[other.pk])
    assert to(copy) == ["other"]


def test_without_the_send_log_it_comes_without_people(sent: Notification) -> None:
    """The content is on the notification's page; who got it is not."""
    form = opened(composer("view_notification"), sent, "all")
    assert form.context["form"].earlier_choice() is None
    assert filled_in(form)["value_thing1"] == "围巾"


def test_without_sight_of_notifications_nothing_comes(sent: Notification) -> None:
    """Nor for a number that there is not: the first page says so, and no content is shown."""
    blind = composer("view_sendlog", name="blind")
    for client, number in ((blind, sent.pk), (composer(*SEES), 999)):
        answer = client.get(address(), {"earlier": number, "outcome": "all"})
        assert "围巾" not in text(answer)
        assert "not there any more" in told(answer)


def test_a_template_that_is_gone_can_be_exchanged(clerk: Client, sent: Notification) -> None:
    """It says so, and what was filled in comes with the other template."""
    other = make_template("other", content=CONTENT)
    MessageTemplate.objects.filter(pk=sent.template_id).update(is_active=False)
    first = opened(clerk, sent, "failed")
    assert "template cannot be used" in told(first)
    hidden = dict(first.context["hidden"])
    form = clerk.post(address(), {**hidden, "template": other.pk})
    assert send(clerk, form).template == other


# -- to those who did not get it ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "of", "expected"),
    [
        ("failed", "", ["parent2", "parent3", "parent4"]),
        ("missed", "", ["parent2", "parent3", "parent4"]),
        ("cause", "failed:47003:", ["parent2", "parent3"]),
        ("cause", "failed:43004:", ["parent4"]),
        ("all", "", ["parent1", "parent2", "parent3", "parent4", "parent5"]),
    ],
)
def test_just_those_with_the_outcome(
    clerk: Client, sent: Notification, outcome: str, of: str, expected: list[str]
) -> None:
    """The value is corrected, and goes to them; what was sent is not touched."""
    before = list(sent.logs.order_by("pk").values())
    new = send(clerk, opened(clerk, sent, outcome, of), value_const4="已签收")
    assert to(new) == expected
    assert new.data["const4"] == {"value": "已签收"}
    assert list(sent.logs.order_by("pk").values()) == before


def test_the_panel_leads_there(clerk: Client, sent: Notification) -> None:
    """Beside the advice of each cause, and below for all who did not get it."""
    shown = text(clerk.get(page("notification", "change", sent.pk)))
    links = re.findall(r'href="([^"]*earlier=[^"]+)"', shown)
    asked = {link.partition("outcome=")[2].replace("&amp;outcome_of=", " ") for link in links}
    assert {"all", "missed", "cause failed%3A47003%3A", "cause failed%3A43004%3A"} <= asked
    form = clerk.get(next(one for one in links if "47003" in one).replace("&amp;", "&"))
    assert form.context["form"].earlier_people.count == 2
    hidden = text(composer("view_notification").get(page("notification", "change", sent.pk)))
    assert "outcome=cause" not in hidden
    assert "outcome=missed" not in hidden


def test_who_got_it_again_is_not_offered(clerk: Client, sent: Notification) -> None:
    """The panel counts whom its links mean, and has none where nobody is left."""
    address = page("notification", "change", sent.pk)
    assert "to the 3 who did not get it" in text(clerk.get(address))
    resend(sent.logs.filter(errcode=43004))
    shown = text(clerk.get(address))
    assert "to the 2 who did not get it" in shown
    assert "failed%3A47003" in shown
    assert "failed%3A43004" not in shown
    resend(sent.logs.filter(errcode=47003))
    shown = text(clerk.get(address))
    assert "who did not get it" not in shown
    assert "failed%3A47003" not in shown
    assert "uncertain%3A%3A" in shown


def test_a_message_leads_there(clerk: Client, sent: Notification) -> None:
    """Its page has the button, for this one person."""
    log = sent.logs.get(errcode=43004)
    shown = text(clerk.get(page("sendlog", "change", log.pk)))
    link = re.search(r'href="([^"]+outcome=message[^"]+)"', shown)
    assert link is not None
    new = send(clerk, clerk.get(link[1].replace("&amp;", "&")))
    assert to(new) == ["parent4"]
    assert new.logs.get().resend_of == log


def test_new_rows_point_to_those_that_they_repeat(clerk: Client, sent: Notification) -> None:
    """So that nobody is offered twice: not here, and not for a plain resend."""
    new = send(clerk, opened(clerk, sent, "cause", "failed:47003:"))
    assert {log.resend_of.errcode for log in new.logs.all()} == {47003}
    again = opened(clerk, sent, "failed")
    assert again.context["form"].earlier_people.count == 1
    assert "2 more were sent again already" in text(again)
    assert to(send(clerk, again)) == ["parent4"]


def test_a_plain_resend_counts_too(clerk: Client, sent: Notification) -> None:
    """Whoever was resent to is not written to by mistake."""
    resend(sent.logs.get(errcode=43004))
    assert opened(clerk, sent, "failed").context["form"].earlier_people.count == 2


def test_the_uncertain_are_never_meant_without_a_word(clerk: Client, sent: Notification) -> None:
    """They are in "everybody" and in their own cause: the form and the review say so."""
    for outcome, of in (("all", ""), ("cause", "uncertain::")):
        form = opened(clerk, sent, outcome, of)
        assert "1 of them is uncertain" in text(form)
        assert "1 of them is uncertain" in " ".join(
            reviewed(clerk, form).context["review"].warnings
        )
    for outcome in ("missed", "failed"):
        assert "uncertain" not in text(opened(clerk, sent, outcome))


def test_one_of_two_openids(clerk: Client, template: MessageTemplate) -> None:
    """Who got it on one openid gets it again on the other alone."""
    user = person("twice", 1)
    factories.make_binding(user, 2)
    old = notify(user, template, DATA)
    bad, good = old.logs.order_by("pk")
    SendLog.objects.filter(pk=bad.pk).update(status=Status.FAILED, errcode=-1, due_at=None)
    SendLog.objects.filter(pk=good.pk).update(status=Status.SENT, due_at=None)
    new = send(clerk, opened(clerk, old, "failed"))
    assert [log.openid for log in new.logs.all()] == [bad.openid]


def test_who_has_bound_since_gets_it(clerk: Client, template: MessageTemplate) -> None:
    """Somebody who was skipped for want of a binding."""
    user = person("late")
    old = notify([user, person("never")], template, DATA)
    factories.make_binding(user, 7)
    form = opened(clerk, old, "missed")
    new = send(clerk, form)
    assert [log.user for log in new.logs.filter(status=Status.PENDING)] == [user]
    assert new.logs.get(user=user).resend_of == old.logs.get(user=user)


def test_openids_without_a_user(clerk: Client, template: MessageTemplate) -> None:
    """Code may have written to bare openids."""
    old = notify([factories.openid(50), factories.openid(51)], template, DATA)
    old.logs.filter(openid=factories.openid(51)).update(status=Status.FAILED, due_at=None)
    new = send(clerk, opened(clerk, old, "failed"))
    assert [log.openid for log in new.logs.all()] == [factories.openid(51)]


# -- each person's own --------------------------------------------------------------------------


def personal(template: MessageTemplate, users: list[Any]) -> Notification:
    """Each has their own thing; the rest is equal, and one message for all."""
    old = notify(users, template, lambda user: {**DATA, "thing1": f"给{user.username}"})
    old.logs.update(status=Status.FAILED, errcode=47003, due_at=None)
    return old


def own(notification: Notification, key: str) -> dict[str, str]:
    rows = notification.logs.select_related("user")
    return {row.user.username: row.merged_data[key]["value"] for row in rows}


def test_own_values_are_kept_where_nothing_is_typed(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """What was equal is in the form and can be corrected; what differs is empty there and stays."""
    old = personal(template, users)
    form = opened(clerk, old, "failed")
    given = filled_in(form)
    assert "value_thing1" not in given
    assert given["value_const4"] == "已发货"
    assert "each person’s own, as before" in text(form)
    assert "给parent1" in form.context["preview"]["card"]
    new = send(clerk, form, value_const4="已签收")
    assert own(new, "thing1") == own(old, "thing1")
    assert set(own(new, "const4").values()) == {"已签收"}


def test_a_typed_value_is_for_all(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """It replaces each person's own."""
    new = send(clerk, opened(clerk, personal(template, users), "failed"), value_thing1="手套")
    assert set(own(new, "thing1").values()) == {"手套"}


def test_a_placeholder_replaces_own_values_too(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """As anywhere in the form."""
    form = opened(clerk, personal(template, users), "failed")
    new = send(clerk, form, value_thing1="{{ user.username }}")
    assert own(new, "thing1")["parent1"] == "parent1"


def test_a_cell_of_a_table_comes_before_both(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """One person's value is corrected in a table, the others keep theirs."""
    form = opened(clerk, personal(template, users), "failed")
    table = "user name\tthing1\nparent2\t手套\n"
    new = send(clerk, form, table=table)
    assert own(new, "thing1")["parent2"] == "手套"
    assert own(new, "thing1")["parent1"] == "给parent1"


def test_who_has_none_is_named(clerk: Client, template: MessageTemplate, users: list[Any]) -> None:
    """Somebody who is added has no earlier value: the review says who, and what is missing."""
    form = opened(clerk, personal(template, users), "failed")
    review = reviewed(clerk, form, users=[person("added", 9).pk]).context["review"]
    assert review.obstacles
    assert "added" in " ".join(review.problems)


def test_own_values_follow_their_field_to_another_key(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """By name, as a resend does."""
    MessageTemplate.objects.update(field_names={"goods": "thing1"})
    template.refresh_from_db()
    data = {name: text for name, text in DATA.items() if name != "thing1"}
    old = notify(users, template, lambda user: {**data, "goods": f"给{user.username}"})
    old.logs.update(status=Status.FAILED, due_at=None)
    new = send(clerk, opened(clerk, old, "failed"))
    assert own(new, "goods") == own(old, "goods")


# -- what has not left --------------------------------------------------------------------------


@pytest.fixture
def partly(template: MessageTemplate, users: list[Any]) -> Notification:
    """For tomorrow; the first message was sent all the same, the second is on its way."""
    tomorrow = timezone.now() + timedelta(days=1)
    old = notify(users, template, DATA, title="校服到货", send_at=tomorrow)
    first, second = old.logs.order_by("pk")[:2]
    SendLog.objects.filter(pk=first.pk).update(status=Status.SENT, due_at=None)
    SendLog.objects.filter(pk=second.pk).update(status=Status.SENDING)
    return old


def test_what_has_not_left_is_replaced(clerk: Client, partly: Notification) -> None:
    """Same people and time, another value; both pages name the other."""
    form = opened(clerk, partly, "waiting")
    assert filled_in(form)["when"] == "later"
    new = send(clerk, form, value_thing1="手套")
    assert to(new) == ["parent3", "parent4", "parent5"]
    assert new.data["thing1"] == {"value": "手套"}
    assert new.send_at is not None
    assert abs(new.send_at - partly.send_at) < timedelta(minutes=1)  # type: ignore[operator]
    assert partly.counts == {
        **dict.fromkeys(Status.values, 0),
        "sent": 1,
        "sending": 1,
        "cancelled": 3,
    }
    for one, other in ((partly, new), (new, partly)):
        shown = text(clerk.get(page("notification", "change", one.pk)))
        assert page("notification", "change", other.pk) in shown


def test_what_leaves_while_it_is_edited_is_left_out(clerk: Client, partly: Notification) -> None:
    """Between the review and the button, one more was sent: that person does not get both."""
    review = reviewed(clerk, opened(clerk, partly, "waiting"))
    assert "(3)" in " ".join(review.context["review"].earlier_facts())
    gone = partly.logs.filter(status=Status.PENDING).first()
    assert gone is not None
    SendLog.objects.filter(pk=gone.pk).update(status=Status.SENT, due_at=None)
    clerk.post(address(), {**hidden_inputs(review), "_send": "1"})
    new = Notification.objects.latest("pk")
    assert new.logs.count() == 2
    assert gone.user.username not in to(new)


def test_pressing_twice_replaces_once(clerk: Client, partly: Notification) -> None:
    """The second answer is told that it was done."""
    form = hidden_inputs(reviewed(clerk, opened(clerk, partly, "waiting")))
    clerk.post(address(), {**form, "_send": "1"})
    again = clerk.post(address(), {**form, "_send": "1"}, follow=True)
    assert "already" in told(again)
    assert Notification.objects.count() == 2


def test_nothing_left_to_replace(clerk: Client, partly: Notification) -> None:
    """All have left meanwhile: it says so, and writes nothing."""
    review = hidden_inputs(reviewed(clerk, opened(clerk, partly, "waiting")))
    partly.logs.filter(status=Status.PENDING).update(status=Status.SENT, due_at=None)
    answer = clerk.post(address(), {**review, "_send": "1"})
    assert "still waits" in told(answer)
    assert Notification.objects.count() == 1


def test_bad_values_leave_the_old_message_as_it_was(clerk: Client, partly: Notification) -> None:
    """Refused while it is written: nothing of the old one is cancelled."""
    review = hidden_inputs(reviewed(clerk, opened(clerk, partly, "waiting")))
    before = list(partly.logs.order_by("pk").values())
    MessageTemplate.objects.update(content=CONTENT + "\n备注：{{thing9.DATA}}")
    clerk.post(address(), {**review, "_send": "1"})
    assert list(partly.logs.order_by("pk").values()) == before
    assert Notification.objects.count() == 1


@pytest.mark.parametrize("narrowed", [{"bound_since": "2026-11-01"}, {"missed": "on"}])
def test_it_is_edited_for_all_or_not_at_all(
    clerk: Client, partly: Notification, narrowed: dict[str, str]
) -> None:
    """Whoever is left out would get neither message, as the old one is cancelled for all."""
    form = filled_in(opened(clerk, partly, "waiting"))
    answer = clerk.post(address(), {**form, **narrowed, "_review": "1"})
    assert "would get neither message" in text(answer)
    assert "review" not in answer.context
    assert partly.counts["pending"] == 3


def test_unticked_it_is_a_message_of_its_own(clerk: Client, partly: Notification) -> None:
    """The old one leaves as planned."""
    form = opened(clerk, partly, "waiting")
    new = send(clerk, form, earlier="", users=[person("other", 9).pk])
    assert new.replaces is None
    assert partly.counts["pending"] == 3


def test_own_values_of_what_has_not_left(
    clerk: Client, template: MessageTemplate, users: list[Any]
) -> None:
    """They are kept, too, although their rows are cancelled in the same moment."""
    tomorrow = timezone.now() + timedelta(days=1)
    old = notify(
        users, template, lambda user: {**DATA, "thing1": f"给{user.username}"}, send_at=tomorrow
    )
    new = send(clerk, opened(clerk, old, "waiting"), value_const4="已签收")
    assert own(new, "thing1") == own(old, "thing1")
    assert set(own(new, "const4").values()) == {"已签收"}


@pytest.mark.urls("tests.compose_site")
def test_people_out_of_sight_must_not_be_lost(template: MessageTemplate) -> None:
    """Who may not write to all of them cannot replace it: they would get neither."""
    seen, hidden = person("seen", 1), person("hidden1", 2)
    tomorrow = timezone.now() + timedelta(days=1)
    old = notify([seen, hidden], template, DATA, send_at=tomorrow)
    client = composer(*SEES)
    answer = reviewed(client, opened(client, old, "waiting"))
    assert "1 of these people is not among those" in errors(answer)["earlier"]
    assert old.counts["pending"] == 2


def test_openids_are_not_lost_on_another_account(clerk: Client, template: MessageTemplate) -> None:
    """Somebody known by an openid alone cannot be reached there, and would get neither."""
    tomorrow = timezone.now() + timedelta(days=1)
    old = notify(factories.openid(50), template, DATA, send_at=tomorrow)
    elsewhere = make_template("elsewhere", account="other", content=CONTENT)
    form = {**filled_in(opened(clerk, old, "waiting")), "template": elsewhere.pk}
    answer = clerk.post(address(), {**form, "_review": "1"})
    assert "not among those" in errors(answer)["earlier"]


@pytest.mark.urls("tests.compose_site")
def test_another_accounts_notification_does_not_exist(users: list[Any]) -> None:
    """Its people cannot be written to by guessing its number, whatever is posted."""
    elsewhere = make_template("elsewhere", account="other", content=CONTENT)
    mine = make_template("mine", content=CONTENT)
    binding = OpenIDBinding.objects.create(user=users[0], account="other", openid="x" * 28)
    old = notify(binding, elsewhere, DATA)
    client = composer(*SEES)
    assert "not there any more" in told(opened(client, old, "all"))
    form = {"template": mine.pk, **VALUES, "when": "now", "earlier": old.pk, "outcome": "all"}
    answer = client.post(address(), {**form, "_review": "1"})
    assert "may not see it" in errors(answer)["earlier"]


def test_nonsense_is_no_crash(clerk: Client, sent: Notification) -> None:
    """Whatever is written into the address."""
    for query in (
        {"earlier": "x"},
        {"earlier": sent.pk, "outcome": "nobody"},
        {"earlier": sent.pk, "outcome": "cause", "outcome_of": "failed:x:"},
        {"earlier": sent.pk, "outcome": "cause", "outcome_of": "failed\0::"},
        {"earlier": sent.pk, "outcome": "message", "outcome_of": "-1"},
        {"draft": "x"},
        {"draft": "9" * 18},
    ):
        assert "not there any more" in told(clerk.get(address(), query))


def test_the_preview_reads_one_persons_values(
    clerk: Client,
    template: MessageTemplate,
    users: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While somebody types, and for a test to oneself, not those of thousands."""
    form = opened(clerk, personal(template, users), "failed")
    monkeypatch.delattr(EarlierValues, "of_each")
    answer = clerk.post(address("compose_preview"), filled_in(form)).json()
    assert "给parent1" in answer["card"]

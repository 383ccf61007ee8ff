"""Compose and send: from the templates to the form, the last look, and the rows."""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.utils import timezone

from tests import factories
from tests.admin_pages import page, text, told
from tests.compose_pages import (
    CONTENT,
    VALUES,
    address,
    composer,
    errors,
    filled,
    hidden_inputs,
    names,
    person,
    review,
    send,
)
from wechat_notify.backends.locmem import outbox
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def school(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.compose_site"


@pytest.fixture
def template() -> MessageTemplate:
    return factories.make_template(content=CONTENT, url="https://school.example/orders/")


# -- choosing a template -----------------------------------------------------------------------


def test_templates_are_chosen_by_their_cards(template: MessageTemplate) -> None:
    """Each that can be used has its card and a button; one whose content is unknown says so."""
    factories.make_template("unknown", content="", title="空白")
    factories.make_template("old", is_active=False, title="旧模板")
    factories.make_template("banned", paused_at=timezone.now(), pause_errcode=43116)
    shown = text(composer().get(address()))
    assert f'name="template" value="{template.pk}"' in shown
    assert shown.count("wechat-tile__card") == 3
    assert shown.count('name="template"') == 2
    assert "Its content is not known. Sync the templates first." in shown
    assert "(errcode 43116)" in shown
    assert "旧模板" not in shown


@pytest.mark.parametrize("term", ["支付", "ORDER", "商品"])
def test_templates_are_found_by_title_name_and_content(
    template: MessageTemplate, term: str
) -> None:
    """The search needs no script."""
    factories.make_template("other", title="停课通知", content="班级：{{thing1.DATA}}")
    shown = text(composer().get(address(), {"q": term}))
    assert "订单支付成功通知" in shown
    assert "停课通知" not in shown


def test_no_templates_at_all() -> None:
    """An empty page says what to do first."""
    assert "There are no templates yet" in text(composer().get(address()))


@pytest.mark.parametrize("pk", ["", "0", "x", "１", "9" * 40, "9" * 5000])
def test_a_template_that_is_not_there(template: MessageTemplate, pk: str) -> None:
    """Whatever stands in the address, the templates are shown to choose from."""
    assert "wechat-tiles" in text(composer().get(address(), {"template": pk}))


def test_another_template_keeps_what_is_filled_in(template: MessageTemplate) -> None:
    """Values of fields with the same name, and all recipients, travel through the choice."""
    other = factories.make_template("other", title="到货通知", content="商品：{{thing1.DATA}}")
    alice, client = person("alice", 1), composer()
    form = filled(template, alice, pasted="alice", url="https://a.example/?a=1&b=2")
    chosen = client.post(address(), {**form, "_templates": "1"})
    carried = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', text(chosen)))
    assert carried["users"] == str(alice.pk)
    assert carried["url"] == "https://a.example/?a=1&amp;b=2"
    carried.pop("csrfmiddlewaretoken")
    filled_in = text(client.post(address(), {**carried, "template": other.pk}))
    assert 'value="围巾"' in filled_in
    assert "alice</textarea>" in filled_in
    assert "errornote" not in filled_in


# -- the form ----------------------------------------------------------------------------------


def test_the_form_has_an_input_for_each_field(template: MessageTemplate) -> None:
    """With its Chinese label, its rule, the right keyboard and a picker for times."""
    notify("oTest1", template, {key.removeprefix("value_"): text for key, text in VALUES.items()})
    SendLog.objects.update(status=SendLog.Status.DELIVERED)
    shown = text(composer().get(address(), {"template": template.pk}))
    assert re.search(r'<label for="id_value_thing1">商品</label>\s*.*name="value_thing1"', shown)
    assert 'data-wechat-value="thing1" data-limit="20"' in shown
    assert "At most 20 characters" in shown
    assert re.search(r'name="value_amount2"[^>]*inputmode="decimal"', shown)
    assert re.search(r'name="value_const4"[^>]*list="wechat-choices-const4"', shown)
    assert '<option value="已发货">' in shown
    assert shown.count('class="wechat-picker"') == 1
    assert '<input type="datetime-local" tabindex="-1" aria-hidden="true">' in shown
    assert 'placeholder="https://school.example/orders/"' in shown


def test_fields_that_wechat_no_longer_shows_are_not_asked_for() -> None:
    """``first`` and ``remark`` have no input, and need none."""
    old = factories.make_template(
        content="{{first.DATA}}\n商品：{{keyword1.DATA}}\n{{remark.DATA}}"
    )
    alice, client = person("alice", 1), composer()
    shown = text(client.get(address(), {"template": old.pk}))
    assert 'name="value_keyword1"' in shown
    assert "value_first" not in shown
    send(client, {"template": old.pk, "value_keyword1": "围巾", "users": alice.pk, "when": "now"})
    assert Notification.objects.get().data == {"keyword1": {"value": "围巾"}}


def test_the_examples_are_wechats_own(template: MessageTemplate) -> None:
    """Each input shows what is usually written there."""
    MessageTemplate.objects.update(example="商品：秋季校服\n金额：10元")
    shown = text(composer().get(address(), {"template": template.pk}))
    assert 'placeholder="such as 秋季校服"' in shown
    assert 'placeholder="such as 10元"' in shown


BAD = [
    ("value_thing1", "很" * 21, "Must be at most 20 characters; this has 21"),
    ("value_thing1", "", "Is empty; must be at most 20 characters"),
    ("value_amount2", "很贵", "given “很贵”"),
    ("value_time3", "明天", "given “明天”"),
    ("value_thing1", "x" * 1001, "at most 1000 characters"),
    ("value_thing1", "{{ user.password }}", "cannot be used here"),
    ("value_thing1", "{% now 'Y' %}", "only {{ … }} works here".capitalize()),
    ("url", "javascript:alert(1)", "Must start with http:// or https://"),
    ("url", "https：//www.baidu.com", "Must start with http:// or https://"),
    ("url", "https://a.example/" + "a" * 2048, "longer than 2048"),
    ("miniprogram_pagepath", "pages/index", "A page needs the mini program"),
    ("users", "", "Choose at least one recipient."),
    ("users", "999999", "Select a valid choice"),
    ("users", "x", "is not a valid value"),
    ("pasted", "alice\nnobody, oTooShort", "2 are not known: nobody, oTooShort"),
    ("when", "sometime", "Select a valid choice"),
    ("send_at", "2020-01-01T10:00", "This time has passed."),
    ("send_at", "soon", "Enter a valid date/time."),
    ("send_at", "", "Enter the time of sending."),
    ("expires_at", "2020-01-01T10:00", "This time has passed."),
]


@pytest.mark.parametrize(
    ("name", "value", "message"), BAD, ids=[f"{b[0]}-{b[2][:20]}" for b in BAD]
)
def test_an_error_loses_nothing_that_was_typed(
    template: MessageTemplate, name: str, value: str, message: str
) -> None:
    """Whatever is wrong, the page says it beside its input, and everything else stands there."""
    alice, chooses = person("alice", 1, group="家长"), name != "users"
    form = {
        **filled(template, alice),
        "url": "https://a.example/",
        "when": "later" if name == "send_at" else "now",
        "expires_at": "2099-01-01T10:00",
    }
    if chooses:
        form |= {"everyone": "on", "groups": alice.groups.get().pk, "pasted": "alice"}
    form[name] = value
    response = review(composer(), form)
    shown = text(response)
    where = "miniprogram_appid" if name == "miniprogram_pagepath" else name
    assert message in errors(response)[where]
    assert "wechat-review" not in shown
    for key, given in form.items():
        if key.startswith("value_") and key != name:
            assert f'value="{given}"' in shown
    if chooses:
        assert re.search(rf'name="users" value="{alice.pk}" checked', shown)
        assert re.search(r'name="everyone"[^>]*checked', shown)
        assert re.search(r'name="groups"[^>]*checked', shown)
        assert ("alice\nnobody" if name == "pasted" else "alice</textarea>") in shown
    assert not Notification.objects.exists()


def test_an_expiry_before_the_sending(template: MessageTemplate) -> None:
    """It would never be sent, so it is refused."""
    form = filled(template, person("alice", 1), when="later")
    later = {"send_at": "2099-01-02T10:00", "expires_at": "2099-01-02T10:00"}
    assert errors(review(composer(), {**form, **later})) == {
        "expires_at": "This is before it would be sent."
    }


def test_the_form_shows_text_as_text(template: MessageTemplate) -> None:
    """Nothing of a template, a user or an answer becomes HTML."""
    evil = "<script>alert(1)</script>\"'"
    MessageTemplate.objects.update(title=evil, content=CONTENT.replace("商品", evil), example=evil)
    user = person("mallory", 1, last_name=evil, group=evil)
    client = composer()
    form = filled(template, user, value_thing1=evil, pasted=evil, user_search="mallory", url=evil)
    pages = [
        client.get(address()),
        client.post(address(), form),
        review(client, form),
        review(client, {**form, "value_thing1": "x", "pasted": "", "url": ""}),
        client.post(address(), {**form, "_templates": "1"}),
    ]
    for response in pages:
        assert "<script>alert" not in text(response)
    answer = client.post(address("compose_preview"), form).json()
    assert "<script>" not in answer["card"]
    assert "&lt;script&gt;" in answer["card"]


# -- the last look -----------------------------------------------------------------------------


def test_the_last_look(template: MessageTemplate) -> None:
    """How many get it, who does not and why, the card, and when; nothing is written."""
    people = [person(f"user{n}", n, group="家长") for n in range(1, 4)]
    person("gone", 9, group="家长", subscribed=False)
    for n in range(12):
        person(f"lost{n}", group="家长", last_name="李", first_name=f"四{n}")
    group = people[0].groups.get()
    form = filled(template, groups=group.pk, expires_at="2099-01-02T10:00")
    response = review(composer(), form)
    shown = text(response)
    assert response.context["review"].count == 3
    assert "Send 3 messages now" in shown
    assert "12 people do not get it: This user has not bound WeChat." in shown
    assert "李四0 (lost0)" in shown
    assert "and 2 more" in shown
    assert "1 person does not get it: This person does not follow the account." in shown
    assert "gone" in shown
    assert factories.openid(9) not in shown
    assert "39.80元" in shown
    assert "not after Jan. 2, 2099, 10 a.m." in shown
    assert not Notification.objects.exists()
    assert not LogEntry.objects.exists()


def test_nobody_would_get_it(template: MessageTemplate) -> None:
    """There is no button, and the page says why."""
    shown = text(review(composer(), filled(template, person("alice"))))
    assert "Nobody would get this message." in shown
    assert 'name="_send"' not in shown
    assert 'name="_edit"' in shown


def test_what_delays_it_is_said(template: MessageTemplate) -> None:
    """A paused template and an account at rest, before anybody wonders."""
    MessageTemplate.objects.update(paused_at=timezone.now())
    Breaker("default").trip(45009, "reach max api daily quota limit")
    shown = text(review(composer(), filled(template, person("alice", 1))))
    assert "This template is paused, its messages wait: Somebody paused it." in shown
    assert "Account default rests" in shown


def test_a_value_that_wechat_has_refused_before(template: MessageTemplate) -> None:
    """It may be sent, but not without a word."""
    data = {key.removeprefix("value_"): text for key, text in VALUES.items()}
    notify("oTest1", template, data)
    SendLog.objects.update(
        status="failed", errcode=47003, errmsg="argument invalid! data.const4.value invalid"
    )
    shown = text(review(composer(), filled(template, person("alice", 1))))
    assert "状态: WeChat has refused this value before" in shown


def test_going_back_keeps_everything(template: MessageTemplate) -> None:
    """The form stands as it was, without a word about errors."""
    alice, client = person("alice", 1), composer()
    hidden = hidden_inputs(review(client, filled(template, alice, pasted="alice")))
    shown = text(client.post(address(), {**hidden, "_edit": "1"}))
    assert 'value="39.80元"' in shown
    assert re.search(rf'name="users" value="{alice.pk}" checked', shown)
    assert "alice</textarea>" in shown


# -- sending -----------------------------------------------------------------------------------


def test_sending(template: MessageTemplate) -> None:
    """One notification with a row each, under one's own name, and an entry in the admin's log."""
    alice, bob, client = person("alice", 1), person("bob"), composer("view_notification")
    response = send(client, filled(template, alice, bob, url="/orders/1/"))
    notification = Notification.objects.get()
    assert response.url == page("notification", "change", notification.pk)
    assert "It is on its way" in told(client.get(response.url))
    assert notification.source == "admin"
    assert notification.created_by.username == "clerk"
    assert notification.url == "https://school.example/orders/1/"
    assert notification.data["thing1"] == {"value": "围巾"}
    assert {log.user.username: log.status for log in notification.logs.all()} == {
        "alice": "pending",
        "bob": "skipped",
    }
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.user.username) == (str(notification.pk), "clerk")


def test_sending_without_the_right_to_see_notifications(template: MessageTemplate) -> None:
    """One comes back to where composing begins, with the good news."""
    client = composer()
    response = send(client, filled(template, person("alice", 1)))
    assert response.url == address()
    assert "It is on its way" in told(client.get(response.url))


def test_a_mini_program(template: MessageTemplate) -> None:
    """Its appid and page go with the message."""
    more = {"miniprogram_appid": "wx0", "miniprogram_pagepath": "pages/index"}
    send(composer(), filled(template, person("alice", 1), **more))
    assert Notification.objects.get().miniprogram == {"appid": "wx0", "pagepath": "pages/index"}


def test_a_double_click_sends_once(template: MessageTemplate) -> None:
    """The same page answered twice is one notification and one entry in the log."""
    client = composer("view_notification")
    answer = {**hidden_inputs(review(client, filled(template, person("alice", 1)))), "_send": "1"}
    first, second = client.post(address(), answer), client.post(address(), answer)
    assert first.url == second.url
    assert "Nothing was sent a second time" in told(client.get(second.url))
    assert Notification.objects.count() == SendLog.objects.count() == LogEntry.objects.count() == 1


def test_the_same_message_on_purpose(template: MessageTemplate) -> None:
    """Looking at it anew makes it another message."""
    client, form = composer(), filled(template, person("alice", 1))
    send(client, form)
    send(client, form)
    assert Notification.objects.count() == 2


@pytest.mark.parametrize("nonce", ["", "x", "é" * 32, "../" * 10 + "ab"])
def test_an_answer_to_no_page(template: MessageTemplate, nonce: str) -> None:
    """Without the nonce of a page nothing is sent, and the page is shown again."""
    form = filled(template, person("alice", 1), nonce=nonce)
    assert "Send 1 message now" in text(composer().post(address(), {**form, "_send": "1"}))
    assert not Notification.objects.exists()


def test_what_is_no_longer_right_is_not_sent(template: MessageTemplate) -> None:
    """The last page checks everything again: a time may have passed, a field may be new."""
    client = composer()
    answer = hidden_inputs(review(client, filled(template, person("alice", 1))))
    MessageTemplate.objects.update(content=CONTENT + "\n备注：{{thing5.DATA}}")
    response = client.post(address(), {**answer, "_send": "1"})
    assert errors(response) == {"value_thing5": "Is empty; must be at most 20 characters"}
    assert not Notification.objects.exists()


def test_sending_later(template: MessageTemplate, settings: Any) -> None:
    """The time is that of the active time zone, and nothing is due before it."""
    client = composer("view_notification")
    form = filled(template, person("alice", 1), when="later", send_at="2099-01-02T10:00")
    assert "Schedule 1 message" in text(review(client, form))
    response = send(client, form)
    wanted = datetime(2099, 1, 2, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert Notification.objects.get().send_at == wanted
    assert SendLog.objects.get().due_at == wanted
    assert "Jan. 2, 2099, 10 a.m." in told(client.get(response.url))


def test_a_time_that_was_thought_better_of(template: MessageTemplate) -> None:
    """With "now" chosen, a time left in its input means nothing."""
    send(composer(), filled(template, person("alice", 1), send_at="2099-01-02T10:00"))
    assert Notification.objects.get().send_at is None


def test_an_expiry(template: MessageTemplate) -> None:
    """What is not sent by then is not sent at all."""
    until = timezone.localtime() + timedelta(days=1)
    form = filled(template, person("alice", 1), expires_at=until.strftime("%Y-%m-%dT%H:%M"))
    send(composer(), form)
    assert Notification.objects.get().expires_at == until.replace(second=0, microsecond=0)


def test_settings_that_keep_it_from_being_sent(template: MessageTemplate, configure: Any) -> None:
    """The reason is told on the page, and nothing is written."""
    client = composer()
    page_ = review(client, filled(template, person("alice", 1)))
    configure(DISPATCHER="nowhere.Dispatcher")
    response = client.post(address(), {**hidden_inputs(page_), "_send": "1"})
    assert "nowhere.Dispatcher" in told(response)
    assert not Notification.objects.exists()


def test_two_hundred_people(
    template: MessageTemplate, django_capture_on_commit_callbacks: Any
) -> None:
    """All get it, in one go, from one page."""
    factories.make_bindings(200)
    client = composer("view_notification")
    with django_capture_on_commit_callbacks(execute=True):
        send(client, filled(template, everyone="on"))
    assert Notification.objects.get().counts["sent"] == 200
    assert len({message.openid for message in outbox}) == 200


def test_the_number_of_queries_does_not_grow(
    template: MessageTemplate, django_assert_max_num_queries: Any
) -> None:
    """Looking and sending ask the database as often for 200 people as for one."""
    factories.make_bindings(200)
    client = composer()
    with django_assert_max_num_queries(40):
        response = review(client, filled(template, everyone="on"))
    with django_assert_max_num_queries(50):
        client.post(address(), {**hidden_inputs(response), "_send": "1"})
    assert SendLog.objects.count() == 200


# -- a test to oneself -------------------------------------------------------------------------


def test_a_test_goes_to_oneself_alone(template: MessageTemplate) -> None:
    """The person at the keyboard gets it first, and is still on the last page."""
    client = composer("view_notification")
    me = client.get(address()).wsgi_request.user
    assert "Bind your own WeChat" in text(review(client, filled(template, person("alice", 1))))
    factories.make_binding(me, 9)
    form = filled(template, person("bob", 2), value_thing1="给{{ user.username }}")
    answer = {**hidden_inputs(review(client, form)), "_test": "1"}
    response = client.post(address(), answer)
    assert "A test is on its way to you" in told(response)
    assert names() == ["clerk"]
    assert SendLog.objects.get().data["thing1"] == {"value": "给clerk"}
    assert LogEntry.objects.count() == 1
    client.post(address(), answer)
    assert Notification.objects.count() == 1
    client.post(address(), {**hidden_inputs(response), "_send": "1"})
    assert names() == ["bob", "clerk"]


# -- something different for each recipient ------------------------------------------------------


def test_everybody_gets_their_own(template: MessageTemplate) -> None:
    """Each row has its own value; the last page shows the cards of the first few."""
    alice = person("alice", 1, first_name="爱丽丝")
    bob = person("bob", 2, first_name="鲍勃", last_name="王")
    form = filled(template, alice, bob, value_thing1="{{ user.first_name }}您好")
    shown = text(review(composer(), form))
    assert "As 王鲍勃 (bob) sees it" in shown
    assert "鲍勃您好" in shown
    send(composer(), form)
    assert {log.user.username: log.data["thing1"]["value"] for log in SendLog.objects.all()} == {
        "alice": "爱丽丝您好",
        "bob": "鲍勃您好",
    }


def test_problems_are_told_by_person(template: MessageTemplate) -> None:
    """Everybody whose value breaks a rule is named, and nothing can be sent."""
    good = person("alice", 1, first_name="爱丽丝")
    long, none = person("long", 2, first_name="很" * 25), person("none", 3)
    client, form = composer(), filled(template, good, long, none)
    form["value_thing1"] = "{{ user.first_name }}"
    response = review(client, form)
    shown = text(response)
    assert "2 people would get a value that WeChat refuses." in shown
    assert f"<b>{'很' * 25}</b> 商品: must be at most 20 characters; this has 25" in shown
    assert "<b>none</b> 商品: is empty" in shown
    assert 'name="_send"' not in shown
    refused = client.post(address(), {**hidden_inputs(response), "_send": "1"})
    assert "Nothing was sent." in told(refused)
    assert not Notification.objects.exists()


def test_where_bad_values_are_skipped(template: MessageTemplate, configure: Any) -> None:
    """With INVALID_DATA "skip" these people are left out, and the page says so before."""
    configure(INVALID_DATA="skip")
    form = filled(template, person("alice", 1, first_name="爱丽丝"), person("none", 3))
    form["value_thing1"] = "{{ user.first_name }}"
    response = review(composer(), form)
    assert "1 person does not get it: A value breaks the rule of its field." in text(response)
    assert response.context["review"].count == 1
    send(composer(), form)
    assert SendLog.objects.get(status="skipped").user.username == "none"


def test_people_with_a_bad_value_are_left_out(template: MessageTemplate) -> None:
    """One person's empty value does not keep it from the others: chosen on the last page, which
    shows whom it leaves out, and recorded with the reason."""
    people = [person(f"user{n}", n, first_name=f"名{n}") for n in range(1, 6)]
    people.append(person("none", 9))
    client = composer("view_notification")
    form = filled(template, *people, value_thing1="{{ user.first_name }}")
    asked = review(client, form)
    assert "Leave these people out" in text(asked)
    assert 'name="_send"' not in text(asked)
    shown = client.post(address(), {**hidden_inputs(asked), "_leave_out": "1"})
    assert "1 person does not get it: A value breaks the rule of its field." in text(shown)
    assert "<b>none</b> 商品: is empty" in text(shown)
    assert "Send 5 messages now" in text(shown)
    assert "Leave these people out" not in text(shown)
    assert not Notification.objects.exists()
    client.post(address(), {**hidden_inputs(shown), "_send": "1"})
    assert Notification.objects.get().logs.filter(status="pending").count() == 5
    skipped = SendLog.objects.get(status="skipped")
    assert skipped.user.username == "none"
    assert "is empty" in skipped.errmsg


def test_back_to_the_form_forgets_whom_to_leave_out(template: MessageTemplate) -> None:
    """What is filled in anew is looked at anew."""
    client = composer()
    form = filled(template, person("alice", 1, first_name="爱"), person("none", 2))
    form["value_thing1"] = "{{ user.first_name }}"
    shown = client.post(address(), {**hidden_inputs(review(client, form)), "_leave_out": "1"})
    edited = text(client.post(address(), {**hidden_inputs(shown), "_edit": "1"}))
    assert 'name="leave_out"' not in edited


def test_nobody_is_left_when_all_have_a_bad_value(template: MessageTemplate) -> None:
    """Leaving them out is not offered, and if it is asked for, there is nobody to send to."""
    client = composer()
    form = filled(template, person("none", 2), value_thing1="{{ user.first_name }}")
    assert "Leave these people out" not in text(review(client, form))
    shown = text(client.post(address(), {**form, "_leave_out": "1"}))
    assert "Nobody would get this message." in shown


def test_an_empty_value_has_a_fallback(template: MessageTemplate) -> None:
    """The form says how to write one, and a person without a name gets it."""
    client = composer()
    page_ = text(client.get(address(), {"template": template.pk}))
    assert '{{ user.first_name|default:"parent" }}' in page_
    form = filled(template, person("alice", 1, first_name="爱丽丝"), person("none", 2))
    form["value_thing1"] = '{{ user.first_name|default:"家长" }}'
    send(client, form)
    assert {log.user.username: log.data["thing1"]["value"] for log in SendLog.objects.all()} == {
        "alice": "爱丽丝",
        "none": "家长",
    }


def test_many_problems_are_counted(template: MessageTemplate) -> None:
    """The first ten are listed, and how many more there are."""
    people = [person(f"user{n}", n) for n in range(1, 13)]
    form = filled(template, *people, person("good", 20, first_name="好"))
    form["value_thing1"] = "{{ user.first_name }}"
    shown = text(review(composer(), form))
    assert "12 people would get a value that WeChat refuses." in shown
    assert "and 2 more" in shown


def test_a_bad_value_that_only_sending_finds_can_be_left_out(
    template: MessageTemplate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not everybody was looked at, leaving out is offered too."""
    monkeypatch.setattr("wechat_notify.admin.compose.review.MOST_CHECKED", 1)
    client = composer()
    form = filled(template, person("alice", 1, first_name="爱"), person("none", 2))
    form["value_thing1"] = "{{ user.first_name }}"
    asked = review(client, form)
    failed = client.post(address(), {**hidden_inputs(asked), "_send": "1"})
    assert "Nothing was sent." in told(failed)
    shown = client.post(address(), {**hidden_inputs(failed), "_leave_out": "1"})
    assert "whoever has a bad one is left out" in text(shown)
    client.post(address(), {**hidden_inputs(shown), "_send": "1"})
    assert SendLog.objects.counts() == {**SendLog.objects.counts(), "pending": 1, "skipped": 1}


def test_only_so_many_are_looked_at(template: MessageTemplate) -> None:
    """A very long list is looked at in part, which is said; sending looks at all of it."""
    factories.make_bindings(5001)
    form = filled(template, everyone="on", value_thing1="{{ user.username }}")
    assert "The values of the first 5000 people were looked at." in text(review(composer(), form))


def test_back_to_the_form_with_a_placeholder(template: MessageTemplate) -> None:
    """By the review's button, by a search and by a link: the card is that of a recipient."""
    alice = person("alice", 1, first_name="爱丽丝")
    form = filled(template, alice, value_thing1="{{ user.first_name }}")
    client = composer()
    reviewed = hidden_inputs(review(client, form))
    for response in (
        client.post(address(), {**reviewed, "_edit": "1"}),
        client.post(address(), {**form, "_search": "1", "user_search": "alice"}),
        client.post(address(), {**form, "_save_recipients": "1", "saved_as": "x"}),
        client.get(address(), form),
    ):
        shown = text(response)
        assert "(alice) sees it" in shown
        assert "爱丽丝</dd>" in shown


@pytest.mark.parametrize(
    ("given", "url", "is_program"),
    [
        ({}, "https://own.example/", True),
        ({"url": "https://x.example/"}, "https://x.example/", False),
        ({"miniprogram_appid": "wx0"}, "https://own.example/", True),
        ({"url": "https://x.example/", "miniprogram_appid": "wx0"}, "https://x.example/", True),
    ],
    ids=["neither", "link", "mini program", "both"],
)
def test_where_the_card_leads(
    template: MessageTemplate, given: dict[str, str], url: str, is_program: bool
) -> None:
    """Where the message says so; else as its template does, whose mini program hides no link."""
    MessageTemplate.objects.update(url="https://own.example/", miniprogram_appid="wxown")
    form = filled(template, person("alice", 1), **given)
    client = composer()
    preview = client.post(address("compose_preview"), form).json()["card"]
    for card in (preview, text(review(client, form)).partition("wechat-part--preview")[2]):
        assert f'href="{url}"' in card
        assert ("小程序" in card) is is_program


@pytest.mark.parametrize(
    ("typed", "opens"),
    [
        ("www.baidu.com/s?a=1", "https://www.baidu.com/s?a=1"),
        ("/orders/1/", "https://school.example/orders/1/"),
        ("https://x.example/", "https://x.example/"),
        ("", "https://school.example/orders/"),
    ],
)
def test_the_link_is_shown_as_it_will_open(
    template: MessageTemplate, typed: str, opens: str
) -> None:
    """On the card while typing, on the last page, and in what is sent: the same whole link."""
    client, form = composer(), filled(template, person("alice", 1), url=typed)
    preview = client.post(address("compose_preview"), form).json()["card"]
    assert f'href="{opens}"' in preview
    assert "查看详情" in preview
    shown, _half, card = text(review(client, form)).partition("wechat-part--preview")
    assert f'href="{opens}"' in shown
    assert f">{opens}</a>" in shown
    assert f'href="{opens}"' in card
    assert "查看详情" in card
    send(client, form)
    assert Notification.objects.get().url == opens


def test_the_mini_program_is_shown_as_it_will_open(template: MessageTemplate) -> None:
    """With its page, before it is sent."""
    more = {"miniprogram_appid": "wx0", "miniprogram_pagepath": "pages/index"}
    shown = text(review(composer(), filled(template, person("alice", 1), **more)))
    assert "A tap opens the mini program wx0 pages/index" in shown


def test_a_link_that_wechat_cannot_open_is_said(template: MessageTemplate, configure: Any) -> None:
    """Where nothing says which site a page is of, the last page says so and how to mend it."""
    configure(SITE_URL="")
    form = filled(template, person("alice", 1), url="/orders/1/")
    assert "WeChat cannot open the link /orders/1/" in text(review(composer(), form))


def test_a_filter_that_fails_for_somebody(template: MessageTemplate) -> None:
    """It is that person's problem, on the last page and in the preview."""
    form = filled(template, person("alice", 1), value_thing1="{{ user.date_joined|first }}")
    client = composer()
    assert "a filter cannot work on this person" in text(review(client, form))
    answer = client.post(address("compose_preview"), form).json()
    assert "filter cannot work" in answer["fields"]["thing1"]["error"]


def test_a_filter_that_fails_for_nobody(template: MessageTemplate) -> None:
    """It works for the one who gets the message; that it would not for an empty name is nothing."""
    form = filled(
        template,
        person("alice", 1, first_name="爱丽丝"),
        value_thing1="{{ user.first_name|default:3|first }}",
        value_amount2="656887888.00元",
    )
    shown = text(review(composer(), form))
    assert "爱</dd>" in shown
    assert "金额: " in shown  # what is said about the other values is still said
    send(composer(), form)
    assert SendLog.objects.get().data["thing1"]["value"] == "爱"


# -- ways in -----------------------------------------------------------------------------------


def test_ways_in(template: MessageTemplate) -> None:
    """A button on the notifications and on a template's page, for those who may use it."""
    seen = ("view_notification", "view_messagetemplate")
    client = composer(*seen)
    assert f'href="{address()}"' in text(client.get(page("notification")))
    link = f'href="{address()}?template={template.pk}"'
    assert link in text(client.get(page("messagetemplate", "change", template.pk)))
    clerk = Client()
    clerk.force_login(factories.make_user("other", is_staff=True, is_superuser=True))
    MessageTemplate.objects.update(is_active=False)
    assert "/compose/" not in text(client.get(page("messagetemplate", "change", template.pk)))

"""Field names and replacements in the admin."""

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, text, told
from tests.factories import make_bindings, make_template
from wechat_notify.backends import locmem
from wechat_notify.declarations import declare
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

NAMES = {"order_no": "character_string1", "title": "thing2"}
ORDER = {"order_no": "2026112301", "title": "围巾"}
CHANGE = (*SEE, "change_messagetemplate")
REPLACE = (*CHANGE, "send_notification")
NEW_CONTENT = "商品名称：{{thing7.DATA}}\n订单编号：{{character_string9.DATA}}"


@pytest.fixture(autouse=True)
def waits(configure: Any) -> None:
    """Nobody delivers until the test does."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


def save(template: MessageTemplate, *permissions: str, **fields: Any) -> Any:
    """Save the template's page with these inputs changed."""
    form = {
        "name": template.name,
        "title": template.title,
        "content": template.content,
        "is_active": "on" if template.is_active else "",
        "stand_in": template.stand_in_id or "",
        "field_names_unused": "",
        **{f"field_name_{key}": name for name, key in template.field_names.items()},
        **fields,
    }
    address = page("messagetemplate", "change", template.pk)
    return browser(*(permissions or CHANGE)).post(address, form, follow=True)


def detail(template: MessageTemplate, *permissions: str) -> str:
    client = browser(*(permissions or CHANGE))
    return text(client.get(page("messagetemplate", "change", template.pk)))


def test_names_are_set_beside_each_field(template: MessageTemplate) -> None:
    """With label, rule and key; names without a field are kept too."""
    shown = detail(template)
    for words in ("character_string1", "商品名称", "at most 20 characters"):
        assert words in shown
    save(
        template,
        field_name_character_string1="order_no",
        field_name_thing2=" title ",
        field_names_unused="note, colour",
    )
    template.refresh_from_db()
    assert template.field_names == {**NAMES, "note": "", "colour": ""}
    assert 'value="order_no"' in detail(template)
    assert "<code>order_no</code>" in detail(template, "view_messagetemplate")


def test_names_are_proposed_from_the_code(
    template: MessageTemplate, own_declarations: None
) -> None:
    """What the code declares, by type and label; nothing is stored until somebody saves."""
    assert "Proposed" not in detail(template)
    declare("order_paid", fields=["order_no", "title"])
    shown = detail(template)
    assert "Proposed from what the code declares" in shown
    assert 'value="order_no"' in shown
    template.refresh_from_db()
    assert template.field_names == {}


def test_wrong_names_are_refused_all_at_once(template: MessageTemplate) -> None:
    """The page comes back with what was typed, and says what is wrong with each."""
    response = save(
        template,
        field_name_character_string1="thing2",
        field_name_thing2="two words",
        field_names_unused="first",
    )
    shown = text(response)
    assert "thing2 (character_string1): is also a key of this template" in shown
    assert "two words (thing2): is no name" in shown
    assert "first: is WeChat’s own word" in shown
    assert 'value="two words"' in shown
    twice = save(template, field_name_character_string1="title", field_name_thing2="title")
    assert "title stands at more than one field." in text(twice)
    template.refresh_from_db()
    assert template.field_names == {}


def test_a_name_that_waiting_messages_use_stays() -> None:
    """It can get neither another field nor none; a name beside it can be added."""
    template = make_template(field_names=NAMES)
    notify(make_bindings(1), template, ORDER)
    response = save(template, field_name_character_string1="number", field_name_thing2="title")
    assert "Waiting messages use order_no." in text(response)
    save(template, field_names_unused="note")
    template.refresh_from_db()
    assert template.field_names == {**NAMES, "note": ""}
    SendLog.objects.update(status="sent")
    save(template, field_name_character_string1="number")
    template.refresh_from_db()
    assert "number" in template.field_names


def test_a_stand_in_lets_waiting_messages_go() -> None:
    """Chosen among the account's others; the page and the list say that it is used."""
    template = make_template(field_names=NAMES)
    spare = make_template("spare", template_id="S" * 43, field_names=NAMES, title="备用通知")
    make_template("far", template_id="F" * 43, account="other", title="别的账号")
    notify(make_bindings(2), template, ORDER)
    MessageTemplate.objects.filter(pk=template.pk).update(
        paused_at=timezone.now(), pause_errcode=43116
    )
    SendLog.objects.update(due_at=None)
    choices = detail(template)
    assert "备用通知" in choices
    assert "别的账号" not in choices
    response = save(template, *REPLACE, stand_in=spare.pk)
    assert "2 waiting messages go on." in told(response)
    assert "leave with its stand-in, 备用通知" in detail(template)
    assert "leave with its stand-in" in text(browser(*SEE).get(page("messagetemplate")))
    engine.deliver()
    assert {message.template_id for message in locmem.outbox} == {spare.template_id}


def test_nobody_lets_messages_go_without_the_permission_to_send() -> None:
    """Switching a template on again releases nothing for those who may only change templates."""
    template = make_template(field_names=NAMES, is_active=True)
    notify(make_bindings(2), template, ORDER)
    MessageTemplate.objects.update(is_active=False)
    SendLog.objects.update(due_at=None)
    template.refresh_from_db()
    save(template, is_active="on")
    assert not SendLog.objects.filter(due_at__isnull=False).exists()
    address = page("messagetemplate", "resume", template.pk)
    assert address in detail(template, *SEE, "send_notification")
    browser(*SEE, "send_notification").post(address, {"post": "yes"})
    assert SendLog.objects.filter(due_at__isnull=False).count() == 2


# -- replacing --------------------------------------------------------------------------------


@pytest.fixture
def pair() -> tuple[MessageTemplate, MessageTemplate]:
    """A banned template for which three messages wait, and one that could have its name."""
    old = make_template(field_names=NAMES)
    new = make_template("t-abcd1234", template_id="N" * 43, title="新通知", content=NEW_CONTENT)
    notify(make_bindings(3), old, ORDER)
    MessageTemplate.objects.filter(pk=old.pk).update(paused_at=timezone.now(), pause_errcode=43116)
    SendLog.objects.update(due_at=None)
    return old, new


def test_replacing_shows_first_what_would_happen(
    pair: tuple[MessageTemplate, MessageTemplate],
) -> None:
    """Both cards with real data, the fields as proposed, how many wait; nothing is changed."""
    old, new = pair
    address = page("messagetemplate", "replace", old.pk)
    assert address in detail(old, *REPLACE)
    client = browser(*REPLACE)
    assert "新通知" in text(client.get(address))
    shown = text(client.post(address, {"new": new.pk, "_show": "1"}))
    assert "3 messages wait and leave with the new template." in shown
    assert shown.count("<dd>围巾</dd>") == 2
    assert '<option value="thing7" selected>商品名称 (thing7)</option>' in shown
    # Not what was seen: chosen and confirmed in one step.
    client.post(address, {"new": new.pk, "post": "yes"})
    old.refresh_from_db()
    assert old.name == "order_paid"


def test_replacing_and_undoing_it(pair: tuple[MessageTemplate, MessageTemplate]) -> None:
    """What waited goes on; both templates' histories say so; the same page leads back."""
    old, new = pair
    client = browser(*REPLACE)
    address = page("messagetemplate", "replace", old.pk)
    form = {
        "new": new.pk,
        "mapped_for": new.pk,
        "field_order_no": "character_string9",
        "field_title": "thing7",
        "post": "yes",
    }
    response = client.post(address, form, follow=True)
    assert "order_paid now means this template. 3 messages that waited go on." in told(response)
    new.refresh_from_db()
    assert new.name == "order_paid"
    assert LogEntry.objects.filter(object_id__in=[str(old.pk), str(new.pk)]).count() == 2
    engine.deliver()
    assert {message.template_id for message in locmem.outbox} == {new.template_id}
    form |= {
        "new": old.pk,
        "mapped_for": old.pk,
        "field_order_no": "character_string1",
        "field_title": "thing2",
    }
    client.post(page("messagetemplate", "replace", new.pk), form)
    old.refresh_from_db()
    assert (old.name, old.field_names) == ("order_paid", NAMES)


def test_what_cannot_be_done_is_said_before(
    pair: tuple[MessageTemplate, MessageTemplate],
) -> None:
    """A field that nothing fills in: the page has no button. What would be refused is counted."""
    old, new = pair
    client = browser(*REPLACE)
    address = page("messagetemplate", "replace", old.pk)
    form = {"new": new.pk, "mapped_for": new.pk, "field_order_no": "character_string9"}
    shown = text(client.post(address, {**form, "field_title": "", "_show": "1"}))
    assert "is a field of the new template that nothing fills in" in shown
    assert 'name="post"' not in shown
    MessageTemplate.objects.filter(pk=new.pk).update(content=NEW_CONTENT.replace("thing7", "date7"))
    shown = text(client.post(address, {**form, "field_title": "date7", "_show": "1"}))
    assert "3 waiting messages would be refused: title (date7): must be a date" in shown


@pytest.mark.parametrize("permissions", [CHANGE, (*SEE, "send_notification")])
def test_replacing_takes_both_permissions(
    pair: tuple[MessageTemplate, MessageTemplate], permissions: tuple[str, ...]
) -> None:
    """Changing templates, and sending: what waits goes out."""
    old, _new = pair
    address = page("messagetemplate", "replace", old.pk)
    assert address not in detail(old, *permissions)
    assert browser(*permissions).post(address, {"post": "yes"}).status_code == 403


def test_a_link_to_the_form_may_say_names(template: MessageTemplate) -> None:
    """``?value_order_no=…`` fills in the field that has this name."""
    MessageTemplate.objects.update(field_names=NAMES)
    client = browser(*REPLACE)
    user = get_user_model().objects.get(username="clerk")
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    address = page("notification", "compose")
    shown = text(client.get(address, {"template": template.pk, "value_title": "羊毛围巾"}))
    assert 'value="羊毛围巾"' in shown or ">羊毛围巾<" in shown

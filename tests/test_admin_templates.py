"""Templates in the admin: their state in words, their fields and card, and the sync."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, text, told
from tests.factories import ORDER, make_binding, make_template
from wechat_notify.models import MessageTemplate
from wechat_notify.sandbox import samples
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify

pytestmark = pytest.mark.django_db

LIST = "/admin/wechat_notify/messagetemplate/"
CHANGE = ("view_messagetemplate", "change_messagetemplate")


def detail(template: MessageTemplate, *permissions: str) -> str:
    client = browser(*(permissions or ("view_messagetemplate",)))
    return text(client.get(page("messagetemplate", "change", template.pk)))


def sync(*accounts: str) -> str:
    """What the page tells after a sync."""
    client = browser(*SEE, "sync_messagetemplate")
    form = {"post": "yes", "account": accounts or "default"}
    return told(client.post(page("messagetemplate", "sync"), form, follow=True))


# -- state ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "Active"),
        ({"is_active": False}, "Switched off by hand."),
        ({"is_active": False, "missing_since": timezone.now()}, "WeChat has not listed it since"),
        ({"paused_at": timezone.now(), "pause_errcode": 43116}, "(errcode 43116)"),
        ({"paused_at": timezone.now()}, "Somebody paused it."),
        ({"content_changed_at": timezone.now()}, "Check the code that sends it."),
    ],
)
def test_the_state_is_told_in_words(
    template: MessageTemplate, values: dict[str, Any], said: str
) -> None:
    """On the list and on the page: usable, switched off, missing, paused and why, changed."""
    MessageTemplate.objects.update(**values)
    assert said in text(browser("view_messagetemplate").get(LIST))
    assert said in detail(template)


@pytest.mark.parametrize(
    ("state", "names"),
    [
        ("usable", ["changed", "good"]),
        ("inactive", ["off"]),
        ("paused", ["paused"]),
        ("changed", ["changed"]),
        ("", ["changed", "good", "off", "paused"]),
    ],
)
def test_the_list_is_filtered_by_state(state: str, names: list[str]) -> None:
    """Each state of the filter finds just its templates."""
    make_template("good")
    make_template("off", is_active=False)
    make_template("paused", paused_at=timezone.now())
    make_template("changed", content_changed_at=timezone.now())
    response = browser("view_messagetemplate").get(LIST, {"state": state})
    assert [row.name for row in response.context["cl"].result_list] == names


def test_resuming_a_paused_template(template: MessageTemplate) -> None:
    """It is in use again, what waited for it is due, and the reader is told how much."""
    log = notify(make_binding(), template, ORDER).logs.get()
    template.notifications.get().logs.update(due_at=None)
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    address = page("messagetemplate", "resume", template.pk)
    assert address in detail(template, *SEE, "send_notification")
    client = browser(*SEE, "send_notification")
    response = client.post(address, {"post": "yes"}, follow=True)
    assert told(response) == "The template is in use again: 1 waiting message goes on."
    log.refresh_from_db()
    assert log.due_at is not None
    assert address not in detail(template, *SEE, "send_notification")


# -- fields and card --------------------------------------------------------------------------


def test_fields_are_listed_with_label_type_and_rule(template: MessageTemplate) -> None:
    """What code must send, in one table."""
    shown = detail(template)
    for words in ("<code>thing2</code>", "商品名称", "at most 20 characters"):
        assert words in shown


def test_a_field_without_a_rule_and_a_template_without_content() -> None:
    """What WeChat does not document, and what has not been fetched yet, is said to be so."""
    old = make_template("old", content="{{keyword.DATA}}")
    assert "WeChat documents no rule" in detail(old)
    bare = make_template("bare", content="")
    assert "The content is not known." in detail(bare)


def test_the_card_shows_the_example() -> None:
    """Values come from WeChat's example; a field that it does not show stands as its name."""
    template = make_template(
        "leave",
        content="申请人：{{name1.DATA}}\n开始时间：{{time3.DATA}}\n事由：{{thing5.DATA}}",
        example="您有新的申请\n申请人：李小明\n开始时间:2026年11月24日 08:00",
    )
    shown = detail(template)
    for row in (
        "<dt>申请人</dt><dd>李小明</dd>",
        "<dt>开始时间</dt><dd>2026年11月24日 08:00</dd>",
        "<dt>事由</dt><dd>thing5</dd>",
    ):
        assert row in shown


def test_the_cards_bar_names_the_account(configure: Callable[..., None]) -> None:
    """As people call it, else by its alias; a template of an account that is gone keeps its own."""
    template = make_template(content="事由：{{thing1.DATA}}")
    bar = '<div class="wechat-chat__bar">{}</div>'
    assert bar.format("default") in detail(template)
    configure(default={"NAME": "阳光实验学校"})
    assert bar.format("阳光实验学校") in detail(template)
    MessageTemplate.objects.update(account="gone")
    assert bar.format("gone") in detail(template)


def test_content_is_escaped() -> None:
    """A title or label with markup is text."""
    evil = "<script>alert(1)</script>"
    template = make_template("evil", title=evil, content=f"{evil}：{{{{thing1.DATA}}}}")
    assert evil not in detail(template)
    assert evil not in text(browser("view_messagetemplate").get(LIST))


# -- editing ----------------------------------------------------------------------------------


def form(template: MessageTemplate, **values: Any) -> dict[str, Any]:
    names = ("name", "title", "content", "example", "url", "notes")
    return {name: getattr(template, name) for name in names} | {"is_active": "on"} | values


def test_a_template_is_registered_by_hand() -> None:
    """For one of the configured accounts, and no other."""
    client = browser(*CHANGE, "add_messagetemplate")
    values = {"name": "leave", "template_id": "T" * 43, "is_active": "on"}
    refused = client.post(page("messagetemplate", "add"), {**values, "account": "nowhere"})
    assert "not one of the available choices" in text(refused)
    assert not MessageTemplate.objects.exists()
    client.post(page("messagetemplate", "add"), {**values, "account": "other"})
    assert MessageTemplate.objects.get().account == "other"


def test_what_wechat_decides_is_not_edited(template: MessageTemplate) -> None:
    """After a sync its title and content are WeChat's; its name and link stay the site's own."""
    MessageTemplate.objects.update(synced_at=timezone.now())
    values = form(template, title="other", content="other", name="renamed", url="https://x.example")
    browser(*CHANGE).post(page("messagetemplate", "change", template.pk), values)
    after = MessageTemplate.objects.get()
    assert (after.title, after.content) == (template.title, template.content)
    assert (after.name, after.url) == ("renamed", "https://x.example")


def test_a_name_is_used_once_on_an_account(template: MessageTemplate) -> None:
    """Renaming to a name that is taken is refused in words; another account's is free."""
    make_template("leave")
    make_template("invoice", account="other")
    client, address = browser(*CHANGE), page("messagetemplate", "change", template.pk)
    refused = text(client.post(address, form(template, name="leave")))
    assert "Another template of this account has this name." in refused
    for name in ("order_paid", "invoice"):
        assert client.post(address, form(template, name=name)).status_code == 302
        assert MessageTemplate.objects.get(pk=template.pk).name == name


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"url": "javascript:alert(1)"}, "Must start with http:// or https://"),
        ({"url": "http://["}, "Must start with http:// or https://"),
        ({"url": "https://x.example/" + "y" * 2020}, "Is longer than 2048 characters"),
        ({"miniprogram_pagepath": "pages/a"}, "A page needs the mini program it is in."),
    ],
    ids=["scheme", "no address", "too long", "page alone"],
)
def test_where_a_tap_leads_is_checked(
    template: MessageTemplate, values: dict[str, str], said: str
) -> None:
    """A link that nothing can be sent with is refused where it is typed."""
    client, address = browser(*CHANGE), page("messagetemplate", "change", template.pk)
    assert said in text(client.post(address, form(template, **values)))
    good = form(template, url="/orders/", miniprogram_appid="wx1", miniprogram_pagepath="pages/a")
    assert client.post(address, good).status_code == 302
    assert MessageTemplate.objects.get().url == "/orders/"
    assert client.post(address, {**good, "url": "www.baidu.com"}).status_code == 302
    assert MessageTemplate.objects.get().url == "https://www.baidu.com"


def test_what_was_registered_by_hand_can_be_edited(template: MessageTemplate) -> None:
    """A template that no sync has seen has nobody else to correct its title."""
    values = form(template, title="other")
    browser(*CHANGE).post(page("messagetemplate", "change", template.pk), values)
    assert MessageTemplate.objects.get().title == "other"


def test_the_mark_of_changed_content_is_taken_off_by_who_has_looked(
    template: MessageTemplate,
) -> None:
    """Only ticking the box does it: neither looking at the page nor saving something else."""
    MessageTemplate.objects.update(content_changed_at=timezone.now())
    assert "content_seen" in detail(template, *CHANGE)
    assert "content_seen" not in detail(template)
    address = page("messagetemplate", "change", template.pk)
    client = browser(*CHANGE)
    client.post(address, form(template))
    assert MessageTemplate.objects.get().content_changed_at is not None
    client.post(address, form(template, content_seen="on"))
    assert MessageTemplate.objects.get().content_changed_at is None
    assert "content_seen" not in detail(template, *CHANGE)


def test_a_template_with_history_is_not_deleted(template: MessageTemplate) -> None:
    """The log is never lost: Django's own page says what stands in the way."""
    notify(make_binding(), template, ORDER)
    client = browser(*CHANGE, "delete_messagetemplate")
    client.post(page("messagetemplate", "delete", template.pk), {"post": "yes"})
    assert MessageTemplate.objects.exists()


# -- sync -------------------------------------------------------------------------------------


def test_sync_brings_the_list_in_line(wechat: Sandbox) -> None:
    """New ones are added, changed ones marked, missing ones switched off; the log says so."""
    old_id, gone_id = "O" * 43, "G" * 43
    wechat.add_template({"template_id": old_id, "title": "新", "content": "甲：{{thing1.DATA}}"})
    make_template(
        "old", template_id=old_id, content="乙：{{thing2.DATA}}", synced_at=timezone.now()
    )
    make_template("gone", template_id=gone_id, synced_at=timezone.now())
    make_template(
        "back",
        template_id=samples.LEAVE_TEMPLATE_ID,
        is_active=False,
        missing_since=timezone.now(),
    )
    message = sync()
    assert "Account default is in line with WeChat" in message
    assert "WeChat no longer lists: gone." in message
    assert "The content changed: back, old." in message
    assert MessageTemplate.objects.get(name="back").is_active
    old = MessageTemplate.objects.get(name="old")
    assert old.title == "新"
    assert MessageTemplate.objects.get(name="gone").is_active is False
    entries = LogEntry.objects.filter(object_id=str(old.pk))
    assert "+甲：{{thing1.DATA}}" in entries.get().change_message
    assert LogEntry.objects.filter(object_repr="default", object_id=None).count() == 1


def test_sync_is_offered_to_who_may(template: MessageTemplate) -> None:
    """The button is there with the permission, and asks for which account."""
    address = page("messagetemplate", "sync")
    assert address not in text(browser("view_messagetemplate").get(LIST))
    client = browser("view_messagetemplate", "sync_messagetemplate")
    assert address in text(client.get(LIST))
    shown = text(client.get(address))
    assert 'value="default" id="id_account_0" checked' in shown
    assert 'value="other" id="id_account_1" checked' in shown


def test_sync_of_an_unknown_account_asks_again() -> None:
    """A forged alias is refused by the form."""
    client = browser("view_messagetemplate", "sync_messagetemplate")
    response = client.post(page("messagetemplate", "sync"), {"post": "yes", "account": "nowhere"})
    assert "not one of the available choices" in text(response)


def test_a_sync_that_wechat_refuses_is_told(
    wechat: Sandbox, configure: Callable[..., None]
) -> None:
    """The cause and the next step reach the reader, the secret does not, and nothing changes."""
    configure(default={"APP_SECRET": "of-another-account"})
    message = sync()
    assert "errcode 40001" in message or "errcode 40125" in message
    assert "of-another-account" not in message
    assert not MessageTemplate.objects.exists()


def test_a_backend_that_has_no_list_is_told() -> None:
    """The backend for tests cannot list templates: that is said, and nothing crashes."""
    assert "other" in sync("other")


def test_several_accounts_are_synced_and_one_that_fails_stops_no_other(wechat: Sandbox) -> None:
    """Each is told of by its name."""
    message = sync("other", "default")
    assert "other: " in message
    assert "Account default is in line with WeChat" in message


def test_no_account_at_all_asks_again(wechat: Sandbox) -> None:
    """Somebody has unticked every one of them."""
    client = browser(*SEE, "sync_messagetemplate")
    assert "This field is required." in text(
        client.post(page("messagetemplate", "sync"), {"post": "yes"})
    )


def test_the_page_is_told_of_one_account_at_a_time(wechat: Sandbox) -> None:
    """To its script the same is said as JSON, and is not said again by the next page."""
    client = browser(*SEE, "sync_messagetemplate")
    form = {"post": "yes", "account": "default"}
    headers = {"accept": "application/json"}
    answer = client.post(page("messagetemplate", "sync"), form, headers=headers).json()
    assert [one["tag"] for one in answer["told"]] == ["success"]
    assert "Account default is in line with WeChat" in answer["told"][0]["text"]
    assert told(client.get(LIST)) == ""
    assert LogEntry.objects.filter(object_repr="default", object_id=None).count() == 1

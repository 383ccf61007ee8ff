"""Composing as a person does it: by mouse and keyboard, on a desktop and on a phone."""

import re
from datetime import datetime, timezone
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection

from tests import factories
from tests.browser.conftest import DATABASE, DESKTOP, PHONE, fits, follow, held
from tests.school.models import Leave
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding
from wechat_notify.sending import engine
from wechat_notify.services import notify

NARROW = {"viewport": {"width": 390, "height": 844}}
CONTENT = "商品：{{thing1.DATA}}\n金额：{{amount2.DATA}}\n时间：{{time3.DATA}}"
INLINE = "wechat_notify.dispatchers.inline.InlineDispatcher"
TOO_LONG = "秋季校服一套，含外套、长裤、衬衫和领带，请查收"


@pytest.fixture
def site(site: str, settings: Any, wechat: Any) -> str:
    """The same site with a school's admin."""
    settings.ROOT_URLCONF = "tests.compose_site"
    wechat.account.any_openid = True
    # All of them, however long it takes.
    inline = {"BACKEND": INLINE, "OPTIONS": {"limit": None}}
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "DISPATCHER": inline}
    # Receipts would come while a page is at work, and share its connection to the database.
    wechat.account.callback_url = ""
    # What the browser keeps open may end after the server, and then gives its database back.
    connection.inc_thread_sharing()
    get_user_model().objects.create_superuser("boss", password="letmein", first_name="主任")
    return site


@pytest.fixture
def template(wechat: Any, transactional_db: None) -> MessageTemplate:
    factories.make_template("closed", title="停课通知", content="班级：{{thing1.DATA}}")
    made = factories.make_template(content=CONTENT, title="订单支付成功通知")
    wechat.add_template(factories.sandbox_template(made))
    return made


def sign_in(page: Any, site: str) -> None:
    page.goto(f"{site}/admin/")
    page.get_by_label("Username").fill("boss")
    page.get_by_label("Password").fill("letmein")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Site administration").wait_for()


def compose(page: Any, site: str, template: MessageTemplate) -> None:
    """Open the form for a message with this template."""
    page.goto(f"{site}/admin/wechat_notify/notification/compose/?template={template.pk}")


def send(page: Any, messages: int) -> None:
    """Press the last button, and see the page of what was sent.

    The news that it is on its way goes from that page as soon as nothing is: not to be waited for.
    """
    many = "messages" if messages > 1 else "message"
    follow(page.get_by_role("button", name=f"Send {messages} {many} now"))
    page.get_by_role("region", name="Progress").wait_for()


def only_notification() -> Notification:
    with DATABASE:
        return Notification.objects.get()


def fill(page: Any) -> None:
    page.get_by_label("商品", exact=True).fill("秋季校服")
    page.get_by_label("金额", exact=True).fill("39.80元")
    page.get_by_label("时间", exact=True).fill("2026年11月23日 15:01")


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_composing_for_two_hundred_people(
    site: str, wechat: Any, template: MessageTemplate, open_browser: Any, device: Any
) -> None:
    """From the list of notifications to two hundred phones: the card follows the typing, what is
    too long is refused at once, and the last page says how many."""
    bindings = factories.make_bindings(200)
    page, phone = open_browser(device), open_browser(PHONE)
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/notification/")
    follow(page.get_by_role("link", name="Compose and send").last)
    page.get_by_label("Search templates").press_sequentially("订单")
    page.get_by_role("button", name="Use “停课通知”").wait_for(state="hidden")
    assert fits(page)
    follow(page.get_by_role("button", name="Use “订单支付成功通知”"))

    card = page.locator("[data-wechat-card]")
    thing, said = page.get_by_label("商品", exact=True), page.locator("#id_value_thing1_said")
    thing.fill(TOO_LONG)
    said.get_by_text(f"Must be at most 20 characters; this has {len(TOO_LONG)}").wait_for()
    page.get_by_text(f"{len(TOO_LONG)} / 20").wait_for()
    assert thing.get_attribute("aria-invalid") == "true"
    thing.fill("手工羊毛围巾")
    card.get_by_text("手工羊毛围巾").wait_for()
    assert said.inner_text() == ""
    page.get_by_text("6 / 20").wait_for()
    fill(page)
    page.get_by_label("Everyone who has bound WeChat").check()
    assert fits(page)
    page.get_by_role("button", name="Continue to review").click()

    page.get_by_text("0 of 100000 used").wait_for()
    page.get_by_text("39.80元", exact=True).wait_for()
    assert fits(page)
    send(page, 200)
    notification = only_notification()
    assert page.url.endswith(f"/notification/{notification.pk}/change/")
    with DATABASE:
        assert notification.counts["sent"] == 200
    assert len(wechat.messages) == 200
    phone.goto(f"{wechat.url}/phone/{bindings[0].openid}/")
    phone.get_by_text("秋季校服").wait_for()


def test_a_title_and_the_end_of_the_news(
    site: str, template: MessageTemplate, settings: Any, open_browser: Any
) -> None:
    """The title is proposed as one types and can be replaced; the page says how it stands, and once
    everything is done it no longer says that the message is on its way."""
    worker = "wechat_notify.dispatchers.worker.WorkerDispatcher"
    settings.WECHAT_NOTIFY = {**settings.WECHAT_NOTIFY, "DISPATCHER": worker}
    factories.make_bindings(2)
    page = open_browser(DESKTOP)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    proposed = page.locator('input[name="title"][placeholder="秋季校服 · 39.80元"]')
    proposed.wait_for()
    page.get_by_label("Title", exact=True).fill("校服到了")
    page.get_by_label("Everyone who has bound WeChat").check()
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("Title: 校服到了").wait_for()
    page.get_by_role("button", name="Send 2 messages now").click()
    news = page.get_by_text("It is on its way")
    news.wait_for()
    panel = page.get_by_role("region", name="Progress")
    panel.get_by_text("Being sent", exact=True).wait_for()
    with DATABASE:
        engine.deliver()
    panel.get_by_text("All 2 messages are done.").wait_for()
    panel.get_by_text("Done", exact=True).wait_for()
    news.wait_for(state="detached")
    page.goto(f"{site}/admin/wechat_notify/notification/?q=校服到了")
    page.get_by_role("link", name=re.compile("^校服到了 #")).wait_for()


def test_choosing_people_by_keyboard(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """Type, arrow down, Enter; a person taken off again is not written to."""
    for number, (last, first) in enumerate([("王", "小明"), ("王", "小红"), ("李", "小刚")], 1):
        user = factories.make_user(f"user{number}", last_name=last, first_name=first)
        factories.make_binding(user, number)
    page = open_browser(DESKTOP)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    people = page.get_by_role("combobox", name="People")
    for term in ("王小明", "李小刚"):
        people.press_sequentially(term)
        # The others go with the answer to the whole name; a part of it fits several.
        page.wait_for_function("() => document.querySelectorAll('[role=option]').length === 1")
        people.press("ArrowDown")
        people.press("Enter")
    people.press_sequentially("没有这个人")
    page.get_by_text("Nobody was found.").wait_for()
    people.press("Escape")
    people.fill("")
    chosen = page.locator("#wechat-chosen")
    assert chosen.inner_text().split() == ["王小明", "(user1)", "李小刚", "(user3)"]
    chosen.get_by_label("李小刚").click()
    page.get_by_label("商品", exact=True).press("Enter")
    send(page, 1)
    with DATABASE:
        assert Notification.objects.get().logs.get().user.username == "user1"


def test_an_answer_that_comes_late_opens_no_list(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """Somebody was chosen of those found before; nothing covers the page after that."""
    for number, first in enumerate(["小明", "小红"], 1):
        user = factories.make_user(f"user{number}", last_name="王", first_name=first)
        factories.make_binding(user, number)
    page = open_browser(DESKTOP, "boss")
    compose(page, site, template)
    people = page.get_by_role("combobox", name="People")
    people.press_sequentially("王")
    page.locator("#wechat-found li").nth(1).wait_for()
    with held(page, "**/users/*", lambda request: True) as answers:
        people.press_sequentially("小")
        answers.wait()
        people.press("ArrowDown")
        people.press("Enter")
        with page.expect_response("**/users/*") as answer:
            answers.release()
        answer.value.finished()
        page.evaluate("() => new Promise((done) => setTimeout(done, 100))")
    assert page.locator("#wechat-found li").count() == 0
    assert people.get_attribute("aria-expanded") == "false"


def test_recipients_are_saved_and_ticked_for_the_next_message(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """Enter in the name presses the button beside it; what was filled in stays, and the next
    message needs one tick."""
    group = Group.objects.create(name="初三（2）班家长")
    group.user_set.set(binding.user for binding in factories.make_bindings(2))
    page = open_browser(NARROW)
    sign_in(page, site)
    address = f"{site}/admin/wechat_notify/notification/compose/?template={template.pk}"
    page.goto(address)
    page.get_by_label("商品", exact=True).fill("秋季校服")
    page.get_by_label("初三（2）班家长 (2)").check()
    page.get_by_text("Save these recipients").click()
    page.get_by_label("Name", exact=True).fill("二班")
    page.get_by_label("Name", exact=True).press("Enter")
    page.get_by_text("“二班” is saved.").wait_for()
    assert page.get_by_label("商品", exact=True).input_value() == "秋季校服"
    assert page.get_by_label("初三（2）班家长 (2)").is_checked()
    assert fits(page)

    page.goto(address)
    fill(page)
    page.get_by_label("二班 1 group").check()
    page.get_by_role("button", name="Continue to review").click()
    send(page, 2)
    assert only_notification().total == 2


def test_a_time_is_picked_and_a_name_is_inserted(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """The picker writes WeChat's own form, ranges too; a placeholder shows a real person."""
    factories.make_binding(factories.make_user("alice", first_name="爱丽丝"), 1)
    page = open_browser(DESKTOP)
    sign_in(page, site)
    compose(page, site, template)
    time, picker = page.get_by_label("时间", exact=True), page.locator(".wechat-picker input")

    def pick(moment: str) -> None:
        """What the browser's own picker does; it opens outside of the page."""
        picker.evaluate(
            "(input, value) => { input.value = value;"
            " input.dispatchEvent(new Event('change', {bubbles: true})); }",
            moment,
        )

    pick("2026-11-23T15:01")
    assert time.input_value() == "2026年11月23日 15:01"
    time.press("End")
    time.press_sequentially("~")
    pick("2026-11-23T16:30")
    assert time.input_value() == "2026年11月23日 15:01~2026年11月23日 16:30"
    page.locator("[data-wechat-card]").get_by_text("16:30").wait_for()

    page.get_by_label("Everyone who has bound WeChat").check()
    page.get_by_label("商品", exact=True).click()
    page.get_by_text("Something different for each recipient").click()
    page.get_by_role("button", name="First name").click()
    assert page.get_by_label("商品", exact=True).input_value() == "{{ user.first_name }}"
    page.get_by_text("As 爱丽丝 (alice) sees it").wait_for()
    page.get_by_text("3 / 20").wait_for()


@pytest.mark.parametrize("used", [".wechat-picker button", ".wechat-picker input"])
def test_a_name_is_inserted_after_a_date_was_picked(
    site: str, template: MessageTemplate, open_browser: Any, used: str
) -> None:
    """The picker's button, or the input behind it, had the focus; the text goes beside it."""
    page = open_browser(DESKTOP)
    sign_in(page, site)
    compose(page, site, template)
    page.get_by_text("Something different for each recipient").click()
    page.locator(used).evaluate("element => element.focus()")
    page.get_by_role("button", name="First name").click()
    assert page.get_by_label("时间", exact=True).input_value() == "{{ user.first_name }}"


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_one_empty_value_does_not_keep_it_from_the_others(
    site: str, template: MessageTemplate, open_browser: Any, device: Any
) -> None:
    """The last page names the person and offers to leave them out; a fallback helps as well."""
    factories.make_binding(factories.make_user("alice", first_name="爱丽丝"), 1)
    factories.make_binding(factories.make_user("none"), 2)
    page = open_browser(device)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    page.get_by_label("Everyone who has bound WeChat").check()
    thing = page.get_by_label("商品", exact=True)
    thing.fill("")
    page.get_by_text("Something different for each recipient").click()
    page.get_by_role("button", name="First name").click()
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("1 person would get a value that WeChat refuses.").wait_for()
    assert fits(page)
    follow(page.get_by_role("button", name="Leave these people out"))
    page.get_by_role("button", name="Send 1 message now").wait_for()

    follow(page.get_by_role("button", name="Back to the form"))
    page.get_by_text("Something different for each recipient").click()
    page.get_by_label("Where a person has none, write instead").fill('家"长}}')
    thing.fill("")
    page.get_by_role("button", name="First name").click()
    assert thing.input_value() == '{{ user.first_name|default:"家长" }}'
    assert fits(page)
    page.get_by_role("button", name="Continue to review").click()
    send(page, 2)
    assert only_notification().total == 2


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_a_table_of_two_hundred_with_three_wrong_rows(
    site: str, wechat: Any, template: MessageTemplate, open_browser: Any, device: Any, tmp_path: Any
) -> None:
    """From a spreadsheet's file to the phones: the wrong rows are named, the others get theirs."""
    factories.make_bindings(200)
    rows = [f"user{number},第{number}件" for number in range(1, 201)]
    rows[10], rows[20], rows[30] = "nobody,甲", "user1,乙", f"user31,{TOO_LONG}"
    file = tmp_path / "名单.csv"
    file.write_bytes("\r\n".join(["用户名,商品", *rows]).encode("gb18030"))
    page = open_browser(device)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    page.get_by_label("商品", exact=True).fill("")
    page.get_by_text("Use a table with one row a person").click()
    assert fits(page)
    page.get_by_label("Or choose a CSV file").set_input_files(file)
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("Line 12: “nobody” is not known").wait_for()
    page.get_by_text("Line 22: “user1” is the same person as in line 2").wait_for()
    page.get_by_text("Line 32: user31").wait_for()
    assert fits(page)
    page.get_by_role("button", name="Leave these people out").click()
    send(page, 197)
    with DATABASE:
        assert Notification.objects.get().counts["sent"] == 197
    assert len({message.data["thing1"]["value"] for message in wechat.messages}) == 197


def test_a_pasted_table_shows_a_persons_own_card(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """The card follows what is pasted, without a press of a button."""
    factories.make_bindings(2)
    page = open_browser(DESKTOP)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    page.get_by_text("Use a table with one row a person").click()
    page.get_by_label("Paste it from a spreadsheet").fill("用户名\t商品\nuser1\t羊毛手套")
    page.locator("[data-wechat-card]").get_by_text("羊毛手套").wait_for()
    page.get_by_text("As user1 sees it").wait_for()


@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_a_sites_segment_and_only_some_of_it(
    site: str, wechat: Any, template: MessageTemplate, open_browser: Any, device: Any
) -> None:
    """The site's own words; who got the last message is left out, and each gets a field of the
    site's."""
    for number in (1, 2):
        user = factories.make_user(f"user{number}", last_name="王")
        factories.make_binding(user, number)
        start = datetime(2026, 11, 23, tzinfo=timezone.utc)
        Leave.objects.create(person=user, reason=f"事由{number}", start=start)
    wechat.fail(47003, openid=factories.openid(2), times=1)
    data = {"thing1": "x", "amount2": "1元", "time3": "15:01"}
    notify(list(OpenIDBinding.objects.all()), template, data)
    page = open_browser(device)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    page.get_by_label("商品", exact=True).fill("")
    page.get_by_text("Something different for each recipient").click()
    page.get_by_role("button", name="请假事由").click()
    page.get_by_label("请假的人").check()
    page.get_by_text("Only some of them").click()
    page.get_by_label("Only who did not get the last message").check()
    page.locator("[data-wechat-card]").get_by_text("事由2").wait_for()
    assert fits(page)
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("Only who did not get the last message").wait_for()
    assert fits(page)
    send(page, 1)


def test_the_link_is_shown_before_it_is_sent(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """A host without a scheme becomes a whole link; the card has 查看详情, which opens it."""
    factories.make_bindings(1)
    page = open_browser(NARROW)
    sign_in(page, site)
    compose(page, site, template)
    fill(page)
    page.get_by_label("Everyone who has bound WeChat").check()
    page.locator("summary", has_text="Link").click()
    page.get_by_label("Link").fill("www.baidu.com/" + "很长的链接" * 20)
    page.locator("[data-wechat-card] a").wait_for()
    page.get_by_role("button", name="Continue to review").click()
    link = page.get_by_role("link", name="https://www.baidu.com/")
    assert link.get_attribute("href").startswith("https://www.baidu.com/很长的链接")
    page.locator(".wechat-card__more").wait_for()
    assert fits(page)


def test_a_time_to_send_is_asked_for_when_it_matters(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """The input appears with its choice, and the server's complaint keeps it there."""
    page = open_browser(NARROW)
    sign_in(page, site)
    compose(page, site, template)
    assert not page.get_by_label("Send at").is_visible()
    page.get_by_label("At a time").check()
    page.get_by_label("Send at").fill("2020-01-01T10:00")
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("This time has passed.").wait_for()
    assert page.get_by_label("Send at").input_value() == "2020-01-01T10:00"


def test_composing_without_javascript(
    site: str, wechat: Any, template: MessageTemplate, new_context: Any
) -> None:
    """Every step is a plain form: choose, search for people, look, send."""
    factories.make_binding(factories.make_user("alice", email="alice@school.example"), 1)
    page = new_context(**DESKTOP, java_script_enabled=False).new_page()
    sign_in(page, site)
    page.goto(f"{site}/admin/wechat_notify/notification/compose/")
    page.get_by_label("Search templates").fill("支付")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("button", name="Use “订单支付成功通知”").click()
    fill(page)
    page.get_by_role("searchbox", name="People").fill("alice@school")
    page.get_by_role("button", name="Search").click()
    page.get_by_label("alice").check()
    page.get_by_role("button", name="Continue to review").click()
    send(page, 1)
    assert [message.openid for message in wechat.messages] == [factories.openid(1)]


def test_coming_from_the_list_of_users(
    site: str, template: MessageTemplate, open_browser: Any
) -> None:
    """All that a filter leaves, over every page of the list."""
    factories.make_bindings(30)
    page = open_browser(DESKTOP)
    sign_in(page, site)
    page.goto(f"{site}/admin/auth/user/?is_staff__exact=0")
    page.locator("#action-toggle").check()
    page.get_by_text("Select all 30 users").click()
    page.locator("select[name=action]").select_option(label="Send a WeChat message")
    page.get_by_role("button", name="Go", exact=True).click()
    page.get_by_role("button", name="Use “订单支付成功通知”").click()
    assert page.get_by_label("All of a list: users").is_checked()
    fill(page)
    page.get_by_role("button", name="Continue to review").click()
    send(page, 30)
    assert only_notification().total == 30


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", [DESKTOP, NARROW], ids=["desktop", "phone"])
def test_pages_that_everybody_can_read(
    site: str, template: MessageTemplate, new_context: Any, device: Any, scheme: str
) -> None:
    """axe finds no serious fault on any of the three pages."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    factories.make_bindings(3)
    OpenIDBinding.objects.filter(openid=factories.openid(3)).update(subscribed=False)
    # axe itself puts styles into the page.
    page = new_context(**device, color_scheme=scheme, bypass_csp=True).new_page()
    sign_in(page, site)

    def faults() -> list[str]:
        # The card is a picture of WeChat's own, grey labels included; breadcrumbs are Django's.
        page.wait_for_load_state()
        looked_at = {"exclude": [[".wechat-chat"], ["div.breadcrumbs"]]}
        found = axe.run(page, looked_at, {"resultTypes": ["violations"]}).response["violations"]
        return [
            f"{page.url}: {fault['help']}: {[node['html'] for node in fault['nodes']]}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]

    page.goto(f"{site}/admin/wechat_notify/notification/compose/")
    seen = faults()
    follow(page.get_by_role("button", name="Use “订单支付成功通知”"))
    page.get_by_label("商品", exact=True).fill(TOO_LONG)
    page.get_by_text(f"this has {len(TOO_LONG)}").wait_for()
    for part in ("Paste a list", "Use a table with one row", "Only some of them"):
        page.get_by_text(part).click()
    page.get_by_text("Something different for each recipient").click()
    page.locator("#wechat-user-search").press_sequentially("user")
    page.get_by_role("option").first.wait_for()
    seen += faults()
    page.get_by_role("option").first.click()
    fill(page)
    page.get_by_label("Everyone who has bound WeChat").check()
    page.locator("#id_table").fill(f"用户名,商品\nuser1,{TOO_LONG}\nnobody,甲")
    page.get_by_role("button", name="Continue to review").click()
    page.get_by_text("0 of 100000 used").wait_for()
    seen += faults()
    page.get_by_role("button", name="Leave these people out").click()
    page.get_by_text("0 of 100000 used").wait_for()
    seen += faults()
    assert seen == []

"""What the platform does since 2024: reviews, ids of another list, certificates, a new console."""

import ssl
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.admin_pages import SEE, browser, page, text, told
from tests.factories import make_binding, make_template, sandbox_template
from tests.raw_http import CERTIFICATE, refusing_port
from wechat_notify.account_state import note_blocked
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify, sync_templates
from wechat_notify.wechat.errors import TABLES
from wechat_notify.wechat.transport import Transport

ORDER = {"character_string1": "2026112301", "thing2": "围巾"}


transactional = pytest.mark.django_db(transaction=True)


def register(wechat: Sandbox, **more: Any) -> MessageTemplate:
    template = make_template()
    wechat.add_template({**sandbox_template(template), **more})
    return template


@pytest.mark.parametrize("table", ["send", "token"])
def test_texts_name_the_new_console(table: str) -> None:
    """Secrets, whitelist, quotas and permissions: the new place, with the old one in brackets."""
    for info in TABLES[table].values():
        said = f"{info.next_step}"
        if any(word in said for word in ("whitelist", "AppSecret", "AppID", "quota", "permission")):
            assert "developers.weixin.qq.com/platform" in said, info
            assert "(before: mp.weixin.qq.com)" in said, info


# -- review -----------------------------------------------------------------------------------


@transactional
def test_an_answer_without_msgid_is_accepted_and_under_review(wechat: Sandbox) -> None:
    """The row is sent, the admin says what it waits for, and the receipt ends it."""
    template = register(wechat, reviews=True)
    binding = make_binding()
    log = notify(binding, template, ORDER).logs.get()
    assert (log.status, log.errcode, log.msgid) == ("sent", 0, None)
    assert log.is_under_review
    assert "reviewing it" in text(browser(*SEE).get(page("sendlog", "change", log.pk)))


@transactional
def test_a_message_that_the_review_has_blocked(wechat: Sandbox) -> None:
    """WeChat is asked by a person who may explain failures; the row says that it did not arrive."""
    template = register(wechat, reviews=True)
    blocked, passed = make_binding(number=1), make_binding(number=2)
    wechat.state.change_user(blocked.openid, receipt="failed: system failed")
    logs = {one.openid: notify(one, template, ORDER).logs.get() for one in (blocked, passed)}
    assert note_blocked(logs[passed.openid]) is False
    address = page("sendlog", "reviewed", logs[blocked.openid].pk)
    assert browser(*SEE).post(address, {"post": "yes"}).status_code == 403
    client = browser(*SEE, "resend_sendlog")
    assert address in text(client.get(page("sendlog", "change", logs[blocked.openid].pk)))
    assert "it is under review" in text(client.get(address))
    assert "has blocked this message" in told(client.post(address, {"post": "yes"}, follow=True))
    row = SendLog.objects.get(openid=blocked.openid)
    assert (row.status, row.receipt_status) == ("undelivered", "blocked by review")
    assert SendLog.objects.get(openid=passed.openid).status == "sent"


# -- ids --------------------------------------------------------------------------------------


@transactional
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "subscription"}, "The ID is that of a subscription notice"),
        (None, "Neither WeChat’s template messages nor its subscription notices"),
    ],
)
def test_an_unknown_id_is_looked_up_in_both_lists(
    wechat: Sandbox, more: dict[str, str] | None, said: str
) -> None:
    """40037: the template's page and the doctor say which list has the id."""
    template = make_template() if more is None else register(wechat, **more)
    notify(make_binding(), template, ORDER)
    template.refresh_from_db()
    assert template.pause_errcode == 40037
    assert template.listed_as == ("nowhere" if more is None else "subscription")
    shown = text(browser(*SEE).get(page("messagetemplate", "change", template.pk)))
    assert said in shown
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("wechat_doctor", stdout=out)
    assert said in out.getvalue()


@transactional
def test_the_sync_says_what_was_entered_by_hand(wechat: Sandbox) -> None:
    """A template that WeChat's list does not have is named, and left as it is."""
    template = make_template("by-hand", field_names={"order_no": "character_string1"})
    report = sync_templates()
    assert report.by_hand == [template]
    out = StringIO()
    call_command("wechat_sync_templates", account="default", stdout=out)
    assert "? by-hand  entered by hand, WeChat's list does not have it" in out.getvalue()
    client = browser(*SEE, "sync_messagetemplate")
    form = {"post": "yes", "account": "default"}
    response = client.post(page("messagetemplate", "sync"), form, follow=True)
    assert "Entered by hand, and WeChat’s list does not have it: by-hand" in told(response)
    template.refresh_from_db()
    assert template.is_active


@transactional
def test_the_sync_overwrites_no_names(wechat: Sandbox) -> None:
    """Names, stand-in and link stay; a changed content makes a new revision."""
    template = register(wechat, content="单号：{{character_string1.DATA}}")
    template.field_names = {"order_no": "character_string1"}
    template.save()
    before = template.revision_id
    sync_templates()
    template.refresh_from_db()
    assert template.field_names == {"order_no": "character_string1"}
    assert template.content == "单号：{{character_string1.DATA}}"
    assert template.revision_id != before
    assert template.is_revised


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"template_id": "A" * 42}, "has 43 characters; this has 42"),
        ({"template_id": "A" * 42 + "。"}, "only letters, digits"),
        ({"content": "您的订单已支付"}, "no placeholder"),
    ],
)
def test_a_template_entered_by_hand_is_checked(values: dict[str, str], said: str) -> None:
    """The id's length and characters, and that the content has placeholders."""
    client = browser(*SEE, "add_messagetemplate")
    form = {
        "account": "default",
        "name": "order_paid",
        "template_id": "A" * 43,
        "content": "单号：{{character_string1.DATA}}",
        "is_active": "on",
    }
    address = page("messagetemplate", "add")
    assert said in text(client.post(address, {**form, **values}))
    assert not MessageTemplate.objects.exists()
    response = client.post(address, {**form, "content": ""}, follow=True)
    assert "values cannot be checked" in told(response)
    assert MessageTemplate.objects.count() == 1


# -- TLS --------------------------------------------------------------------------------------


@pytest.fixture
def secure(no_proxy: None) -> Iterator[Sandbox]:
    """A fake WeChat over TLS, whose certificate nobody trusts who was not told to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    with Sandbox(ssl_context=context) as running:
        yield running


def test_a_handshake_says_what_failed(secure: Sandbox) -> None:
    """Nothing with the trusted bundle; OpenSSL's words without it; None where there is no TLS."""
    trusting = Transport(secure.url, ca_bundle=str(CERTIFICATE))
    assert trusting.tls_trouble() == ""
    doubting = Transport(secure.url)
    assert "self-signed" in (doubting.tls_trouble() or "").replace("self signed", "self-signed")
    with Sandbox() as plain:
        assert Transport(plain.url).tls_trouble() is None
    with refusing_port() as port:
        assert Transport(f"https://127.0.0.1:{port}").tls_trouble() is None


@pytest.mark.django_db
def test_the_doctor_makes_a_handshake(secure: Sandbox, configure: Any) -> None:
    """With the account's own bundle; what failed is the first thing it says of WeChat."""
    account = {
        "BACKEND": "wechat_notify.backends.wechat.WeChatBackend",
        "APP_ID": secure.app_id,
        "APP_SECRET": secure.app_secret,
        "API_BASE": secure.url,
    }
    configure(default=account)
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("wechat_doctor", stdout=out)
    assert "TLS: no secure connection to WeChat" in out.getvalue()
    assert "DigiCert Global Root G2" in out.getvalue()
    configure(default={**account, "OPTIONS": {"ca_bundle": str(CERTIFICATE)}})
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("wechat_doctor", stdout=out)
    assert "TLS: the handshake with WeChat succeeds." in out.getvalue()

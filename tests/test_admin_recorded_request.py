"""Explain this failure: what WeChat itself recorded of a request that it refused."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.utils import timezone

from tests.admin_pages import SEE, browser, page, text, told
from tests.factories import ORDER, make_binding, openid
from wechat_notify.admin.pages.recorded_request import SHOWN
from wechat_notify.backends.locmem import LocMemBackend
from wechat_notify.backends.registry import get_backend
from wechat_notify.models import MessageTemplate, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import notify


class SparseBackend(LocMemBackend):
    """Another way out, which records little, and that in its own way."""

    def get_request(self, rid: str) -> dict[str, Any]:
        return {"invoke_time": "noon", "request_body": "access_token=hush&touser=oX"}


class LongBackend(LocMemBackend):
    """Records so much that the page's end is within the openid."""

    def get_request(self, rid: str) -> dict[str, Any]:
        return {"request_body": "x" * (SHOWN - 20) + openid(1)}


@pytest.fixture
def refused(wechat: Sandbox, known_template: MessageTemplate) -> SendLog:
    """A message that the fake WeChat refused, with the request id it told."""
    wechat.fail(47003)
    log = notify(make_binding(), known_template, ORDER).logs.get()
    assert log.status == "failed"
    assert log.rid
    return log


def address(log: SendLog) -> str:
    return page("sendlog", "explain", log.pk)


def test_wechat_is_asked_and_its_record_is_shown(refused: SendLog, wechat: Sandbox) -> None:
    """What it received, from which address, and what it answered; and the log says who asked."""
    client = browser(*SEE, "resend_sendlog")
    assert address(refused) in text(client.get(page("sendlog", "change", refused.pk)))
    shown = text(client.post(address(refused), {"post": "yes"}))
    assert "127.0.0.1" in shown
    assert "&quot;touser&quot;" in shown
    assert "围巾" in shown
    assert "&quot;errcode&quot;: 47003" in shown
    assert LogEntry.objects.get().object_id == str(refused.pk)


def test_nothing_secret_is_shown(refused: SendLog, wechat: Sandbox) -> None:
    """No token to anybody; an openid only to those who may see it."""
    client = browser(*SEE, "resend_sendlog")
    shown = text(client.post(address(refused), {"post": "yes"}))
    assert "access_token=…" in shown
    assert get_backend("default").client.tokens.get() not in shown
    assert openid(1) not in shown
    assert "oTes…001" in shown
    trusted = browser(*SEE, "resend_sendlog", "view_openid", name="trusted")
    assert openid(1) in text(trusted.post(address(refused), {"post": "yes"}))


def test_asking_is_a_question_first(refused: SendLog, wechat: Sandbox) -> None:
    """Looking at the page does not call WeChat."""
    client = browser(*SEE, "resend_sendlog")
    assert refused.rid in text(client.get(address(refused)))
    assert wechat.calls["/cgi-bin/openapi/rid/get"] == 0


def test_what_wechat_refuses_is_told_kindly(refused: SendLog, wechat: Sandbox) -> None:
    """A request that WeChat has forgotten, or an account that may not ask, is no crash."""
    wechat.fail(76001, path="/cgi-bin/openapi/rid/get")
    client = browser(*SEE, "resend_sendlog")
    response = client.post(address(refused), {"post": "yes"}, follow=True)
    assert "76001" in told(response)
    assert not LogEntry.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rid": ""}, "gave no request id"),
        ({"rid": "1-2-3", "account": "gone"}, "no longer in the settings"),
        ({"rid": "1-2-3", "claimed_at": timezone.now() - timedelta(days=8)}, "seven days old"),
    ],
)
def test_what_cannot_be_asked_is_not_asked(
    template: MessageTemplate, values: dict[str, Any], said: str
) -> None:
    """The page says why, and has no button."""
    log = notify(make_binding(), template, ORDER).logs.get()
    SendLog.objects.filter(pk=log.pk).update(status="failed", errcode=47003, **values)
    client = browser(*SEE, "resend_sendlog")
    for response in (client.get(address(log)), client.post(address(log), {"post": "yes"})):
        shown = text(response)
        assert said in shown
        assert "Ask WeChat" not in shown
        assert ("The request id is" in shown) == bool(values["rid"])


@pytest.mark.django_db
def test_a_backend_that_cannot_ask_says_so(
    template: MessageTemplate, configure: Callable[..., None]
) -> None:
    """Not every way out keeps records."""
    log = notify(make_binding(), template, ORDER).logs.get()
    SendLog.objects.filter(pk=log.pk).update(status="failed", errcode=47003, rid="1-2-3")
    client = browser(*SEE, "resend_sendlog")
    response = client.post(address(log), {"post": "yes"}, follow=True)
    assert "cannot look up requests" in told(response)


@pytest.mark.django_db
def test_a_sparse_record_is_shown_as_it_is(
    template: MessageTemplate, configure: Callable[..., None]
) -> None:
    """What is not JSON is shown as text, what is missing is left out, and secrets stay out."""
    configure(default={"BACKEND": f"{__name__}.SparseBackend"})
    log = notify(make_binding(), template, ORDER).logs.get()
    SendLog.objects.filter(pk=log.pk).update(status="failed", errcode=1, rid="1-2-3", openid="")
    shown = text(browser(*SEE, "resend_sendlog").post(address(log), {"post": "yes"}))
    assert "access_token=…&amp;touser=oX" in shown
    assert "hush" not in shown
    assert "From the address" not in shown


@pytest.mark.django_db
def test_no_half_of_an_openid_is_shown(
    template: MessageTemplate, configure: Callable[..., None]
) -> None:
    """A long text is cut after the openid in it is masked."""
    configure(default={"BACKEND": f"{__name__}.LongBackend"})
    log = notify(make_binding(), template, ORDER).logs.get()
    SendLog.objects.filter(pk=log.pk).update(status="failed", errcode=1, rid="1-2-3")
    shown = text(browser(*SEE, "resend_sendlog").post(address(log), {"post": "yes"}))
    assert "xxoTes…001" in shown
    assert openid(1)[:10] not in shown

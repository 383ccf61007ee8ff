"""A site's own admin that has only some of the app's models: plain text where a link led away."""

from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.test import Client

from tests import admin_everything
from tests.admin_pages import page, serve_admin, text, told
from tests.factories import make_user
from wechat_notify.admin.pages.alert_list import AlertAdmin
from wechat_notify.admin.pages.draft_list import DraftAdmin
from wechat_notify.admin.pages.notification_list import NotificationAdmin
from wechat_notify.admin.pages.openid_bindings import OpenIDBindingAdmin
from wechat_notify.admin.pages.saved_recipients import RecipientFilterAdmin
from wechat_notify.admin.pages.send_log import SendLogAdmin
from wechat_notify.admin.pages.template_list import MessageTemplateAdmin
from wechat_notify.models import MessageTemplate, Notification, SendLog

pytestmark = pytest.mark.django_db

ADMINS = {
    "alert": AlertAdmin,
    "draft": DraftAdmin,
    "messagetemplate": MessageTemplateAdmin,
    "notification": NotificationAdmin,
    "openidbinding": OpenIDBindingAdmin,
    "recipientfilter": RecipientFilterAdmin,
    "sendlog": SendLogAdmin,
}


def site_with(settings: Any, name: str) -> Client:
    """A browser of somebody who may do everything, on a site that has this one model."""
    serve_admin(settings, apps.get_model("wechat_notify", name), ADMINS[name])
    client = Client()
    client.force_login(make_user("root", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize("name", ADMINS)
def test_every_page_of_one_model(settings: Any, template: MessageTemplate, name: str) -> None:
    """None of them breaks, and none leads to a page that is not there."""
    pages = admin_everything.make(template)
    client = site_with(settings, name)
    own = [address for address in pages.values() if f"/{name}/" in address]
    assert own
    for address in ["/admin/wechat_notify/", *own]:
        shown = text(client.get(address))
        for other in ADMINS.keys() - {name}:
            assert f"/admin/wechat_notify/{other}/" not in shown


def test_resending_where_notifications_have_no_page(
    settings: Any, template: MessageTemplate
) -> None:
    """What was made is named, without a link."""
    admin_everything.make(template)
    client = site_with(settings, "sendlog")
    log = SendLog.objects.filter(status="failed").first()
    assert log is not None
    response = client.post(page("sendlog", "resend", log.pk), {"post": "yes"}, follow=True)
    made = Notification.objects.get(source="resend")
    assert get_user_model().objects.get(username="root") == made.created_by
    assert f"{made}" in told(response)
    assert "<a" not in told(response)

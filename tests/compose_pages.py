"""Composing as a browser sees it: who does it, what is filled in, what a page says."""

import html
import re
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.test import Client
from django.urls import reverse

from tests.admin_pages import staff
from tests.factories import make_binding
from wechat_notify.models import MessageTemplate, OpenIDBinding, SendLog

CONTENT = (
    "商品：{{thing1.DATA}}\n金额：{{amount2.DATA}}\n时间：{{time3.DATA}}\n状态：{{const4.DATA}}"
)
VALUES = {
    "value_thing1": "围巾",
    "value_amount2": "39.80元",
    "value_time3": "2026年11月23日 15:01",
    "value_const4": "已发货",
}


def address(name: str = "compose") -> str:
    return reverse(f"admin:wechat_notify_notification_{name}")


def composer(*codenames: str, name: str = "clerk") -> Client:
    """A browser in which somebody is logged in who may send, see users, and ``codenames``."""
    user = staff("send_notification", *codenames, name=name)
    user.user_permissions.add(Permission.objects.get(codename="view_user"))
    client = Client()
    client.force_login(user)
    return client


def person(username: str, number: int = 0, *, group: str = "", **fields: Any) -> Any:
    """A user; with a ``number`` one who has bound WeChat, on the openid of that number."""
    subscribed = fields.pop("subscribed", True)
    user = get_user_model().objects.create(username=username, **fields)
    if number:
        make_binding(user, number, subscribed=subscribed)
    if group:
        user.groups.add(Group.objects.get_or_create(name=group)[0])
    return user


def filled(template: MessageTemplate, *users: Any, **more: Any) -> dict[str, Any]:
    """The form, filled in well, for these users."""
    pks = [user.pk for user in users]
    return {"template": template.pk, **VALUES, "users": pks, "when": "now", **more}


def hidden_inputs(response: Any) -> dict[str, Any]:
    """What the page's own form would send back, besides its buttons."""
    form = response.content.decode().partition("data-wechat-once")[2]
    found: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form):
        found.setdefault(name, []).append(html.unescape(value))
    return found


def review(client: Client, form: dict[str, Any]) -> Any:
    return client.post(address(), {**form, "_review": "1"})


def send(client: Client, form: dict[str, Any]) -> Any:
    """Look at it once more, and press the button."""
    page = review(client, form)
    return client.post(address(), {**hidden_inputs(page), "_send": "1"})


def errors(response: Any) -> dict[str, str]:
    """What the form says is wrong, by input."""
    found = response.context["form"].errors
    return {name: " ".join(messages) for name, messages in found.items()}


def names(rows: Any = None) -> list[str]:
    """Who has a row in the send log: the user name, else the openid."""
    logs = SendLog.objects.all() if rows is None else rows
    return sorted(
        log.user.username if log.user else log.openid for log in logs.select_related("user")
    )


def openids() -> list[str]:
    return sorted(OpenIDBinding.objects.values_list("openid", flat=True))

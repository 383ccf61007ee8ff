"""Cards in the admin, drawn as recipients see them."""

import re
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString

from ...models import MessageTemplate, Notification, SendLog
from ...names import account_name
from ...wechat import fields as template_fields
from ...wechat.naming import carried_over

_COLON = re.compile("[:：]")


def example_data(template: MessageTemplate) -> dict[str, str]:
    """A value for each field from WeChat's own example; the field's name where there is none."""
    shown = dict(_lines(template.example))
    return {field.name: shown.get(field.label, "") or field.name for field in template.fields}


def _lines(example: str) -> list[tuple[str, str]]:
    """(label, value) of each line such as "姓名：张三"; the value may contain colons."""
    parts = (_COLON.split(line, maxsplit=1) for line in example.splitlines())
    return [(part[0].strip(), part[1].strip()) for part in parts if len(part) > 1]


def template_card(template: MessageTemplate) -> SafeString:
    """The template's card with its example values."""
    card = template.render(example_data(template))
    return _render(template.account, card, template.url, template.miniprogram)


def compared_cards(
    old: MessageTemplate, new: MessageTemplate, names: dict[str, str]
) -> list[tuple[str, SafeString]]:
    """The same data on the card of each template; ``names``: those that the new one would have.

    The data is that of the last notification, or else WeChat's example.
    """
    last = old.notifications.select_related("revision").order_by("-pk").first()
    own = (
        last.logs.filter(data__isnull=False).values_list("data", flat=True).first()
        if last
        else None
    )
    data: dict[str, Any] = {**last.data, **(own or {})} if last is not None else {}
    written = last.revision if last is not None and data else None
    target = MessageTemplate(
        template_id=new.template_id, title=new.title, content=new.content, field_names=names
    )
    if not data:
        written, data = old.revision, example_data(old)
        data = {name: {"value": text} for name, text in data.items()}
    wire, _problems = carried_over(data, written, target)
    cards = (
        (old, old.render(data)),
        (new, template_fields.card(new.title, new.content, wire)),
    )
    return [(str(one), _render(old.account, card, one.url, one.miniprogram)) for one, card in cards]


def notification_card(notification: Notification) -> SafeString:
    """The card with the data that all recipients share, and the time when it is sent."""
    return _shared(notification, notification.card)


def waiting_card(notification: Notification) -> SafeString:
    """The same as it would leave now: its template may have changed since it was written."""
    return _shared(notification, notification.card_now)


def _shared(notification: Notification, card: Any) -> SafeString:
    when = notification.send_at or notification.created_at or timezone.now()
    account = notification.template.account
    return _render(account, card, notification.url, notification.miniprogram, when)


def log_card(log: SendLog) -> SafeString:
    """The card as this recipient sees it; without a time if it was not sent."""
    notification = log.notification
    url, miniprogram = notification.url, notification.miniprogram
    return _render(log.account, log.card, url, miniprogram, log.sent_at)


def _render(
    account: str, card: Any, url: str, miniprogram: Any, when: datetime | None = None
) -> SafeString:
    context = {
        "account": account_name(account),
        "card": card,
        "url": url,
        "miniprogram": miniprogram,
        # WeChat writes the time like this in every language.
        "time": date_format(timezone.localtime(when), "Y年n月j日 H:i") if when else "",
    }
    return render_to_string("wechat_notify/admin/card_preview.html", context)

"""Cards as people will see them, inside the admin."""

import re
from datetime import datetime
from typing import Any

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.safestring import SafeString

from ..conf import settings
from ..models import MessageTemplate, Notification, SendLog

_COLON = re.compile("[:：]")


def example_data(template: MessageTemplate) -> dict[str, str]:
    """A value for each field, from WeChat's own example; the field's name where that has none."""
    shown = dict(_lines(template.example))
    return {field.name: shown.get(field.label, "") or field.name for field in template.fields}


def _lines(example: str) -> list[tuple[str, str]]:
    """(label, value) of each line like "姓名：张三"; the value may hold colons of its own."""
    parts = (_COLON.split(line, maxsplit=1) for line in example.splitlines())
    return [(part[0].strip(), part[1].strip()) for part in parts if len(part) > 1]


def template_card(template: MessageTemplate) -> SafeString:
    """The template's card with its example values."""
    card = template.render(example_data(template))
    return _render(template.account, card, template.url, template.miniprogram)


def notification_card(notification: Notification) -> SafeString:
    """The card with the data that all recipients share, at the time it goes out."""
    template = notification.template
    card = template.render(notification.data)
    when = notification.send_at or notification.created_at or timezone.now()
    return _render(template.account, card, notification.url, notification.miniprogram, when)


def log_card(log: SendLog) -> SafeString:
    """The card as this recipient sees it; without a time where nothing was sent."""
    notification = log.notification
    url, miniprogram = notification.url, notification.miniprogram
    return _render(log.account, log.card, url, miniprogram, log.sent_at)


def _render(
    account: str, card: Any, url: str, miniprogram: Any, when: datetime | None = None
) -> SafeString:
    known = account in settings.aliases
    name = settings.account(account).name if known else account
    context = {
        "account": name,
        "card": card,
        "url": url,
        "miniprogram": miniprogram,
        # As WeChat itself writes it, in every language.
        "time": date_format(timezone.localtime(when), "Y年n月j日 H:i") if when else "",
    }
    return render_to_string("wechat_notify/admin/card_preview.html", context)

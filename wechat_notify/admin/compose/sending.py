"""Sending what was composed, to everybody or first to oneself."""

import secrets
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from ...models import Notification
from ...services import notify
from .draft import Message

TOKEN_BYTES = 16


def new_nonce() -> str:
    """Makes a page's answer count once: it becomes the notification's key."""
    return secrets.token_hex(TOKEN_BYTES)


def is_nonce(text: str) -> bool:
    """Whether ``text`` can be such a nonce."""
    return len(text) == 2 * TOKEN_BYTES and text.isascii() and text.isalnum()


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it. Not new: the same page was answered before, and nothing was sent again."""

    notification: Notification
    is_new: bool


def send(request: HttpRequest, message: Message, nonce: str) -> Sent:
    """Send it once, however often the same page is answered. Raises what ``notify()`` raises."""
    return _send(
        request,
        message,
        message.audience.recipients,
        key=f"compose-{nonce}",
        send_at=message.send_at,
        expires_at=message.expires_at,
    )


def send_test(request: HttpRequest, message: Message, nonce: str) -> Sent:
    """Send it to the person at the keyboard, now. Otherwise as ``send``."""
    return _send(request, message, request.user, key=f"test-{nonce}")


def _send(request: HttpRequest, message: Message, users: Any, **options: Any) -> Sent:
    began = timezone.now()
    notification = notify(
        users,
        message.composing.template,
        message.data.source,
        url=message.url,
        miniprogram=message.miniprogram,
        created_by=request.user,
        source=Notification.Source.ADMIN,
        **options,
    )
    return Sent(notification, is_new=notification.created_at >= began)

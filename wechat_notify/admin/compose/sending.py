"""Sending what was composed, to its recipients or as a test to the user who composes."""

from typing import Any

from django.http import HttpRequest

from ...models import Notification
from ...services import notify
from ...types import DataSource
from .composed import Composed


def send(request: HttpRequest, composed: Composed, nonce: str) -> Notification:
    """Send it once, however often the same page is answered. ``is_new`` of the notification says
    whether this answer sent it. Raises what ``notify()`` raises."""
    return _send(
        request,
        composed,
        composed.audience.recipients,
        composed.data.source,
        key=f"compose-{nonce}",
        send_at=composed.send_at,
        expires_at=composed.expires_at,
        priority=composed.priority,
        _repeats=composed.earlier.sends_again if composed.earlier is not None else None,
        # What all share was checked with the form; so only single people can be skipped.
        _skip_invalid=composed.leave_out,
    )


def send_test(request: HttpRequest, composed: Composed, nonce: str) -> Notification:
    """Send it now, marked as a test, to the user who composes. Otherwise like ``send``."""
    data = composed.data.with_sample().source
    return _send(request, composed, request.user, data, key=f"test-{nonce}", is_test=True)


def _send(
    request: HttpRequest, composed: Composed, users: Any, data: DataSource, **options: Any
) -> Notification:
    return notify(
        users,
        composed.composing.template,
        data,
        title=composed.title,
        url=composed.url,
        miniprogram=composed.miniprogram,
        created_by=request.user,
        _source=Notification.Source.ADMIN,
        _keeps_unsent=True,
        **options,
    )

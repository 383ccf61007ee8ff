"""Sending what was composed, to its recipients or as a test to the user who composes."""

from typing import Any

from django.http import HttpRequest

from ...models import Notification
from ...services import notify
from ...types import DataSource
from .draft import Draft


def send(request: HttpRequest, draft: Draft, nonce: str) -> Notification:
    """Send it once, however often the same page is answered. ``is_new`` of the notification says
    whether this answer sent it. Raises what ``notify()`` raises."""
    return _send(
        request,
        draft,
        draft.audience.recipients,
        draft.data.source,
        key=f"compose-{nonce}",
        send_at=draft.send_at,
        expires_at=draft.expires_at,
        priority=draft.priority,
        _repeats=draft.earlier.sends_again if draft.earlier is not None else None,
        # What all share was checked with the form; so only single people can be skipped.
        _skip_invalid=draft.leave_out,
    )


def send_test(request: HttpRequest, draft: Draft, nonce: str) -> Notification:
    """Send it now, marked as a test, to the user who composes. Otherwise like ``send``."""
    data = draft.data.with_sample().source
    return _send(request, draft, request.user, data, key=f"test-{nonce}", is_test=True)


def _send(
    request: HttpRequest, draft: Draft, users: Any, data: DataSource, **options: Any
) -> Notification:
    return notify(
        users,
        draft.composing.template,
        data,
        title=draft.title,
        url=draft.url,
        miniprogram=draft.miniprogram,
        created_by=request.user,
        _source=Notification.Source.ADMIN,
        _keeps_unsent=True,
        **options,
    )

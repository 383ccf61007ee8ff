"""From claimed rows to messages: what all rows of a notification share is loaded once a claim."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ..models import Notification
from ..types import MiniProgram, TemplateMessage
from .outbox import Claimed, database

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all messages of one notification have in common."""

    template_pk: int
    template_id: str
    data: dict[str, Any]
    url: str
    miniprogram: MiniProgram | None
    expires_at: datetime | None
    created_at: datetime
    paused: bool
    cancelled: bool
    template_paused: bool


def shared_contents(notification_ids: Iterable[int]) -> dict[int, Shared]:
    """What the rows of these notifications share, by key, in one query.

    Asked anew for each claim: a notification may be paused by now. One that was deleted in the
    meantime is missing.
    """
    rows = Notification.objects.using(database().alias).filter(pk__in=set(notification_ids))
    return {row.pk: _shared(row) for row in rows.select_related("template")}


def _shared(notification: Notification) -> Shared:
    template = notification.template
    return Shared(
        template_pk=template.pk,
        template_id=template.template_id,
        data=notification.data,
        url=notification.url,
        miniprogram=notification.miniprogram,
        expires_at=notification.expires_at,
        created_at=notification.created_at,
        paused=notification.paused_at is not None,
        cancelled=notification.cancelled_at is not None,
        template_paused=template.paused_at is not None,
    )


def message(claimed: Claimed, shared: Shared) -> TemplateMessage:
    """The message of one row."""
    return TemplateMessage(
        openid=claimed.openid,
        template_id=shared.template_id,
        data={**shared.data, **claimed.data} if claimed.data else shared.data,
        url=shared.url,
        miniprogram=shared.miniprogram,
        client_msg_id=client_msg_id(claimed.pk, shared.created_at),
    )


def client_msg_id(pk: int, created_at: datetime) -> str:
    """The id by which WeChat recognises a repeat of one row's message. The same at every attempt.

    Made of the row's number and the notification's microsecond, so that a restored or rebuilt
    database that counts from 1 again does not repeat an id. Allowed characters and length are
    not documented (WECHAT.md 2.1): short, and lower-case letters and digits only.
    """
    microseconds = (created_at - EPOCH) // timedelta(microseconds=1)
    return f"{pk:x}n{microseconds:x}"

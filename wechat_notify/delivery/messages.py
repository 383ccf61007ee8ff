"""From claimed rows to messages: what all rows of a notification share is loaded once."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from ..models import Notification
from ..types import MiniProgram, TemplateMessage
from .outbox import Claimed, database

REMEMBERED = 1_000
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


class SharedContents:
    """Remembers the notifications that this run has met, the oldest forgotten first."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, Shared] = OrderedDict()

    def load(self, notification_ids: Iterable[int]) -> None:
        """Fetch them in one query, those known already too: they may be paused by now."""
        rows = Notification.objects.using(database().alias).filter(pk__in=set(notification_ids))
        for row in rows.select_related("template"):
            self._known[row.pk] = Shared(
                template_pk=row.template_id,
                template_id=row.template.template_id,
                data=row.data,
                url=row.url,
                miniprogram=row.miniprogram,
                expires_at=row.expires_at,
                created_at=row.created_at,
                paused=row.paused_at is not None,
                cancelled=row.cancelled_at is not None,
                template_paused=row.template.paused_at is not None,
            )

    def forget_old(self) -> None:
        """Keep memory flat. Call only when no claimed row is waiting."""
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def __getitem__(self, notification_id: int) -> Shared:
        return self._known[notification_id]


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

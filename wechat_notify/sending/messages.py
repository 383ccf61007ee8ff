"""Makes messages of claimed rows. The content that a notification's rows share is loaded once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from ..models import MessageTemplate, Notification, TemplateRevision
from ..types import TemplateMessage
from ..wechat.fields import parse
from ..wechat.naming import as_reason, carried_over, keys_of, to_keys
from .outbox import Claimed

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What became of a claim's notifications since they were written, by primary key.

    ``withdrawn`` must not be sent any more. ``unknown``: that cannot be found out at present.
    """

    withdrawn: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)


withdrawals: list[Callable[[list[Notification]], SecondLook]] = []
"""Asked for each claim which of the notifications must not be sent any more.

Such as a reminder of what was cancelled since it was written.
"""


@dataclass(frozen=True)
class Shared:
    """What the messages of one notification have in common that leave with one template.

    ``template`` is the one that they leave with: the notification's own, or its stand-in. None: a
    message in doubt left with one that is registered no more. ``revision``: as it is now; for
    a message in doubt, as it was then. ``waits``: nothing is sent with it at present.
    ``has_stand_in``: another template takes over where WeChat refuses this one.
    """

    notification: Notification
    template: MessageTemplate | None
    revision: TemplateRevision
    written: TemplateRevision | None
    waits: bool
    has_stand_in: bool

    @cached_property
    def template_pk(self) -> int:
        return self.notification.template_id if self.template is None else self.template.pk

    @cached_property
    def _wire(self) -> dict[str, Any]:
        return self._keyed(self.notification.data)

    @cached_property
    def _reason(self) -> str:
        return self._why_not(self.notification.data)

    def data(self, own: dict[str, Any] | None) -> dict[str, Any]:
        """The data of a row, by WeChat's keys. ``own``: what differs for its recipient."""
        return self._keyed({**self.notification.data, **own}) if own else self._wire

    def why_not(self, own: dict[str, Any] | None) -> str:
        """Why the data of a row does not fit any more; it fitted when it was written. Else ""."""
        if self._is_unchanged:
            return ""
        return self._why_not({**self.notification.data, **own}) if own else self._reason

    @cached_property
    def _is_unchanged(self) -> bool:
        return self.written is not None and self.written.pk == self.revision.pk

    def _keyed(self, data: dict[str, Any]) -> dict[str, Any]:
        if self._is_unchanged:
            return to_keys(data, self.revision.field_names)
        return to_keys(data, keys_of(data, self.written, self.revision))

    def _why_not(self, data: dict[str, Any]) -> str:
        problems = carried_over(data, self.written, self.revision)[1]
        return as_reason(problems, parse(self.revision.content))


class Contents:
    """What the rows of one claim share. Loaded for each claim, because it may have changed since.

    Two queries; two more while rows wait that a changed template was not checked for, or that
    are in doubt.
    """

    def __init__(self, rows: Sequence[Claimed]) -> None:
        self._notifications = Notification.objects.in_bulk({row.notification_id for row in rows})
        self._templates = _templates({one.template_id for one in self._notifications.values()})
        self._by_id: dict[str, MessageTemplate] = {}
        self._revisions: dict[int | None, TemplateRevision] = {}
        for template in self._templates.values():
            for one in (template, template.stand_in):
                if one is not None and one.revision is not None:
                    self._by_id[one.template_id] = one
                    self._revisions[one.revision.pk] = one.revision
        self._load_earlier(rows)
        self._shared: dict[tuple[int, int | None], Shared] = {}
        rows_of = list(self._notifications.values())
        looks = [ask(rows_of) for ask in withdrawals]
        self.withdrawn = {pk for look in looks for pk in look.withdrawn}
        """The notifications that must not be sent any more."""
        self.unknown = {pk for look in looks for pk in look.unknown}
        """Those of which that cannot be found out at present."""

    def of(self, row: Claimed) -> Shared | None:
        """What this row shares with others. None: its notification was deleted after the claim."""
        notification = self._notifications.get(row.notification_id)
        if notification is None:
            return None
        revision = self._revisions.get(row.revision_pk) if row.doubt is not None else None
        key = notification.pk, None if row.doubt is None else row.revision_pk
        if key not in self._shared:
            make = self._of_new if row.doubt is None else self._of_doubtful
            self._shared[key] = make(notification, revision)
        return self._shared[key]

    def _of_new(self, notification: Notification, _revision: TemplateRevision | None) -> Shared:
        own = self._templates[notification.template_id]
        template = own.sends_with()
        has_stand_in = template is own and own.stand_in is not None and own.stand_in.is_usable
        return self._make(notification, template or own, waits=own.rests, has_stand_in=has_stand_in)

    def _of_doubtful(self, notification: Notification, left: TemplateRevision | None) -> Shared:
        """A message that may have been sent is repeated only as it was sent first."""
        own = self._templates[notification.template_id]
        if left is None:  # from before revisions were kept
            return self._make(notification, own, waits=own.paused_at is not None)
        template = self._by_id.get(left.template_id)
        waits = template is None or template.paused_at is not None
        written = self._revisions.get(notification.revision_id)
        return Shared(notification, template, left, written, waits, has_stand_in=False)

    def _make(
        self,
        notification: Notification,
        template: MessageTemplate,
        *,
        waits: bool,
        has_stand_in: bool = False,
    ) -> Shared:
        if template.revision is None:
            raise ValueError(f"Template {template.pk} has no revision.")
        written = self._revisions.get(notification.revision_id)
        return Shared(notification, template, template.revision, written, waits, has_stand_in)

    def _load_earlier(self, rows: Sequence[Claimed]) -> None:
        """Load revisions that are not the present ones, and the templates of those in doubt."""
        wanted: set[int | None] = {one.revision_id for one in self._notifications.values()}
        doubtful = {row.revision_pk for row in rows if row.doubt is not None}
        missing = (wanted | doubtful) - self._revisions.keys() - {None}
        if not missing:
            return
        self._revisions.update(TemplateRevision.objects.in_bulk(missing))
        ids = {self._revisions[pk].template_id for pk in doubtful if pk in self._revisions}
        if unknown := ids - self._by_id.keys():
            found = MessageTemplate.objects.filter(template_id__in=unknown)
            accounts = {row.account for row in rows}
            self._by_id.update((one.template_id, one) for one in found.filter(account__in=accounts))


def _templates(pks: Iterable[int]) -> dict[int, MessageTemplate]:
    """The templates, each with its present revision and its stand-in."""
    rows = MessageTemplate.objects.filter(pk__in=set(pks))
    found = {one.pk: one for one in rows.select_related("revision", "stand_in__revision")}
    for template in found.values():
        for one in (template, template.stand_in):
            if one is not None and not one.is_revised:  # changed by an UPDATE
                one.save(update_fields=["revision"])
    return found


def message(claimed: Claimed, shared: Shared) -> TemplateMessage:
    """The message that one row sends."""
    notification = shared.notification
    return TemplateMessage(
        openid=claimed.openid,
        template_id=shared.revision.template_id,
        data=shared.data(claimed.data),
        url=notification.url,
        miniprogram=notification.miniprogram,
        client_msg_id=client_msg_id(claimed.pk, notification.created_at),
    )


def client_msg_id(pk: int, created_at: datetime) -> str:
    """The id by which WeChat recognises a repeat of one row's message. The same at every attempt.

    Made of the row's primary key and the notification's creation time, so that a rebuilt database
    that counts from 1 again does not repeat an id. The allowed characters and length are not
    documented (docs/wechat-api.md, 2.1), so it is short, with lower-case letters and digits only.
    """
    microseconds = (created_at - EPOCH) // timedelta(microseconds=1)
    return f"{pk:x}n{microseconds:x}"

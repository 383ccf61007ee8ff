"""What follows from results besides the rows themselves: marks, pauses, signals, in batches."""

import logging
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from django.db import transaction
from django.db.models import DateTimeField, Value
from django.db.models.functions import Coalesce
from django.utils import timezone

from ..binding.follow_state import confirm
from ..binding.following import SOURCE_SEND, mark_refused, note
from ..models import MessageTemplate, Notification, SendLog, database, repeats_on_conflict
from ..signals import message_failed, message_sent, template_switched
from ..types import SendResult
from ..wechat.errors import describe
from .listing import NO_SUCH_TEMPLATE, look_up
from .outbox import Claimed
from .policy import Decision

logger = logging.getLogger(__name__)

Status = SendLog.Status

# How long a run may ask, at its end, whether people follow.
CONFIRM_SECONDS = 5.0

SIGNALS = {Status.SENT: message_sent, Status.FAILED: message_failed}


@dataclass(slots=True)
class _Marked:
    """People of one account whom one errcode speaks of, as of the earliest claim among them."""

    openids: list[str]
    known_at: datetime

    def add(self, row: Claimed) -> None:
        self.openids.append(row.openid)
        self.known_at = min(self.known_at, row.claimed_at)


_Marks: TypeAlias = dict[tuple[str, int], _Marked]


class Aftermath:
    """Collects while results come in; ``carry_out`` runs after they are written."""

    def __init__(self) -> None:
        self._unconfirmed: dict[str, list[str]] = defaultdict(list)
        self._unlisted: set[int] = set()
        self._clear()

    def _clear(self) -> None:
        self._unreachable: _Marks = {}
        self._refused: _Marks = {}
        self._paused: dict[int, int] = {}
        self._told: dict[tuple[Status, datetime], list[int]] = defaultdict(list)

    def confirm(self) -> None:
        """Ask WeChat about people whom it refused with a code that may pass, and about templates
        whose IDs it does not know.
        """
        asked, self._unconfirmed = self._unconfirmed, defaultdict(list)
        for account, openids in asked.items():
            confirm(account, openids, seconds=CONFIRM_SECONDS)
        while self._unlisted:
            look_up(self._unlisted.pop())

    def add(self, row: Claimed, template_pk: int, decision: Decision, result: SendResult) -> None:
        errcode = result.errcode or 0
        muted = decision.unreachable
        if muted and describe(errcode, endpoint=result.endpoint).to_be_confirmed:
            self._unconfirmed[row.account].append(row.openid)
            muted = False
        if decision.unreachable or decision.refuses:
            marks = self._unreachable if muted else self._refused
            marks.setdefault((row.account, errcode), _Marked([], row.claimed_at)).add(row)
        if decision.pauses_template:
            self._paused[template_pk] = errcode
            if errcode == NO_SUCH_TEMPLATE:
                self._unlisted.add(template_pk)
        if decision.status in SIGNALS:
            self._told[decision.status, row.claimed_at].append(row.pk)

    def carry_out(self) -> set[int]:
        """Mark bindings, pause templates, tell listeners. Constant queries a batch.

        Returns the keys of the templates that are paused by now.
        """
        for (account, errcode), marked in self._unreachable.items():
            mark_unreachable(account, marked.openids, errcode, known_at=marked.known_at)
        for (account, errcode), marked in self._refused.items():
            mark_refused(account, marked.openids, known_at=marked.known_at, errcode=errcode)
        for template_pk, errcode in self._paused.items():
            pause_template(template_pk, errcode)
        told, paused = self._told, set(self._paused)
        self._clear()
        for (status, claimed_at), pks in told.items():
            if SIGNALS[status].has_listeners(SendLog):
                tell(status, pks, claimed_at=claimed_at)
        return paused


def mark_unreachable(account: str, openids: list[str], errcode: int, *, known_at: datetime) -> None:
    """These people do not follow any more, unless newer news says that they do."""
    note(
        account,
        openids,
        subscribed=False,
        known_at=known_at,
        source=SOURCE_SEND,
        errcode=errcode,
    )


@repeats_on_conflict
def pause_template(template_pk: int, errcode: int) -> None:
    """Nothing more goes out with this template until somebody resumes it."""
    using = database().alias
    templates = MessageTemplate.objects.filter(pk=template_pk)
    theirs = Notification.objects.filter(template_id=template_pk).values("pk")
    waiting = SendLog.objects.waiting().filter(notification_id__in=theirs)
    with transaction.atomic(using=using):
        known = templates.filter(paused_at__isnull=False).exists()
        # Always a write, for its lock: a resume comes before all of this, or after.
        templates.update(
            paused_at=Coalesce("paused_at", Value(timezone.now()), output_field=DateTimeField()),
            pause_errcode=errcode,
        )
        template = templates.select_related("stand_in").get()
        instead = template.sends_with()
        if instead is None:
            waiting.update(due_at=None)
    logger.warning("Template %d is paused: errcode %d.", template_pk, errcode)
    if instead is not None and not known:
        logger.warning(
            "Messages of template %r of account %r leave with its stand-in %r from now on.",
            template.name,
            template.account,
            instead.name,
        )
        template_switched.send_robust(
            MessageTemplate, template=template, stand_in=instead, errcode=errcode
        )


def tell(status: Status, pks: list[int], *, claimed_at: datetime | None = None) -> None:
    """Send the signal for these rows, those of them that have the status.

    ``claimed_at``: only those still held by this claim. One that another worker took over is its
    to tell.
    """
    logs = SendLog.objects.filter(pk__in=pks).having(status)
    if claimed_at is not None:
        logs = logs.filter(claimed_at=claimed_at)
    for log in logs.select_related("notification__template", "user", "binding"):
        SIGNALS[status].send_robust(SendLog, log=log)

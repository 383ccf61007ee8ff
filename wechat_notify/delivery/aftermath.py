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

from ..models import MessageTemplate, Notification, SendLog
from ..signals import message_failed, message_sent
from ..types import SendResult
from .following import SOURCE_SEND, mark_refused, note
from .outbox import Claimed, database
from .policy import Decision

logger = logging.getLogger(__name__)

Status = SendLog.Status

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
        self._clear()

    def _clear(self) -> None:
        self._unreachable: _Marks = {}
        self._refused: _Marks = {}
        self._paused: dict[int, int] = {}
        self._told: dict[tuple[Status, datetime], list[int]] = defaultdict(list)

    def add(self, row: Claimed, template_pk: int, decision: Decision, result: SendResult) -> None:
        errcode = result.errcode or 0
        if decision.unreachable or decision.refuses:
            marks = self._unreachable if decision.unreachable else self._refused
            marks.setdefault((row.account, errcode), _Marked([], row.claimed_at)).add(row)
        if decision.pauses_template:
            self._paused[template_pk] = errcode
        signal = SIGNALS.get(decision.status)
        if signal is not None and signal.has_listeners(SendLog):
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
            _tell(status, claimed_at, pks)
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


def pause_template(template_pk: int, errcode: int) -> None:
    """Nothing more goes out with this template until somebody resumes it."""
    using = database().alias
    templates = MessageTemplate.objects.using(using).filter(pk=template_pk)
    theirs = Notification.objects.using(using).filter(template_id=template_pk).values("pk")
    waiting = SendLog.objects.using(using).waiting().filter(notification_id__in=theirs)
    with transaction.atomic(using=using):
        # Always a write, for its lock: a resume comes before all of this, or after.
        templates.update(
            paused_at=Coalesce("paused_at", Value(timezone.now()), output_field=DateTimeField()),
            pause_errcode=errcode,
        )
        waiting.update(due_at=None)
    logger.warning("Template %d is paused: errcode %d.", template_pk, errcode)


def _tell(status: Status, claimed_at: datetime, pks: list[int]) -> None:
    # Only rows whose result is really ours: one that another worker took over is its to tell.
    logs = SendLog.objects.using(database().alias).filter(
        pk__in=pks, status=status, claimed_at=claimed_at
    )
    for log in logs.select_related("notification__template", "user", "binding"):
        SIGNALS[status].send_robust(SendLog, log=log)

"""A second person's decision on messages that are held: to approve, or to refuse.

Who asked can never approve. A decision is made once: whoever comes second is told what became of
it. Approving frees exactly the rows that were written when it was asked for.
"""

import hashlib
import json
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from . import services
from .conf import settings
from .exceptions import CannotDecide
from .models import (
    REASON_LENGTH,
    Approval,
    ApprovalRequest,
    Notification,
    SendLog,
    SendLogQuerySet,
    database,
    repeats_on_conflict,
)
from .writing.held import Decision, end_requests
from .writing.parking import lock_template, unpark

__all__ = [
    "Decision",
    "approve",
    "end_requests",
    "expire_held",
    "expire_in_use",
    "fingerprint",
    "refuse",
    "why_not",
]


def fingerprint(notification: Notification) -> str:
    """What somebody has seen who looks at it now: another one, and it must be looked at again."""
    waiting = _waiting(notification).count()
    template = notification.leaves_with
    seen = [
        waiting,
        [template.pk, template.revision_id],
        [notification.data, notification.url, notification.miniprogram],
        [str(notification.send_at), str(notification.expires_at)],
    ]
    text = json.dumps(seen, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


@repeats_on_conflict
def approve(notification: Notification, by: Any, *, seen: str = "") -> int:
    """Let its messages go. Returns how many are due; 0 where a pause or its template holds them.

    ``seen``: the ``fingerprint`` of what this person has seen; "" does not ask. Raises
    ``CannotDecide``, with nothing done, unless ``by`` may decide and it still waits as it was seen.
    """
    freed = 0
    with transaction.atomic(using=database().alias):
        problem = _problem(notification, by, seen)
        if not problem:
            _decide(notification, Decision.APPROVED, by)
            lock_template(notification)
            this = Notification.objects.filter(pk=notification.pk)
            this.update(held_at=None)
            notification.held_at = None
            freed = unpark(this)
            services.dispatch([notification])
    if problem:
        raise CannotDecide(problem)
    return freed


@repeats_on_conflict
def refuse(notification: Notification, by: Any, reason: str) -> int:
    """Call its messages off for good. Returns how many. Raises as ``approve`` does."""
    cancelled = 0
    with transaction.atomic(using=database().alias):
        problem = _problem(notification, by)
        if not problem:
            _decide(notification, Decision.REFUSED, by, reason[:REASON_LENGTH])
            cancelled = services.cancel(notification)
    if problem:
        raise CannotDecide(problem)
    return cancelled


def expire_in_use() -> None:
    """A duty for each minute; an idle site reads no rows for what it does not use."""
    if settings.APPROVAL_ABOVE is not None:
        expire_held()


def expire_held() -> None:
    """End the messages that nobody has approved before their time was over. A duty."""
    late = Notification.objects.filter(
        approval__decision="", held_at__isnull=False, expires_at__lte=timezone.now()
    )
    for notification in late:
        _expire(notification)


def why_not(request: ApprovalRequest, by: Any) -> str:
    """Why this person cannot decide on this request; "" if they can."""
    if request.is_open:
        own = request.asked_by_id is not None and request.asked_by_id == by.pk
        return _("You have asked for it yourself. A second person decides.") if own else ""
    names = {"name": request.decided_by_name or "-", "time": _moment(request)}
    texts = {
        Decision.APPROVED: _("%(name)s has approved it already, at %(time)s."),
        Decision.REFUSED: _("%(name)s has refused it already, at %(time)s."),
        Decision.WITHDRAWN: _("It was withdrawn at %(time)s. There is nothing to decide."),
        Decision.EXPIRED: _("It expired before somebody approved it. Nothing was sent."),
    }
    return texts[Decision(request.decision)] % names


def nothing_waits() -> str:
    """Why nothing is decided any more about what was called off in another way."""
    return _("No message waits any more. There is nothing to decide.")


# -- pieces -----------------------------------------------------------------------------------


def _waiting(notification: Notification) -> SendLogQuerySet:
    return SendLog.objects.waiting().filter(notification=notification)


def _request_of(notification: Notification) -> Any:
    return Approval.objects.filter(notification=notification)


def _problem(notification: Notification, by: Any, seen: str = "") -> str:
    """Why it cannot be decided now. Call inside a transaction: it waits for other verbs."""
    _lock(notification)
    request = _request_of(notification).first()
    if request is None:
        return _("It does not wait for approval.")
    if problem := why_not(request, by):
        return problem
    if notification.expires_at is not None and notification.expires_at <= timezone.now():
        _expire(notification)
        return _("It expired before somebody approved it. Nothing was sent.")
    if not _waiting(notification).exists():
        end_requests(_request_of(notification), Decision.WITHDRAWN)
        return nothing_waits()
    if seen and seen != fingerprint(notification):
        return _("It has changed since you looked at it. Look at it again.")
    return ""


def _decide(notification: Notification, decision: Decision, by: Any, reason: str = "") -> None:
    if not end_requests(_request_of(notification), decision, by=by, reason=reason):
        # In a transaction that goes on seeing what it saw at first.
        raise CannotDecide(_("Somebody has decided at this moment."))


def _lock(notification: Notification) -> None:
    """Always a write, for its lock: one verb after the other. Then it is read as it is now."""
    Notification.objects.filter(pk=notification.pk).update(held_at=F("held_at"))
    notification.refresh_from_db(using=database().alias)


@repeats_on_conflict
def _expire(notification: Notification) -> None:
    with transaction.atomic(using=database().alias):
        _lock(notification)
        if not end_requests(_request_of(notification), Decision.EXPIRED):
            return  # somebody has decided at this moment
        _waiting(notification).update(
            status=SendLog.Status.EXPIRED, due_at=None, finished_at=timezone.now()
        )


def _moment(request: ApprovalRequest) -> str:
    when = request.decided_at
    return date_format(timezone.localtime(when), "DATETIME_FORMAT") if when else "-"

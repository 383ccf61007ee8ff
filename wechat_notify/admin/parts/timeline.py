"""What happened to one message, and when."""

from collections.abc import Iterator
from datetime import datetime

from django.utils.translation import gettext as _

from ...models import Approval, ApprovalRequest, SendLog
from ...wechat.errors import Words
from .explanations import MEANINGS, in_short

Status = SendLog.Status
Decision = ApprovalRequest.Decision

ENDINGS = (
    Status.SKIPPED,
    Status.FAILED,
    Status.UNCERTAIN,
    Status.EXPIRED,
    Status.CANCELLED,
)
"""States in which a message has ended that WeChat has not accepted."""


def moments(log: SendLog) -> list[tuple[datetime, Words]]:
    """Each moment that is known of the message, the earliest first, with what happened."""
    known = [(when, what) for when, what in _moments(log) if when is not None]
    return sorted(known, key=lambda moment: moment[0])


def approval_moments(request: ApprovalRequest) -> Iterator[tuple[datetime, Words]]:
    """Who asked for approval, and who decided how."""
    yield request.asked_at, _("%s asked for approval") % request.asker
    if request.decided_at is None:
        return
    texts = {
        Decision.APPROVED: _("approved by %(name)s"),
        Decision.REFUSED: _("refused by %(name)s: %(reason)s"),
        Decision.WITHDRAWN: _("the request for approval was withdrawn"),
        Decision.EXPIRED: _("expired before somebody approved it"),
    }
    names = {"name": request.decided_by_name or "-", "reason": request.reason or "-"}
    yield request.decided_at, texts[Decision(request.decision)] % names


def _moments(log: SendLog) -> Iterator[tuple[datetime | None, Words]]:
    notification = log.notification
    yield notification.created_at, _("asked for")
    for approval in Approval.objects.filter(notification=notification):
        yield from approval_moments(approval)
    yield (log.due_at or notification.send_at), _("planned for this time")
    yield log.claimed_at, _("last taken by a worker")
    yield log.in_doubt_since, _("in doubt since")
    yield log.sent_at, _("accepted by WeChat")
    if log.status in ENDINGS:
        yield log.finished_at, _ended(log)
    yield log.receipt_at, _("receipt came")


def _ended(log: SendLog) -> str:
    """That it was skipped, failed …, and why."""
    status = Status(log.status)
    why = in_short(log) or MEANINGS.get(status, "")
    names = {"status": status.label, "why": why}
    return _("%(status)s: %(why)s") % names if why else str(status.label)

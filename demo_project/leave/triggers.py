"""What happens here that people want to hear about in WeChat."""

from datetime import timedelta
from typing import Any

from django.db.models.signals import post_save

from wechat_notify.triggers import notify_on, remind_on

from .models import Leave

REQUEST_FIELDS = ["applicant", "kind", "starts_at", "ends_at", "reason"]


@notify_on(
    post_save,
    sender=Leave,
    template="leave_requested",
    fields=REQUEST_FIELDS,
    changes={"status": "pending"},
)
def tell_approvers(instance: Leave, **kwargs: Any) -> dict[str, Any]:
    """A new request: everybody who may approve it."""
    return {**_request(instance), "key": f"leave-{instance.pk}"}


@remind_on(
    Leave,
    at="start",
    before=timedelta(days=1),
    template="leave_requested",
    when=lambda leave: leave.is_pending,
)
def remind_approvers(leave: Leave) -> dict[str, Any]:
    """A day before the leave begins, and nobody has decided: the same people once more."""
    return _request(leave)


@notify_on(
    post_save,
    sender=Leave,
    template="leave_decided",
    fields=["applicant", "result", "decided_by", "decided_at", "reason"],
    changes=["status"],
    when=lambda leave: leave.decided_by is not None,
)
def tell_applicant(instance: Leave, **kwargs: Any) -> dict[str, Any]:
    """A decision: the person who asked."""
    decider = instance.decided_by
    return {
        "users": instance.applicant,
        "data": {
            "applicant": instance.applicant.get_full_name(),
            # The template's language, not the site's: WeChat takes Chinese only in a "phrase".
            "result": "已同意" if instance.status == Leave.Status.APPROVED else "未同意",
            "decided_by": decider.get_full_name() if decider else "",
            "decided_at": instance.decided_at,
            "reason": instance.reason,
        },
        "url": instance.get_absolute_url(),
        "key": f"leave-{instance.pk}-decided",
    }


def _request(leave: Leave) -> dict[str, Any]:
    return {
        "users": leave.approvers(),
        "data": {
            "applicant": leave.applicant.get_full_name(),
            "kind": leave.kind,
            "starts_at": leave.start,
            "ends_at": leave.end,
            "reason": leave.reason,
        },
        "url": leave.get_absolute_url(),
    }

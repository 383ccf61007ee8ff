"""What happens here that people want to hear about in WeChat."""

from typing import Any

from django.db.models.signals import post_save

from wechat_notify.triggers import notify_on

from .models import Leave


@notify_on(post_save, sender=Leave, template="leave_requested")
def tell_approvers(instance: Leave, created: bool, **kwargs: Any) -> dict[str, Any] | None:
    """A new request: everybody who may approve it."""
    if not created:
        return None
    return {
        "users": instance.approvers(),
        "data": {
            "name1": instance.applicant.get_full_name(),
            "const2": instance.kind,
            "time3": instance.start,
            "time4": instance.end,
            "thing5": instance.reason,
        },
        "url": instance.get_absolute_url(),
        "key": f"leave-{instance.pk}",
    }


@notify_on(post_save, sender=Leave, template="leave_decided")
def tell_applicant(instance: Leave, **kwargs: Any) -> dict[str, Any] | None:
    """A decision: the person who asked. The key makes it one message, however often it is saved."""
    if instance.is_pending or instance.decided_by is None:
        return None
    return {
        "users": instance.applicant,
        "data": {
            "name1": instance.applicant.get_full_name(),
            # The template's language, not the site's: WeChat takes Chinese only in a "phrase".
            "phrase2": "已同意" if instance.status == Leave.Status.APPROVED else "未同意",
            "name3": instance.decided_by.get_full_name(),
            "time4": instance.decided_at,
            "thing5": instance.reason,
        },
        "url": instance.get_absolute_url(),
        "key": f"leave-{instance.pk}-decided",
    }

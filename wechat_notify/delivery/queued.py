"""What a queued task does, whichever queue it came from."""

from ..models import Notification
from .dispatch import QueueDispatcher, deliver_within, get_dispatcher
from .outbox import database

# A task ends after this long, so that RATE or a slow day cannot make it outlive its queue's
# patience; its successor goes on.
TASK_SECONDS = 300.0


def run(
    account: str | None = None,
    notification_id: int | None = None,
    limit: int | None = None,
    share_out: bool = False,
) -> dict[str, int]:
    """Send up to ``limit`` due messages of one notification, and queue what must follow.

    Without a notification: whatever is due, of one account or of all. ``share_out``: the
    notification has come due, so share it out among the workers instead of sending. Returns
    counts by new status.
    """
    dispatcher = get_dispatcher()
    if share_out and notification_id is not None:
        dispatcher.dispatch(_notification(notification_id))
        return {}
    report = deliver_within(
        TASK_SECONDS, account=account, notification_id=notification_id, limit=limit
    )
    if notification_id is not None and isinstance(dispatcher, QueueDispatcher):
        dispatcher.go_on(_notification(notification_id), report)
    return report.counts


def _notification(pk: int) -> Notification:
    rows = Notification.objects.using(database().alias).select_related("template")
    return rows.get(pk=pk)

"""What a queued task does, whichever queue it came from."""

import threading

from ..models import Notification
from . import engine
from .dispatch import QueueDispatcher, get_dispatcher
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
    if notification_id is None or not isinstance(dispatcher, QueueDispatcher):
        return _deliver(account, notification_id, limit).counts
    notifications = Notification.objects.using(database().alias).select_related("template")
    notification = notifications.get(pk=notification_id)
    if share_out:
        dispatcher.dispatch(notification)
        return {}
    report = _deliver(account, notification_id, limit)
    dispatcher.go_on(notification, report)
    return report.counts


def _deliver(account: str | None, notification_id: int | None, limit: int | None) -> engine.Report:
    stop = threading.Event()
    timer = threading.Timer(TASK_SECONDS, stop.set)
    timer.daemon = True
    timer.start()
    try:
        return engine.deliver(
            account=account, notification_id=notification_id, limit=limit, stop=stop
        )
    finally:
        timer.cancel()

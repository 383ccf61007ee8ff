"""The Celery task, where ``app.autodiscover_tasks()`` looks for it. Nothing else imports this."""

from celery import shared_task

from .delivery import engine
from .delivery.dispatch import CeleryDispatcher


@shared_task(name=CeleryDispatcher.TASK_NAME, ignore_result=True)  # type: ignore[untyped-decorator]
def deliver_chunk(account: str, notification_id: int, limit: int) -> dict[str, int]:
    """Send up to ``limit`` due messages of one notification. Returns counts by new status."""
    report = engine.deliver(account=account, notification_id=notification_id, limit=limit)
    return dict(report.counts)

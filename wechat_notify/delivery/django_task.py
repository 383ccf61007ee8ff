"""The task of Django's Tasks framework. Imported by ``TasksDispatcher`` and its workers only."""

import django

from . import engine

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task  # type: ignore[no-redef]


@task
def deliver_chunk(account: str, notification_id: int, limit: int) -> dict[str, int]:
    """Send up to ``limit`` due messages of one notification. Returns counts by new status."""
    report = engine.deliver(account=account, notification_id=notification_id, limit=limit)
    return dict(report.counts)

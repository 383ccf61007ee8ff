"""The task of Django's Tasks framework. Imported by ``TasksDispatcher`` and its workers only."""

import django

from . import queued

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task  # type: ignore[no-redef]


@task
def deliver(
    account: str | None = None,
    notification_id: int | None = None,
    limit: int | None = None,
    share_out: bool = False,
) -> dict[str, int]:
    """``queued.run`` as a task."""
    return queued.run(account, notification_id, limit, share_out)

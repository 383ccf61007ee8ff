"""The task of Django's Tasks framework. Imported by ``TasksDispatcher`` and its workers only."""

import django

from . import queue

if django.VERSION >= (6, 0):
    from django.tasks import task
else:
    from django_tasks import task  # type: ignore[no-redef]


@task
def deliver(
    account: str | None = None,
    notifications: list[int] | None = None,
    limit: int | None = None,
    share_out: bool = False,
) -> dict[str, int]:
    """``queue.run`` as a task."""
    return queue.run(account, notifications, limit, share_out)

"""The Celery task, where ``app.autodiscover_tasks()`` looks for it.

Without arguments it delivers whatever is due. An entry in the schedule of Celery beat makes sure
that nothing waits for the next notification after a broker or a worker was lost::

    CELERY_BEAT_SCHEDULE = {
        "wechat-deliver": {"task": "wechat_notify.deliver", "schedule": 60.0},
    }
"""

from celery import shared_task
from django.db import InterfaceError, OperationalError

from .dispatchers import queue

# The rows are the truth, so running a task twice does no harm and losing one does: it is
# acknowledged when it is done, and one whose worker died is handed to another.
deliver = shared_task(
    name="wechat_notify.deliver",
    ignore_result=True,
    acks_late=True,
    reject_on_worker_lost=True,
    autoretry_for=(OperationalError, InterfaceError),
    retry_backoff=True,
    max_retries=10,
)(queue.run)
"""``queue.run`` as a task, with its arguments."""

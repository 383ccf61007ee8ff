"""The Celery app of the worker processes, as a site would have it."""

from typing import Any

from celery import Celery
from celery.utils.log import get_task_logger

logger = get_task_logger(__name__)

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.task(name="tests.tell")  # type: ignore[untyped-decorator]
def tell(number: int) -> None:
    """Notify one person, and log what is known of the message when the task ends."""
    from tests.factories import ORDER, openid
    from wechat_notify.services import notify

    notification: Any = notify(openid(number), "order_paid", ORDER)
    logger.info("told: %s", {status: n for status, n in notification.counts.items() if n})

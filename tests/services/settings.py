"""Settings of the worker processes that the service tests start. Everything from the environment.

Beside DATABASE_URL, CACHE_URL and CELERY_BROKER_URL: SANDBOX_URL, where the fake WeChat listens,
SANDBOX_APP_ID and DISPATCHER.
"""

import django

from tests.settings import *  # noqa: F403
from tests.settings import CELERY_BROKER_URL, DATABASES, INSTALLED_APPS, WECHAT_NOTIFY, env
from wechat_notify.sandbox import samples

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 30

INSTALLED_APPS += ["django_tasks_db"]
if django.VERSION < (6, 0):
    INSTALLED_APPS += ["django_tasks"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

WECHAT_NOTIFY["ACCOUNTS"] = {
    "default": {
        "APP_ID": env.str("SANDBOX_APP_ID"),
        "APP_SECRET": samples.APP_SECRET,
        "API_BASE": env.str("SANDBOX_URL"),
    }
}
WECHAT_NOTIFY.update(
    DISPATCHER=env.str("DISPATCHER", default="wechat_notify.delivery.dispatch.WorkerDispatcher"),
    BATCH_SIZE=100,
    CONCURRENCY=8,
    TIMEOUT=(2, 5),
    LEASE=8,
)

CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", default="celery")
if CELERY_BROKER_URL.startswith("redis"):
    # What a killed worker had taken stands there under one key for all queues, and would come back
    # to somebody else's worker an hour later.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"{CELERY_TASK_DEFAULT_QUEUE}:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

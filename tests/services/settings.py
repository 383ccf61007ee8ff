"""Settings of the worker processes that the service tests start. Everything from the environment.

Beside DATABASE_URL, CACHE_URL and CELERY_BROKER_URL: SANDBOX_URL, where the fake WeChat listens,
SANDBOX_APP_ID, TIMEOUT, LEASE, DISPATCHER and DISPATCHER_OPTIONS (JSON). CLOCK_AHEAD: so many
seconds is this host's clock ahead. HOST: what this host is called. CACHE: the default cache, as
JSON, instead of CACHE_URL. PSYCOPG2: as on a host that has no psycopg 3. SMTP_PORT: where the mail
server listens.
"""

import socket
import sys
from datetime import timedelta

import django
from django.utils import timezone

from tests.settings import *  # noqa: F403
from tests.settings import CELERY_BROKER_URL, DATABASES, INSTALLED_APPS, WECHAT_NOTIFY, env
from tests.wechat_posts import TOKEN
from wechat_notify.sandbox import samples

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"].setdefault("OPTIONS", {})["timeout"] = 30

INSTALLED_APPS += ["django_tasks_db", "tests.services.booking"]
if django.VERSION < (6, 0):
    INSTALLED_APPS += ["django_tasks"]
ROOT_URLCONF = "tests.services.urls"
LOGGING = {  # also what goes wrong in a page
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"]},
}
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}

WECHAT_NOTIFY["ACCOUNTS"] = {
    "default": {
        "APP_ID": env.str("SANDBOX_APP_ID"),
        "APP_SECRET": samples.APP_SECRET,
        "API_BASE": env.str("SANDBOX_URL"),
        "CALLBACK_TOKEN": TOKEN,
    }
}
WECHAT_NOTIFY.update(
    DISPATCHER={
        "BACKEND": env.str(
            "DISPATCHER", default="wechat_notify.dispatchers.worker.WorkerDispatcher"
        ),
        "OPTIONS": env.json("DISPATCHER_OPTIONS", default={}),
    },
    BATCH_SIZE=100,
    CONCURRENCY=8,
    # Longer than a busy machine stands still.
    TIMEOUT=env.tuple("TIMEOUT", cast=float, default=(20, 20)),
    LEASE=env.float("LEASE", default=60.0),
)

if ahead := env.float("CLOCK_AHEAD", default=0.0):
    right = timezone.now
    timezone.now = lambda: right() + timedelta(seconds=ahead)

if port := env.int("SMTP_PORT", default=0):
    if django.VERSION >= (6, 1):
        options = {"host": "127.0.0.1", "port": port, "timeout": 600}
        MAILERS = {
            "default": {
                "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
                "OPTIONS": options,
            }
        }
    else:
        EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = "127.0.0.1", port, 600

if host := env.str("HOST", default=""):
    socket.gethostname = lambda: host

if env.bool("PSYCOPG2", default=False):
    sys.modules["psycopg"] = None  # Django then takes psycopg2

if cache := env.json("CACHE", default=None):
    CACHES = {"default": cache}

CELERY_TASK_DEFAULT_QUEUE = env.str("CELERY_QUEUE", default="celery")
if CELERY_BROKER_URL.startswith("redis"):
    # What a killed worker had taken stands there under one key for all queues, and would come back
    # to somebody else's worker an hour later.
    CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": f"{CELERY_TASK_DEFAULT_QUEUE}:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False

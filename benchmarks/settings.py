"""The Django settings of the benchmarks' child processes. Everything not named is a default."""

import django
import environ

from .tasks import ACCOUNT, APP_ID, APP_SECRET, CALLBACK_TOKEN, QUEUE

env = environ.Env()

SECRET_KEY = "only-for-the-benchmarks"
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "wechat_notify"]
ROOT_URLCONF = "benchmarks.waiting.site"
ALLOWED_HOSTS = ["127.0.0.1"]
dispatcher = env.str("BENCHMARK_DISPATCHER", default="worker")
if dispatcher == "tasks":
    INSTALLED_APPS += ["django_tasks_db"]
    if django.VERSION < (6, 0):
        INSTALLED_APPS += ["django_tasks"]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")
CELERY_TASK_DEFAULT_QUEUE = QUEUE
DATABASES = {"default": env.db_url("DATABASE_URL")}
WECHAT_NOTIFY = {
    "ACCOUNTS": {
        ACCOUNT: {
            "APP_ID": APP_ID,
            "APP_SECRET": APP_SECRET,
            "API_BASE": env.str("BENCHMARK_API_BASE") or "http://127.0.0.1:9",
            "CALLBACK_TOKEN": CALLBACK_TOKEN,
        }
    },
    # By default rows are written by one step of the benchmark and sent by another.
    "DISPATCHER": f"wechat_notify.dispatchers.{dispatcher}.{dispatcher.capitalize()}Dispatcher",
}

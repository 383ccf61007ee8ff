"""The Django settings of the benchmarks' child processes. Everything not named is a default."""

import environ

from .tasks import ACCOUNT, APP_ID, APP_SECRET

env = environ.Env()

SECRET_KEY = "only-for-the-benchmarks"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "wechat_notify"]
DATABASES = {"default": env.db_url("DATABASE_URL")}
WECHAT_NOTIFY = {
    "ACCOUNTS": {
        ACCOUNT: {
            "APP_ID": APP_ID,
            "APP_SECRET": APP_SECRET,
            "API_BASE": env.str("BENCHMARK_API_BASE") or "http://127.0.0.1:9",
        }
    },
    # Rows are written by one step of the benchmark and sent by another.
    "DISPATCHER": "wechat_notify.delivery.dispatch.WorkerDispatcher",
}

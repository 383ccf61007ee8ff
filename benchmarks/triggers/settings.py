"""The app's settings, and an app with two models that differ in their triggers only."""

import environ

DATABASES = {"default": environ.Env().db_url("DATABASE_URL", default="sqlite://:memory:")}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "wechat_notify",
    "benchmarks.triggers",
]
SECRET_KEY = "only-for-benchmarks"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
WECHAT_NOTIFY = {
    "ACCOUNTS": {"default": {"BACKEND": "wechat_notify.backends.locmem.LocMemBackend"}},
}

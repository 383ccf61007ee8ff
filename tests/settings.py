"""Settings of the test suite: everything in memory unless the environment names real services.

DATABASE_URL, CACHE_URL and CELERY_BROKER_URL (django-environ's forms) point the same tests at
PostgreSQL, MariaDB, Redis or RabbitMQ.
"""

import django
import environ

env = environ.Env()

SECRET_KEY = "only-for-the-tests"
DEBUG = False
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "en"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "wechat_notify",
    "wechat_notify.rules",
    "tests.library",
    "tests.school",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES = {"default": env.db_url("DATABASE_URL", default="sqlite://:memory:")}
# For recipients that live elsewhere: another alias, which tests lead to the same database.
DATABASES["elsewhere"] = {**DATABASES["default"], "TEST": {"MIRROR": "default"}}
CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}
if CACHES["default"]["BACKEND"].endswith(".RedisCache"):
    # xdist's processes each have keys of their own on it, as they have databases of their own.
    process = env.str("PYTEST_XDIST_WORKER", default="alone")
    CACHES["default"].update(BACKEND="tests.caches.OwnRedisCache", KEY_PREFIX=f"tests-{process}")
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="")

if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}

WECHAT_NOTIFY = {
    "ACCOUNTS": {
        "default": {
            "BACKEND": "wechat_notify.backends.locmem.LocMemBackend",
            "APP_ID": "wx0123456789abcdef",
            "APP_SECRET": "0123456789abcdef0123456789abcdef",
        },
        "other": {
            "BACKEND": "wechat_notify.backends.locmem.LocMemBackend",
            "APP_ID": "wxfedcba9876543210",
            "APP_SECRET": "fedcba9876543210fedcba9876543210",
        },
    },
    # The default one does nothing in tests.
    "DISPATCHER": "wechat_notify.dispatchers.inline.InlineDispatcher",
    "SITE_URL": "https://school.example",
}

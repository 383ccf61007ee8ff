"""What the projects' settings have in common. WHERE: their directory; SANDBOX_URL: WeChat."""

import environ

from tests.wechat_posts import TOKEN
from wechat_notify.sandbox import samples

env = environ.Env()

SECRET_KEY = "only-for-the-tests"
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
TIME_ZONE = "Asia/Shanghai"
LANGUAGE_CODE = "zh-hans"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
LOGIN_URL = "login"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": env.str("WHERE") + "/site.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": env.str("WHERE") + "/cache",
    }
}
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
            ]
        },
    }
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"console": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["console"]},
}
WECHAT_NOTIFY = {
    "ACCOUNTS": {
        "default": {
            "APP_ID": env.str("SANDBOX_APP_ID"),
            "APP_SECRET": samples.APP_SECRET,
            "API_BASE": env.str("SANDBOX_URL"),
            "AUTHORIZE_BASE": env.str("SANDBOX_URL"),
            "CALLBACK_TOKEN": TOKEN,
        }
    },
    "DISPATCHER": "wechat_notify.dispatchers.worker.WorkerDispatcher",
    "TIMEOUT": (2, 5),
}

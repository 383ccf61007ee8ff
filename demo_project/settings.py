"""Settings of the demo, read from the environment and .env; .env.example lists them all."""

import os
from pathlib import Path

import environ
from django.utils.translation import gettext_lazy as _

from wechat_notify.conf import ACCOUNT_KEYS, KEYS
from wechat_notify.sandbox import samples

BASE_DIR = Path(__file__).resolve().parent.parent

env = environ.Env()
env.read_env(BASE_DIR / ".env")

DEBUG = env.bool("DEBUG", default=True)
SECRET_KEY = env.str("SECRET_KEY", default="good-enough-for-a-demo-on-this-machine-and-no-more")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["127.0.0.1", "localhost"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "wechat_notify",
    "wechat_notify.rules",
    "demo_project.leave",
    "demo_project.showcase",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "demo_project.urls"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
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

DATABASES = {"default": env.db_url("DATABASE_URL", default=f"sqlite:///{BASE_DIR / 'db.sqlite3'}")}
DATABASES["default"]["ATOMIC_REQUESTS"] = True
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Readers do not wait for a writer, and a writer asks for the lock before it reads.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL",
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
    }
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "leave:list"
LOGOUT_REDIRECT_URL = "login"
# Names of its own, so that the demo logs nobody out of another site on this machine.
SESSION_COOKIE_NAME = "demo_sessionid"
CSRF_COOKIE_NAME = "demo_csrftoken"
LANGUAGE_COOKIE_NAME = "demo_language"

# The terminal speaks the language of its locale; each browser gets its own.
locale = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG", "")
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="zh-hans" if locale.startswith("zh") else "en")
LOCALE_PATHS = [BASE_DIR / "demo_project" / "locale"]
LANGUAGES = [("zh-hans", _("Simplified Chinese")), ("en", _("English"))]
TIME_ZONE = "Asia/Shanghai"
USE_TZ = True

STATIC_URL = "static/"

# Without an account of its own the demo talks to the fake WeChat of "manage.py wechat_sandbox".
fake_hosts = dict.fromkeys(("API_BASE", "AUTHORIZE_BASE"), "http://127.0.0.1:8899")
hosts = ACCOUNT_KEYS if env.str("WECHAT_APP_ID", default="") else fake_hosts

WECHAT_NOTIFY = {
    "ACCOUNTS": {
        "default": {
            "NAME": env.str("WECHAT_NAME", default=samples.ACCOUNT_NAME),
            "APP_ID": env.str("WECHAT_APP_ID", default=samples.APP_ID),
            "APP_SECRET": env.str("WECHAT_APP_SECRET", default=samples.APP_SECRET),
            "API_BASE": env.str("WECHAT_API_BASE", default=hosts["API_BASE"]),
            "AUTHORIZE_BASE": env.str("WECHAT_AUTHORIZE_BASE", default=hosts["AUTHORIZE_BASE"]),
            "CALLBACK_TOKEN": env.str("WECHAT_CALLBACK_TOKEN", default=""),
        },
    },
    "DISPATCHER": env.str("WECHAT_DISPATCHER", default=KEYS["DISPATCHER"]),
    "SITE_URL": env.str("SITE_URL", default="http://127.0.0.1:8000"),
}

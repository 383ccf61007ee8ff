"""The benchmarks' settings with Django's admin on top: what a site has, and nothing more."""

from ..settings import *  # noqa: F403
from ..settings import INSTALLED_APPS as BASE_APPS

ROOT_URLCONF = "benchmarks.admin_list.urls"
ALLOWED_HOSTS = ["testserver"]
STATIC_URL = "/static/"
TIME_ZONE = "Asia/Shanghai"
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    *BASE_APPS,
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
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

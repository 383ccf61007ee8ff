"""A project without the admin and without messages: its people sign in, and that is all."""

from tests.projects.base import *  # noqa: F403

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "wechat_notify",
    "tests.projects.kiosk",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
]
MIGRATION_MODULES = {"kiosk": None}
HAPPENS = "tests.projects.kiosk.models.come"
ROOT_URLCONF = "tests.projects.kiosk.urls"

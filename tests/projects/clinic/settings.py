"""A project with most of what projects do otherwise than a new one does.

People have a UUID for a key and may have no login name; pages stand behind a language, demand a
login and allow nothing inline; each request is one transaction; reads go to a replica that never
catches up; the admin is a site of the project's own.
"""

import django

from tests.projects.base import *  # noqa: F403
from tests.projects.base import DATABASES, TEMPLATES, env

INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "wechat_notify",
    "tests.projects.clinic",
]
MIDDLEWARE = [
    "tests.binding_site.strict_policy",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
if django.VERSION >= (5, 1):
    MIDDLEWARE += ["django.contrib.auth.middleware.LoginRequiredMiddleware"]
TEMPLATES[0]["OPTIONS"]["context_processors"] += [
    "django.contrib.messages.context_processors.messages"
]
AUTH_USER_MODEL = "clinic.Patient"
MIGRATION_MODULES = {"clinic": None}
HAPPENS = "tests.projects.clinic.models.come"
ROOT_URLCONF = "tests.projects.clinic.urls"
DATABASES["default"]["ATOMIC_REQUESTS"] = True
DATABASES["elsewhere"] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": env.str("WHERE") + "/replica.sqlite3",
}
DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]

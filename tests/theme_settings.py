"""Settings of a site whose admin wears another theme, from the environment."""

from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS, WECHAT_NOTIFY, env

# A theme replaces the admin's templates, so it stands before the admin.
INSTALLED_APPS = [env.str("THEME"), *INSTALLED_APPS]

DATABASES = {"default": env.db_url("THEME_DATABASE_URL")}
DATABASES["default"]["OPTIONS"] = {"timeout": 20}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
WECHAT_NOTIFY["ACCOUNTS"]["default"].update(
    BACKEND="wechat_notify.backends.wechat.WeChatBackend",
    APP_ID=env.str("THEME_APP_ID"),
    APP_SECRET=env.str("THEME_APP_SECRET"),
    API_BASE=env.str("THEME_API_BASE"),
)
WECHAT_NOTIFY["DISPATCHER"] = "wechat_notify.dispatchers.worker.WorkerDispatcher"
# simpleui has its own words in "en-us", and none in "en".
LANGUAGE_CODE = "en-us"

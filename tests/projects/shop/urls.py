"""oscar's addresses behind a language, and the app's."""

from django.apps import apps
from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("i18n/", include("django.conf.urls.i18n")),
    path("wechat/", include("wechat_notify.urls")),
    *i18n_patterns(
        path("admin/", admin.site.urls),
        path("", include(apps.get_app_config("oscar").urls[0])),
    ),
]

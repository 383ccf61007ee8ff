"""Sites whose addresses begin with a language."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.views import LoginView
from django.urls import include, path
from django.views.i18n import JavaScriptCatalog

_app = path("wechat/", include("wechat_notify.urls"))

urlpatterns = i18n_patterns(
    path("deeper/", include([_app])), path("accounts/login/", LoginView.as_view())
)

but_not_the_main_language = (*i18n_patterns(_app, prefix_default_language=False),)
without_the_app = (*i18n_patterns(path("jsi18n/", JavaScriptCatalog.as_view())),)

"""Everything behind a language, but what WeChat calls; and an admin site of the project's own."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib.admin import AdminSite, autodiscover, site
from django.contrib.auth.views import LoginView
from django.urls import include, path

from wechat_notify.views.callback import CallbackView

office = AdminSite(name="office")
autodiscover()
for model, model_admin in site._registry.items():
    office.register(model, type(model_admin))

urlpatterns = [
    path("wechat/<str:account>/callback/", CallbackView.as_view()),
    *i18n_patterns(
        path("login/", LoginView.as_view(), name="login"),
        path("wechat/", include("wechat_notify.urls")),
        path("office/", office.urls),
    ),
]

"""Where things are on the demo site."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

from .showcase.views import DemoLoginView

urlpatterns = [
    path("", include("demo_project.leave.urls")),
    path("profile/", include("demo_project.profile.urls")),
    path("wechat/", include("wechat_notify.urls")),
    path("login/", DemoLoginView.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("admin/", admin.site.urls),
    # Django's admin names no icon of its own, so browsers ask here.
    path("favicon.ico", RedirectView.as_view(url=static("leave/favicon.svg"))),
]

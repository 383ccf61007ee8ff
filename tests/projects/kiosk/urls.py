"""The addresses of the project without an admin."""

from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("login/", LoginView.as_view(), name="login"),
    path("wechat/", include("wechat_notify.urls")),
]

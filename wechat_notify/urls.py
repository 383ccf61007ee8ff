"""``path("wechat/", include("wechat_notify.urls"))``: what WeChat calls, and what people visit."""

from django.urls import path

from .views.callback import CallbackView

app_name = "wechat_notify"

urlpatterns = [
    path("<str:account>/callback/", CallbackView.as_view(), name="callback"),
    # WeChat does not follow redirects, so an address typed without the slash works too.
    path("<str:account>/callback", CallbackView.as_view()),
]

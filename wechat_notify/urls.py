"""``path("wechat/", include("wechat_notify.urls"))``: what WeChat calls, and what people visit."""

from django.urls import path

from .views.binding import BindReturnView, BindView, UnbindView
from .views.binding_code import BindQRImageView, BindQRStatusView, BindQRView
from .views.callback import CallbackView
from .views.invited import (
    InvitedQRImageView,
    InvitedQRStatusView,
    InvitedQRView,
    InvitedReturnView,
    InvitedView,
)

app_name = "wechat_notify"

urlpatterns = [
    path("<str:account>/callback/", CallbackView.as_view(), name="callback"),
    # WeChat does not follow redirects, so an address typed without the slash works too.
    path("<str:account>/callback", CallbackView.as_view()),
    path("<str:account>/bind/", BindView.as_view(), name="bind"),
    path("<str:account>/bind/return/", BindReturnView.as_view(), name="bind_return"),
    path("<str:account>/bind/qr/", BindQRView.as_view(), name="bind_qr"),
    path("<str:account>/bind/qr/<int:pk>/", BindQRStatusView.as_view(), name="bind_qr_status"),
    path("<str:account>/bind/qr/<int:pk>.png", BindQRImageView.as_view(), name="bind_qr_image"),
    path("<str:account>/unbind/", UnbindView.as_view(), name="unbind"),
    path("<str:account>/invited/<str:token>/", InvitedView.as_view(), name="invited"),
    path(
        "<str:account>/invited/<str:token>/return/",
        InvitedReturnView.as_view(),
        name="invited_return",
    ),
    path("<str:account>/invited/<str:token>/qr/", InvitedQRView.as_view(), name="invited_qr"),
    path(
        "<str:account>/invited/<str:token>/qr/<int:pk>/",
        InvitedQRStatusView.as_view(),
        name="invited_qr_status",
    ),
    path(
        "<str:account>/invited/<str:token>/qr/<int:pk>.png",
        InvitedQRImageView.as_view(),
        name="invited_qr_image",
    ),
]

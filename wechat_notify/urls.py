"""The app's addresses: ``path("wechat/", include("wechat_notify.urls"))``."""

from django.urls import path

from .views import binding

app_name = "wechat_notify"

urlpatterns = [
    path("<str:account>/bind/", binding.BindView.as_view(), name="bind"),
    path("<str:account>/bind/return/", binding.BindReturnView.as_view(), name="bind_return"),
    path("<str:account>/bind/qr/", binding.BindQRView.as_view(), name="bind_qr"),
    path(
        "<str:account>/bind/qr/<int:pk>/",
        binding.BindQRStatusView.as_view(),
        name="bind_qr_status",
    ),
    path(
        "<str:account>/bind/qr/<int:pk>.png",
        binding.BindQRImageView.as_view(),
        name="bind_qr_image",
    ),
    path("<str:account>/unbind/", binding.UnbindView.as_view(), name="unbind"),
]

from django.urls import path

from . import views

app_name = "leave"

urlpatterns = [
    path("", views.LeaveList.as_view(), name="list"),
    path("new/", views.LeaveCreate.as_view(), name="new"),
    path("view/<int:pk>/", views.LeaveDetail.as_view(), name="detail"),
    path("view/<int:pk>/decide/", views.decide, name="decide"),
]

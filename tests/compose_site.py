"""A site's own admin: users and leave requests from whose lists messages can be sent."""

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import include, path

from tests.school.models import Leave
from wechat_notify.admin.bindings import OpenIDBindingAdmin
from wechat_notify.admin.mixins import SendWeChatMessageMixin
from wechat_notify.admin.notifications import NotificationAdmin
from wechat_notify.admin.recipients import RecipientFilterAdmin
from wechat_notify.admin.sendlog import SendLogAdmin
from wechat_notify.admin.templates import MessageTemplateAdmin
from wechat_notify.models import (
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)


class SchoolAdminSite(AdminSite):
    wechat_placeholders = ("date_joined", "leave_set")

    def has_wechat_account_permission(self, request: HttpRequest, account: str) -> bool:
        return account == "default" or request.user.is_superuser


class UsersAdmin(SendWeChatMessageMixin, UserAdmin):  # type: ignore[type-arg]
    """Users called hidden… are not to be seen by anybody here."""

    list_filter = ("is_staff", "groups")
    list_per_page = 10
    list_max_show_all = 10

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).exclude(username__startswith="hidden")


class LeaveAdmin(SendWeChatMessageMixin, ModelAdmin):  # type: ignore[type-arg]
    wechat_user_field = "person"
    search_fields = ("reason",)
    actions = ()


site = SchoolAdminSite()
site.register(Notification, NotificationAdmin)
site.register(MessageTemplate, MessageTemplateAdmin)
site.register(SendLog, SendLogAdmin)
site.register(OpenIDBinding, OpenIDBindingAdmin)
site.register(RecipientFilter, RecipientFilterAdmin)
site.register(get_user_model(), UsersAdmin)
site.register(Group)
site.register(Leave, LeaveAdmin)

urlpatterns = [
    path("admin/", site.urls),
    path("wechat/", include("wechat_notify.urls")),
]

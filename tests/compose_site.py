"""A site's own admin: users and leave requests from whose lists messages can be sent."""

from collections.abc import Iterator
from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import include, path

from tests.school.models import Leave
from wechat_notify.admin.mixins import SendWeChatMessageMixin
from wechat_notify.admin.pages.alert_list import AlertAdmin
from wechat_notify.admin.pages.draft_list import DraftAdmin
from wechat_notify.admin.pages.menu import ComposePageAdmin, DashboardPageAdmin
from wechat_notify.admin.pages.notification_list import NotificationAdmin
from wechat_notify.admin.pages.openid_bindings import OpenIDBindingAdmin
from wechat_notify.admin.pages.saved_recipients import RecipientFilterAdmin
from wechat_notify.admin.pages.send_log import SendLogAdmin
from wechat_notify.admin.pages.template_list import MessageTemplateAdmin
from wechat_notify.models import (
    Alert,
    ComposePage,
    DashboardPage,
    Draft,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from wechat_notify.site_recipients import Segment, WeChatRecipients


class SchoolRecipients(WeChatRecipients):
    segments_label = "名单"
    placeholders = {"date_joined": "Date joined", "leave_set": "leave_set", "reason": "请假事由"}
    columns = {"学号": "last_name"}

    def segments(self, request: HttpRequest) -> Iterator[Segment]:
        users = get_user_model().objects.all()
        yield Segment("on-leave", "请假的人", users.filter(leave__isnull=False))
        yield Segment("named", "有姓名的人", users.exclude(last_name="").order_by("username"))
        if request.user.is_superuser:
            yield Segment("staff", "教职工", users.filter(is_staff=True))

    def reason(self, user: Any) -> str | None:
        """Why this person is on leave."""
        return next((leave.reason for leave in user.leave_set.all()), None)

    def related(self, users: QuerySet[Any]) -> QuerySet[Any]:
        return users.prefetch_related("leave_set")


class SchoolAdminSite(AdminSite):
    wechat_recipients = SchoolRecipients

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
site.register(Draft, DraftAdmin)
site.register(MessageTemplate, MessageTemplateAdmin)
site.register(SendLog, SendLogAdmin)
site.register(OpenIDBinding, OpenIDBindingAdmin)
site.register(RecipientFilter, RecipientFilterAdmin)
site.register(Alert, AlertAdmin)
site.register(ComposePage, ComposePageAdmin)
site.register(DashboardPage, DashboardPageAdmin)
site.register(get_user_model(), UsersAdmin)
site.register(Group)
site.register(Leave, LeaveAdmin)

urlpatterns = [
    path("admin/", site.urls),
    path("wechat/", include("wechat_notify.urls")),
]

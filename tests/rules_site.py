"""A site's own admin with rules, where one account is for superusers, and some loans for nobody."""

from typing import Any

from django.contrib.admin import AdminSite, ModelAdmin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import path

from tests.compose_site import UsersAdmin
from tests.library.models import Loan
from wechat_notify.admin.pages.notification_list import NotificationAdmin
from wechat_notify.models import Notification
from wechat_notify.rules.admin.firing_list import FiringAdmin
from wechat_notify.rules.admin.rule_list import RuleAdmin
from wechat_notify.rules.models import Firing, Rule


class LibraryAdminSite(AdminSite):
    def has_wechat_account_permission(self, request: HttpRequest, account: str) -> bool:
        return account == "default" or request.user.is_superuser


class LoanAdmin(ModelAdmin):  # type: ignore[type-arg]
    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).exclude(title__startswith="hidden")


site = LibraryAdminSite()
site.register(Notification, NotificationAdmin)
site.register(Rule, RuleAdmin)
site.register(Firing, FiringAdmin)
site.register(get_user_model(), UsersAdmin)
site.register(Group)
site.register(Loan, LoanAdmin)

urlpatterns = [path("admin/", site.urls)]

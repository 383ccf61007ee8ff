"""Which accounts somebody may work with: the one place that decides, for every page of the app.

Django's permissions say what a member of staff may do; this says for which accounts. A site with
several decides it on its own ``AdminSite``, with a method of this name::

    class SchoolAdminSite(admin.AdminSite):
        def has_wechat_account_permission(self, request, account):
            return request.user.groups.filter(name=f"wechat-{account}").exists()

Without it everybody may work with every account. Rows of an account that is not allowed do not
exist for that person: they are on no list, and their pages are not found.
"""

from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import QuerySet
from django.http import HttpRequest

from ..conf import settings

HOOK = "has_wechat_account_permission"


def may_use_account(site: AdminSite, request: HttpRequest, account: str) -> bool:
    """Whether this user may see and do things with the account of this alias."""
    hook = getattr(site, HOOK, None)
    return True if hook is None else bool(hook(request, account))


def allowed_accounts(site: AdminSite, request: HttpRequest) -> list[str]:
    """The configured aliases that this user may work with."""
    return [alias for alias in settings.aliases if may_use_account(site, request, alias)]


def narrowed(
    site: AdminSite, request: HttpRequest, queryset: QuerySet[Any], lookup: str = "account"
) -> QuerySet[Any]:
    """The rows of allowed accounts; ``lookup`` leads from a row to its alias.

    All rows, those of accounts no longer configured too, for somebody who may use every account.
    """
    allowed = allowed_accounts(site, request)
    if len(allowed) == len(settings.aliases):
        return queryset
    return queryset.filter(**{f"{lookup}__in": allowed})

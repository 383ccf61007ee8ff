"""Who may do what in the admin. Every page asks here, and no permission is named anywhere else.

Django's permissions say what a member of staff may do; ``has_wechat_account_permission`` says for
which accounts. A site with several accounts defines it on its own ``AdminSite``::

    class SchoolAdminSite(admin.AdminSite):
        def has_wechat_account_permission(self, request, account):
            return request.user.groups.filter(name=f"wechat-{account}").exists()

Without it everybody may work with every account. Rows of an account that is not allowed do not
exist for that person: they are on no list, and their pages are not found.
"""

from importlib import import_module
from typing import Any

from django.conf import settings as django_settings
from django.contrib.admin import AdminSite
from django.contrib.admin.sites import all_sites
from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest

from ..conf import settings
from ..models import Notification


def _may(request: HttpRequest, *codenames: str) -> bool:
    return request.user.has_perms([f"wechat_notify.{codename}" for codename in codenames])


# -- sending -----------------------------------------------------------------------------------


def may_send(request: HttpRequest) -> bool:
    """Send, and let messages go or keep them from going: pause, resume, cancel, try an account
    again."""
    return _may(request, "send_notification")


def may_resend(request: HttpRequest) -> bool:
    """Resend messages. Nobody who may not send may send again."""
    return may_send(request) and _may(request, "resend_sendlog")


def may_compose(site: AdminSite, request: HttpRequest) -> bool:
    """Compose a message: it takes sending, and seeing the users to choose from."""
    return may_send(request) and may_see_users(site, request)


def can_compose_here(site: AdminSite, request: HttpRequest) -> bool:
    """Whether this site has the pages for composing, and this member of staff may use them."""
    return site.is_registered(Notification) and may_compose(site, request)


def may_approve(request: HttpRequest) -> bool:
    """Approve or refuse what somebody else has asked for: messages to many people, and rules that
    would send them."""
    return _may(request, "approve_notification")


# -- seeing ------------------------------------------------------------------------------------


def may_see_openids(request: HttpRequest) -> bool:
    """See whole openids. Everybody else sees them masked."""
    return _may(request, "view_openid")


def may_see_send_log(request: HttpRequest) -> bool:
    """See what became of each message, on whatever page."""
    return _may(request, "view_sendlog")


def may_see_users(site: AdminSite, request: HttpRequest) -> bool:
    """See the site's users: as their own admin says, or by Django's permission where none is."""
    model = get_user_model()
    if site.is_registered(model):
        return bool(site.get_model_admin(model).has_view_permission(request))
    return request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")


def may_see_who_was_not_reached(site: AdminSite, request: HttpRequest) -> bool:
    """See the people whom a message did not reach, by name."""
    return may_see_send_log(request) and may_see_users(site, request)


def may_see_saved_recipients(request: HttpRequest) -> bool:
    """See saved recipients, and use them for a message."""
    return _may(request, "view_recipientfilter")


def may_see_others_drafts(request: HttpRequest) -> bool:
    """See drafts that others have saved. One's own need no permission but that to compose."""
    return _may(request, "view_draft")


def may_delete_others_drafts(request: HttpRequest) -> bool:
    """Delete drafts that others have saved."""
    return _may(request, "delete_draft")


# -- the rest ----------------------------------------------------------------------------------


def may_save_recipients(request: HttpRequest) -> bool:
    """Save recipients for the next message. It takes seeing them, so that they are found again."""
    return may_see_saved_recipients(request) and _may(request, "add_recipientfilter")


def may_explain_failures(request: HttpRequest) -> bool:
    """Ask WeChat what it recorded of a refused request."""
    return _may(request, "resend_sendlog")


def may_see_alerts(request: HttpRequest) -> bool:
    """See what alerts there are and were."""
    return _may(request, "view_alert")


def may_sync_templates(request: HttpRequest) -> bool:
    """Fetch the list of templates from WeChat."""
    return _may(request, "sync_messagetemplate")


def may_replace_templates(request: HttpRequest) -> bool:
    """Let a name point to another template: what waits goes out with it."""
    return may_send(request) and _may(request, "change_messagetemplate")


def may_recheck_followers(request: HttpRequest) -> bool:
    """Ask WeChat whether people still follow the account."""
    return _may(request, "change_openidbinding")


def may_invite(site: AdminSite, request: HttpRequest) -> bool:
    """Make links by which people bind WeChat without signing in. It takes seeing the users, and
    what binding them by hand takes: a link can do no more."""
    return may_see_users(site, request) and _may(request, "add_openidbinding")


# -- accounts ----------------------------------------------------------------------------------


def may_use_account(site: AdminSite, request: HttpRequest, account: str) -> bool:
    """See and do things with the account of this alias."""
    hook = getattr(site, "has_wechat_account_permission", None)
    return True if hook is None else bool(hook(request, account))


def may_be_told(user: Any, account: str) -> bool:
    """Whether a user may know of this account outside of any page, such as by an e-mail.

    Each of the site's admins that says who may work with which account must allow it.
    """
    if root := getattr(django_settings, "ROOT_URLCONF", ""):
        import_module(root)  # a site's own AdminSite may be made there
    request = HttpRequest()
    request.user = user
    return all(may_use_account(site, request, account) for site in list(all_sites))


def allowed_accounts(site: AdminSite, request: HttpRequest) -> list[str]:
    """The configured aliases that this user may work with. The site is asked once a request: it may
    ask the database, and lists need the answer for each of their rows.
    """
    # Of each user: a copy of the request is made for other people, and has the same dict.
    kept: dict[tuple[AdminSite, Any], list[str]] = vars(request).setdefault("wechat_accounts", {})
    whose = (site, request.user.pk)
    if whose not in kept:
        aliases = settings.aliases
        kept[whose] = [alias for alias in aliases if may_use_account(site, request, alias)]
    return [*kept[whose]]


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

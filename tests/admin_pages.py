"""The admin as a browser sees it: who is logged in, and where the pages are."""

from types import ModuleType
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db.models import Model
from django.test import Client
from django.urls import include, path, reverse

from wechat_notify.models import SendLog

SEE = (
    "view_sendlog",
    "view_notification",
    "view_messagetemplate",
    "view_openidbinding",
    "view_recipientfilter",
    "view_alert",
)
RESEND = ("resend_sendlog", "send_notification")
ACTION = "_selected_action"


def staff(*codenames: str, name: str = "clerk") -> Any:
    """A member of staff with exactly these permissions of the app."""
    user, _new = get_user_model().objects.get_or_create(username=name, is_staff=True)
    wanted = Permission.objects.filter(
        content_type__app_label="wechat_notify", codename__in=codenames
    )
    assert wanted.count() == len(codenames)
    user.user_permissions.set(wanted)
    return user


def browser(*codenames: str, name: str = "clerk") -> Client:
    """A browser in which such a member of staff is logged in."""
    client = Client()
    client.force_login(staff(*codenames, name=name))
    return client


def serve_admin(settings: Any, model: type[Model], admin_class: Any) -> None:
    """A site's own admin, under /admin/, with this one model, and the app's own addresses.
    ``settings`` is the fixture."""
    site = AdminSite()
    site.register(model, admin_class)
    urls: Any = ModuleType("own_admin")
    urls.urlpatterns = [path("admin/", site.urls), path("wechat/", include("wechat_notify.urls"))]
    settings.ROOT_URLCONF = urls


def page(model: str, name: str = "changelist", *args: Any) -> str:
    return reverse(f"admin:wechat_notify_{model}_{name}", args=args)


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return str(response.content.decode())


def told(response: Any) -> str:
    """What the page reached after a redirect tells in its messages."""
    return " ".join(str(message) for message in response.context["messages"])


def resend_form(*logs: SendLog, **fields: Any) -> dict[str, Any]:
    """What the send log's list posts for its action."""
    return {"action": "resend", ACTION: [log.pk for log in logs], **fields}

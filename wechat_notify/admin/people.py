"""Who a row is about: how to show people, and how to find them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..delivery.names import full_name
from ..models import OpenIDBinding, SendLog
from ..wechat.masking import mask_openid

# A list of this many ids uses the index on user; more people than that are left to a subquery.
FEW_USERS = 200


def shown_openid(openid: str, *, whole: bool) -> str:
    """The openid for those who may see it, else masked; a dash where there is none."""
    if not openid:
        return "-"
    return openid if whole else mask_openid(openid)


def shown_name(user: Any) -> str:
    """The name of a user with the user name beside it: 王小明 (wang)."""
    name = full_name(user) or str(user)
    username = user.get_username()
    return name if name == username else f"{name} ({username})"


def who(row: SendLog | OpenIDBinding, *, whole: bool) -> SafeString:
    """The user with the openid beneath; the openid alone where there is no user."""
    openid = shown_openid(row.openid, whole=whole)
    if row.user is None:
        return format_html('<span class="wechat-openid">{}</span>', openid)
    if not row.openid:
        return format_html("{}", shown_name(row.user))
    shown = (shown_name(row.user), openid)
    return format_html('{}<br><span class="wechat-openid">{}</span>', *shown)


WHO = _("recipient")


def about(term: str) -> Q:
    """Rows whose user is found by ``term`` (in any name or the e-mail), or with just this openid.

    Never part of an openid: those who see it masked could piece it together.
    """
    users = _users(term).values_list("pk", flat=True)
    first = list(users[: FEW_USERS + 1])
    found = Q(user__in=first) if len(first) <= FEW_USERS else Q(user__in=users)
    return found | Q(openid=term)


def _users(term: str) -> QuerySet[Any]:
    model = get_user_model()
    present = {field.name for field in model._meta.get_fields()}
    wanted = [model.USERNAME_FIELD, "first_name", "last_name", "email"]
    users = model._default_manager.all()
    if {"first_name", "last_name"} <= present:
        users = users.alias(
            chinese_name=_joined("last_name", "first_name"),
            western_name=_joined("first_name", Value(" "), "last_name"),
        )
        # What is in either name is in both of these.
        wanted[1:3] = ["chinese_name", "western_name"]
        present |= {"chinese_name", "western_name"}
    names = {f"{name}__icontains": term for name in wanted if name in present}
    return users.filter(Q(*names.items(), _connector=Q.OR)).order_by()


def _joined(*parts: Any) -> Concat:
    return Concat(*parts, output_field=CharField())

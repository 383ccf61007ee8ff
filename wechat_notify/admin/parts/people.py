"""Who a row is about: how to show people, and how to find them."""

from collections.abc import Iterable
from functools import reduce
from operator import and_
from typing import Any

from django.contrib.admin import AdminSite, display
from django.contrib.auth import get_user_model
from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat, Replace
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...models import Notification, OpenIDBinding, RecipientFilter, SendLog
from ...names import login_of, name_of
from ...wechat.masking import mask_openid
from ..permissions import may_see_users

# A list of this many ids uses the index on user; more people than that are left to a subquery.
FEW_USERS = 200


def shown_openid(openid: str, *, whole: bool) -> str:
    """The openid for those who may see it, else masked; a dash where there is none."""
    if not openid:
        return "-"
    return openid if whole else mask_openid(openid)


def shown_name(user: Any) -> str:
    """The name of a user with the login name beside it, where it tells more: 王小明 (wang)."""
    name, login = name_of(user), login_of(user)
    return f"{name} ({login})" if login and login != name else name


class CreatorMixin:
    """An admin with a column ``creator``."""

    @display(description=_("created by"), ordering="created_by")
    def creator(self, row: Notification | RecipientFilter) -> str:
        """Who made the row."""
        return "-" if row.created_by is None else shown_name(row.created_by)


def who(row: SendLog | OpenIDBinding, *, whole: bool) -> SafeString:
    """The user with the openid beneath; the openid alone where there is no user."""
    openid = shown_openid(row.openid, whole=whole)
    if row.user is None:
        return _openid(openid)
    if not row.openid:
        return format_html("{}", shown_name(row.user))
    return format_html("<span>{}<br>{}</span>", shown_name(row.user), _openid(openid))


def _openid(shown: str) -> SafeString:
    """Whole in its title too, where a list has no room for it."""
    return format_html('<span class="wechat-openid" title="{0}">{0}</span>', shown)


WHO = _("recipient")


def about(term: str, site: AdminSite, request: HttpRequest) -> Q:
    """Rows whose user is found by ``term``, or with just this openid.

    Never part of an openid: those who see it masked could piece it together.
    """
    everybody = get_user_model()._default_manager.all()
    users = found_users(everybody, term, site, request).values_list("pk", flat=True)
    first = list(users[: FEW_USERS + 1])
    found = Q(user__in=first) if len(first) <= FEW_USERS else Q(user__in=users)
    return found | Q(openid=term)


def found_users(
    users: QuerySet[Any], term: str, site: AdminSite, request: HttpRequest
) -> QuerySet[Any]:
    """Those of ``users`` who match ``term``, or whom the site's own list of users finds by it.

    The latter for who may see that list only: it may search a phone number, for one.
    """
    found = matching(users, term)
    searched = _searched(term, site, request)
    if searched is None:
        return found
    either = Q(pk__in=found.values("pk")) | Q(pk__in=searched.values("pk"))
    return users.filter(either).order_by()


def _searched(term: str, site: AdminSite, request: HttpRequest) -> QuerySet[Any] | None:
    """What the admin of users finds, by its ``search_fields``; None if it searches nothing here."""
    model = get_user_model()
    if not (site.is_registered(model) and may_see_users(site, request)):
        return None
    users: Any = site.get_model_admin(model)
    if not users.get_search_fields(request):
        return None
    rows: QuerySet[Any] = users.get_search_results(request, users.get_queryset(request), term)[0]
    return rows.order_by()


def matching(users: QuerySet[Any], term: str) -> QuerySet[Any]:
    """Those of ``users`` whose login name, full name or e-mail contains ``term``.

    A full name counts in either order, with and without blanks: 王老师, "王 老师", "Smith Dave".
    Of several words, each may be in another of these.
    """
    model = get_user_model()
    named = with_full_names(users)
    present = {field.name for field in model._meta.get_fields()}
    logins = {model.USERNAME_FIELD, model.get_email_field_name()} & present
    words = term.split()
    if not words:
        return users.none()
    found = _any(FULL_NAMES, without_blanks(term)) | _any(logins, term)
    if len(words) > 1:
        each = (_any(("family_first", *logins), word) for word in words)
        found |= reduce(and_, each)
    rows: QuerySet[Any] = named.filter(found).order_by()
    return rows


def _any(names: Iterable[str], text: str) -> Q:
    return Q(*((f"{name}__icontains", text) for name in names), _connector=Q.OR)


FULL_NAMES = ("family_first", "given_first")


def with_full_names(users: QuerySet[Any]) -> QuerySet[Any]:
    """``users`` with their ``FULL_NAMES``, such as 王小明 and 小明王, without blanks.

    A part that the user model does not have is left out.
    """
    present = {field.name for field in get_user_model()._meta.get_fields()}
    family, given = (name if name in present else Value("") for name in ("last_name", "first_name"))
    named: QuerySet[Any] = users.annotate(
        family_first=_joined(family, given), given_first=_joined(given, family)
    )
    return named


def without_blanks(name: str) -> str:
    """A name as ``with_full_names`` has it. Chinese spreadsheets write 王　芳 below 王小明."""
    return "".join(name.split())


def _joined(*parts: Any) -> Replace:
    whole = Concat(*parts, output_field=CharField())
    return Replace(whole, Value(" "), Value(""), output_field=CharField())

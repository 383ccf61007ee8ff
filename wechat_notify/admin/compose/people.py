"""The users whom a member of staff may choose from, and how to name and find them."""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.db.models import CharField, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from ...models import OpenIDBinding
from ..people import about, shown_name

SEND = "wechat_notify.send_notification"


class People:
    """The site's users as this admin shows them to this member of staff.

    Whoever may not see users there may not write to them either, and a ``get_queryset`` of the
    site's own user admin that hides some hides them here too.
    """

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        model = get_user_model()
        self.site = site
        self.request = request
        self._admin: Any = site.get_model_admin(model) if site.is_registered(model) else None

    @property
    def may_be_seen(self) -> bool:
        """Whether this member of staff may see users at all."""
        if self._admin is not None:
            return bool(self._admin.has_view_permission(self.request))
        opts = get_user_model()._meta
        return self.request.user.has_perm(f"{opts.app_label}.view_{opts.model_name}")

    def all(self) -> QuerySet[Any]:
        """Every user who may be chosen."""
        if not self.may_be_seen:
            return get_user_model()._default_manager.none()
        if self._admin is None:
            return get_user_model()._default_manager.all()
        visible: QuerySet[Any] = self._admin.get_queryset(self.request)
        return visible.order_by()

    def search(self, term: str, account: str) -> QuerySet[Any]:
        """Users found by ``term``: as the user admin searches, or by the name of who is bound."""
        bound = OpenIDBinding.objects.filter(about(term), account=account)
        found = Q(pk__in=bound.values("user")) | Q(pk__in=self._searched(term).values("pk"))
        return self.all().filter(found)

    def _searched(self, term: str) -> QuerySet[Any]:
        users = self.all()
        if self._admin is not None and self._admin.get_search_fields(self.request):
            searched, _repeats = self._admin.get_search_results(self.request, users, term)
            rows: QuerySet[Any] = searched
            return rows.order_by()
        return users.filter(**{f"{get_user_model().USERNAME_FIELD}__icontains": term})


def search_term(given: QueryDict, name: str) -> str:
    """What somebody searches for; "" for what no text can hold: PostgreSQL takes no NUL."""
    term = given.get(name, "").strip()
    return "" if "\0" in term else term


def may_compose(site: AdminSite, request: HttpRequest) -> bool:
    """Whether this member of staff may send anything to anybody from here."""
    return request.user.has_perm(SEND) and People(site, request).may_be_seen


def with_full_names(users: QuerySet[Any]) -> QuerySet[Any]:
    """``users`` with ``chinese_name`` and ``western_name``, where the model has the parts."""
    present = {field.name for field in get_user_model()._meta.get_fields()}
    if not {"first_name", "last_name"} <= present:
        chinese_name: Any = Value("")
        western_name: Any = Value("")
    else:
        chinese_name = Concat("last_name", "first_name", output_field=CharField())
        western_name = Concat("first_name", Value(" "), "last_name", output_field=CharField())
    named: QuerySet[Any] = users.annotate(chinese_name=chinese_name, western_name=western_name)
    return named


def described(users: Iterable[Any], account: str) -> list[dict[str, str]]:
    """Each user as ``id``, ``name`` and ``note``: why nothing reaches them, or nothing."""
    found = list(users)
    bindings = OpenIDBinding.objects.filter(account=account, user__in=[user.pk for user in found])
    follows: dict[Any, bool] = {}
    for pk, subscribed in bindings.values_list("user_id", "subscribed"):
        follows[pk] = follows.get(pk, False) or subscribed
    return [
        {"id": str(user.pk), "name": shown_name(user), "note": _note(follows.get(user.pk))}
        for user in found
    ]


def _note(follows: bool | None) -> str:
    if follows is None:
        return _("has not bound WeChat")
    return "" if follows else _("does not follow the account")

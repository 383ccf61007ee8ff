"""The users that a member of staff may choose from: finding and describing them."""

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _

from ...models import OpenIDBinding
from ...site_recipients import Segment, recipients_of, segments_of
from ..parts.people import found_users, shown_name
from ..permissions import may_see_users


class People:
    """The site's users as this admin shows them to this member of staff.

    Who may not see users there may not write to them either. Users that the site's own user admin
    hides by its ``get_queryset`` are hidden here too.
    """

    def __init__(self, site: AdminSite, request: HttpRequest) -> None:
        model = get_user_model()
        self.site = site
        self.request = request
        self.offered = recipients_of(site)
        self._admin: Any = site.get_model_admin(model) if site.is_registered(model) else None

    @cached_property
    def segments(self) -> dict[str, Segment]:
        """The site's own segments that this member of staff may choose, by name."""
        return segments_of(self.offered, self.request)

    def all(self) -> QuerySet[Any]:
        """Every user who may be chosen."""
        if not may_see_users(self.site, self.request):
            return get_user_model()._default_manager.none()
        if self._admin is None:
            return get_user_model()._default_manager.all()
        visible: QuerySet[Any] = self._admin.get_queryset(self.request)
        return visible.order_by()

    def search(self, term: str, account: str = "") -> QuerySet[Any]:
        """Users found by ``term``, as on every list of the app, or by an openid on ``account``."""
        users = self.all()
        found = Q(pk__in=found_users(users, term, self.site, self.request).values("pk"))
        if account:
            bound = OpenIDBinding.objects.filter(openid=term, account=account)
            found |= Q(pk__in=bound.values("user"))
        return users.filter(found)


def search_term(given: QueryDict, name: str) -> str:
    """The search term; "" if it has a NUL character, which PostgreSQL refuses."""
    term = given.get(name, "").strip()
    return "" if "\0" in term else term


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

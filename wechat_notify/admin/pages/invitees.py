"""Whom a page invites: users by name, saved recipients, or those whom a message did not reach."""

from dataclasses import dataclass
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest, QueryDict

from ...models import Notification, OpenIDBinding, RecipientFilter, SendLog
from ...statistics import TROUBLE
from ..compose.choosable import People
from ..compose.criteria import audience
from ..compose.recipients_form import saved_criteria
from ..parts.filters import NUMBER
from ..parts.remedies import MOST_CHOSEN
from ..permissions import may_see_who_was_not_reached, narrowed


@dataclass(frozen=True, slots=True)
class Whom:
    """What an address says of them: ``?user=7&user=8``, ``?notification=9`` for those whom it did
    not reach, or ``?recipients=5`` for saved recipients."""

    users: tuple[str, ...] = ()
    notification: str = ""
    recipients: str = ""

    @classmethod
    def of(cls, query: QueryDict) -> "Whom":
        """Anything else that the address says is dropped, and users beyond ``MOST_CHOSEN``."""
        users = tuple(query.getlist("user")[:MOST_CHOSEN])
        return cls(users, _number(query, "notification"), _number(query, "recipients"))


class Invitees:
    """The users who are meant, of those whom this member of staff may see, on one account.

    ``users``: those who cannot be reached there now. ``reached``: how many can be by now.
    ``source``: the notification or the saved recipients by which they are found, if they are.
    """

    def __init__(self, site: AdminSite, request: HttpRequest, account: str, whom: Whom) -> None:
        self._site, self._request, self._account = site, request, account
        self.source: Notification | RecipientFilter | None = None
        meant = self._meant(whom)
        follows = OpenIDBinding.objects.filter(account=account, user=OuterRef("pk")).reachable()
        self.users = _active(meant).filter(~Exists(follows)).order_by("pk")
        self._reached = meant.filter(Exists(follows))

    @property
    def reached(self) -> int:
        return self._reached.count()

    def _meant(self, whom: Whom) -> QuerySet[Any]:
        people = People(self._site, self._request)
        if whom.notification:
            return self._missed(people.all(), whom.notification)
        if whom.recipients:
            return self._saved(people, whom.recipients)
        return people.all().filter(pk__in=_usable(whom.users))

    def _missed(self, users: QuerySet[Any], number: str) -> QuerySet[Any]:
        """Those whom the notification of this number did not reach, for those who may see it."""
        rows = Notification.objects.filter(pk=number, template__account=self._account)
        found = self._find(rows, "template__account")
        if found is None or not may_see_who_was_not_reached(self._site, self._request):
            return users.none()
        missed = SendLog.objects.filter(notification=found, user=OuterRef("pk"), status__in=TROUBLE)
        return users.filter(Exists(missed))

    def _saved(self, people: People, number: str) -> QuerySet[Any]:
        """Those whom the saved recipients of this number mean now, as far as that can be read."""
        rows = RecipientFilter.objects.filter(pk=number, account=self._account)
        found: Any = self._find(rows, "account")
        try:
            criteria = [] if found is None else [saved_criteria(found)]
            return audience(self._account, people, criteria).users
        except LookupError:
            return people.all().none()

    def _find(self, rows: QuerySet[Any], lookup: str) -> Any:
        """The row, which becomes the source, if this member of staff may see it."""
        site, request = self._site, self._request
        if not site.is_registered(rows.model):
            return None
        if not site.get_model_admin(rows.model).has_view_permission(request):
            return None
        self.source = narrowed(site, request, rows, lookup).first()
        return self.source


def _number(query: QueryDict, name: str) -> str:
    """A primary key in an address; "" for anything else."""
    text = query.get(name, "")
    return text if NUMBER.fullmatch(text) else ""


def _active(users: QuerySet[Any]) -> QuerySet[Any]:
    """Those who may sign in: nobody else can use an invitation. Of a user model without such a
    column all may."""
    columns = {field.name for field in get_user_model()._meta.get_fields()}
    return users.filter(is_active=True) if "is_active" in columns else users


def _usable(pks: tuple[str, ...]) -> list[Any]:
    """Those of these texts that a user's primary key can be."""
    field: Any = get_user_model()._meta.pk
    found = []
    for text in pks:
        try:
            found.append(field.clean(text, None))
        except (ValidationError, ValueError):
            continue
    return found

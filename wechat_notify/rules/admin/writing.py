"""Who writes which rule, and what there is to choose from."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib.admin import AdminSite
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from ...admin.compose.choosable import People
from ...admin.compose.composed import templates_for
from ...admin.compose.recipients_form import groups_among
from ...admin.permissions import may_see_saved_recipients
from ...models import MessageTemplate, RecipientFilter
from ..allowed import Allowed, AllowedField, allowed
from ..models import Rule
from ..sentence import related_name
from ..whom import can_tell
from .who_may import may_see_objects, visible_objects

OBJECTS = 20
"""So many of the newest objects are offered for a preview."""
RELATED = 200
"""So many objects that a field may refer to are offered as choices; of more, one types the key."""


def template_of(rule: Rule) -> MessageTemplate | None:
    """The rule's template; None while none is chosen."""
    return getattr(rule, "template", None)


@dataclass(frozen=True)
class Writing:
    """One rule, saved or not, and the member of staff who writes it."""

    site: AdminSite
    request: HttpRequest
    rule: Rule

    @cached_property
    def models(self) -> list[Allowed]:
        """The models that a rule may be about. Nobody lets a rule tell of objects that they may
        not see themselves."""
        return [one for one in allowed() if may_see_objects(self.site, self.request, one.model)]

    def model(self, label: str) -> Allowed | None:
        """The one of this label; None if it is none of them."""
        return next((one for one in self.models if one.label == label), None)

    @property
    def templates(self) -> QuerySet[MessageTemplate]:
        """The active templates of accounts that they may use, and the one that the rule has."""
        usable: QuerySet[MessageTemplate] = templates_for(self.site, self.request)
        if (own := template_of(self.rule)) is not None:
            usable = MessageTemplate.objects.filter(Q(pk__in=usable.values("pk")) | Q(pk=own.pk))
        return usable.order_by("title", "name")

    def groups(self) -> QuerySet[Any] | None:
        """Groups with members that they may see; None if the site's users have no groups."""
        return groups_among(People(self.site, self.request).all())

    def saved(self, account: str) -> QuerySet[RecipientFilter]:
        """Those saved recipients of this account that a rule can tell, for those who may see
        them."""
        if not may_see_saved_recipients(self.request):
            return RecipientFilter.objects.none()
        every = RecipientFilter.objects.filter(account=account).order_by("name")
        return every.filter(pk__in=[one.pk for one in every if can_tell(one)])

    def related(self, field: AllowedField) -> list[tuple[str, str]] | None:
        """The objects that a field may refer to, by primary key; None if they are too many, or
        are not to be seen by this member of staff."""
        target = field.field.related_model
        if not isinstance(target, type) or not may_see_objects(self.site, self.request, target):
            return None
        rows = visible_objects(self.site, self.request, target).order_by("pk")[: RELATED + 1]
        found = [(str(row.pk), related_name(row)) for row in rows]
        return found if len(found) <= RELATED else None

    def objects(self, model: Allowed) -> list[Any]:
        """The newest objects that they may see."""
        return list(visible_objects(self.site, self.request, model.model).order_by("-pk")[:OBJECTS])

    def object(self, model: Allowed, pk: str) -> Any:
        """The object of this primary key; None if there is none that they may see."""
        key = model.model._meta.pk
        rows = visible_objects(self.site, self.request, model.model)
        try:
            return rows.filter(pk=key.to_python(pk)).first() if pk else None
        except (TypeError, ValueError, OverflowError, ValidationError):
            return None

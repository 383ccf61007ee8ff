"""The part of the form that says to whom."""

from functools import reduce
from operator import or_
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Count, Model, Q, QuerySet
from django.http import QueryDict
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ...delivery.audience import Audience, everyone
from .draft import Composing
from .lists import Selection
from .pasted import MOST_PASTED, Pasted, split, understand

NAMED = 10
SHOWN_LENGTH = 40


class GroupsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as its base
    def label_from_instance(self, obj: Model) -> str:
        return f"{obj} ({obj.members})"  # type: ignore[attr-defined]  # an annotation


class RecipientsForm(forms.Form):
    """Everyone, groups, single people, a pasted list and rows of another list, all added up."""

    everyone = forms.BooleanField(label=_("Everyone who has bound WeChat"), required=False)
    users = forms.ModelMultipleChoiceField(
        get_user_model()._default_manager.none(), label=_("People"), required=False
    )
    pasted = forms.CharField(
        label=_("Pasted list"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("User names, full names or openids, one a line or with commas between them."),
    )
    list_label = forms.CharField(required=False, widget=forms.HiddenInput)
    list_query = forms.CharField(required=False, widget=forms.HiddenInput)
    list_ids = forms.CharField(required=False, widget=forms.HiddenInput)

    def __init__(self, composing: Composing, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.composing = composing
        self.visible = composing.people.all()
        users: Any = self.fields["users"]
        users.queryset = self.visible
        groups = _groups(self.visible)
        if groups is not None:
            self.fields["groups"] = GroupsField(
                groups, label=_("Groups"), required=False, widget=forms.CheckboxSelectMultiple
            )

    @property
    def _account(self) -> str:
        return self.composing.template.account

    def followers(self) -> int:
        """How many people "everyone" is."""
        return everyone(self.visible, self._account).count()

    def chosen_users(self) -> list[Any]:
        """The single people chosen so far, whatever else is wrong with the form."""
        given = self["users"].value() or []
        try:
            return list(self.visible.filter(pk__in=given))
        except (TypeError, ValueError, ValidationError):
            return []

    def selection(self) -> Selection | None:
        """The rows of another list, whatever else is wrong with the form."""
        label, query, ids = (
            str(self[name].value() or "") for name in ("list_label", "list_query", "list_ids")
        )
        chosen = tuple(part for part in ids.split(",") if part)
        return Selection(label, query, chosen) if label else None

    def selection_name(self) -> str:
        """What these rows are called; empty where there are none, or no such thing."""
        selection = self.selection()
        try:
            return selection.name() if selection is not None else ""
        except (LookupError, ValueError):
            return ""

    def selection_count(self) -> int | None:
        """How many users these rows stand for; None where they cannot be read."""
        selection = self.selection()
        if selection is None:
            return None
        try:
            chosen = selection.users(self.composing.site, self.composing.request)
            return self.visible.filter(pk__in=chosen.values("pk")).count()
        except LookupError:
            return None

    def clean_pasted(self) -> Pasted:
        entries = split(self.cleaned_data["pasted"])
        if len(entries) > MOST_PASTED:
            raise ValidationError(
                _("At most %(most)d at once; these are %(count)d."),
                params={"most": MOST_PASTED, "count": len(entries)},
            )
        found = understand(entries, self.visible, self._account) if entries else Pasted()
        problems = [*_complaints(found)]
        if problems:
            raise ValidationError(problems)
        return found

    def clean(self) -> dict[str, Any] | None:
        given = super().clean() or self.cleaned_data
        try:
            conditions = self._conditions(given)
        except LookupError:
            self.add_error("list_label", _("The list that people were chosen on cannot be read."))
            return given
        pasted = given.get("pasted") or Pasted()
        if not conditions and not pasted.openids and "pasted" not in self.errors:
            self.add_error("users", _("Choose at least one recipient."))
        users = self.visible.filter(reduce(or_, conditions)) if conditions else self.visible.none()
        given["audience"] = Audience(self._account, users, tuple(pasted.openids))
        return given

    def _conditions(self, given: dict[str, Any]) -> list[Q]:
        """What makes a user one of the recipients. Raises ``LookupError`` for a list not there."""
        pasted = given.get("pasted") or Pasted()
        pks = {user.pk for user in given.get("users") or ()} | pasted.users
        conditions = [Q(pk__in=pks)] if pks else []
        chosen: list[QuerySet[Any]] = []
        if given.get("everyone"):
            chosen.append(everyone(self.visible, self._account))
        if groups := given.get("groups"):
            # By key: the field's own query counts members, which has no place in the others.
            chosen.append(self.visible.filter(groups__in=[group.pk for group in groups]))
        if selection := self.selection():
            chosen.append(selection.users(self.composing.site, self.composing.request))
        return conditions + [Q(pk__in=users.values("pk")) for users in chosen]


def _groups(users: QuerySet[Any]) -> QuerySet[Any] | None:
    """Groups that have members among ``users``; None where the user model knows no groups."""
    try:
        groups: Any = get_user_model()._meta.get_field("groups")
    except FieldDoesNotExist:
        return None
    member = groups.related_query_name()
    among = Q(**{f"{member}__in": users.values("pk")})
    every = groups.related_model._default_manager.all()
    counted = every.annotate(members=Count(member, filter=among, distinct=True))
    return counted.filter(members__gt=0).order_by("name")  # type: ignore[no-any-return]


def _complaints(found: Pasted) -> list[ValidationError]:
    complaints = []
    if found.unknown:
        text = ngettext_lazy(
            "%(count)d is not known: %(names)s", "%(count)d are not known: %(names)s", "count"
        )
        complaints.append(_complaint(text, found.unknown))
    if found.ambiguous:
        text = ngettext_lazy(
            "%(count)d name is that of several people: %(names)s. Search for the right one.",
            "%(count)d names are those of several people: %(names)s. Search for the right ones.",
            "count",
        )
        complaints.append(_complaint(text, found.ambiguous))
    return complaints


def _complaint(text: Any, entries: list[str]) -> ValidationError:
    names = ", ".join(str(Truncator(entry).chars(SHOWN_LENGTH)) for entry in entries[:NAMED])
    more = ", …" if len(entries) > NAMED else ""
    return ValidationError(text, params={"count": len(entries), "names": names + more})

"""The part of the form that chooses the recipients."""

from dataclasses import replace
from typing import Any

from django import forms
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Count, Model, Q, QuerySet
from django.http import QueryDict
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from ...exceptions import UnreadableTable
from ...models import RecipientFilter
from ..permissions import may_see_saved_recipients
from .audience import everyone
from .composed import Composing
from .criteria import Criteria, audience
from .earlier import Outcome
from .earlier_form import EarlierForm
from .list_selection import Selection
from .narrowing import EVERYBODY, Narrowing
from .pasted import MOST_PASTED, Pasted, split, understand
from .table_columns import person_headings
from .table_people import TablePeople, understand_table, wrong_rows
from .table_text import read

NAMED = 10
SHOWN_LENGTH = 40
NEITHER_MESSAGE = _(
    "What has not left is cancelled for all of these people, and those who are left out here would "
    "get neither message. Do not narrow down whom it goes to."
)


def saved_criteria(saved: RecipientFilter) -> Criteria:
    """The choice that these saved recipients keep."""
    return Criteria.from_json(saved.criteria)


class SavedField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as its base
    """Saved recipients by name, with what was chosen beside it."""

    def label_from_instance(self, obj: Any) -> str:
        summary = " · ".join(saved_criteria(obj).summary())
        return format_html("{} <small>{}</small>", obj, summary)


class GroupsField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # as its base
    def label_from_instance(self, obj: Model) -> str:
        return f"{obj} ({obj.members})"  # type: ignore[attr-defined]  # an annotation


class RecipientsForm(EarlierForm):
    """Everyone, groups, single people, a pasted list, a table, rows of another list, people of an
    earlier notification and saved recipients, all together. Once valid, ``cleaned_data`` has
    ``criteria`` (all but saved recipients) and ``audience``."""

    filters = SavedField(
        RecipientFilter.objects.none(),
        label=_("Saved recipients"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    everyone = forms.BooleanField(label=_("Everyone who has bound WeChat"), required=False)
    in_all = forms.BooleanField(label=_("Only who is in all of them"), required=False)
    bound_since = forms.DateField(
        label=_("Only who has bound WeChat since"),
        required=False,
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
    )
    missed = forms.BooleanField(
        label=_("Only who did not get the last message with this template"), required=False
    )
    users = forms.ModelMultipleChoiceField(
        get_user_model()._default_manager.none(), label=_("People"), required=False
    )
    pasted = forms.CharField(
        label=_("Pasted list"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("User names, full names or openids, one a line or with commas between them."),
    )
    table = forms.CharField(
        label=_("Table"),
        required=False,
        strip=False,  # the first heading may be empty
        widget=forms.Textarea(
            attrs={
                "rows": 4,
                "spellcheck": "false",
                "wrap": "off",
                "aria-describedby": "id_table_helptext",
            }
        ),
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
        saved: Any = self.fields["filters"]
        saved.queryset = _saved(composing)
        groups = groups_among(self.visible)
        if groups is not None:
            self.fields["groups"] = GroupsField(
                groups, label=_("Groups"), required=False, widget=forms.CheckboxSelectMultiple
            )

        if segments := composing.people.segments.values():
            self.fields["segments"] = forms.MultipleChoiceField(
                label=str(composing.offered.segments_label),
                required=False,
                choices=[(segment.name, segment.label) for segment in segments],
                widget=forms.CheckboxSelectMultiple,
            )

    @property
    def _account(self) -> str:
        return self.composing.template.account

    def followers(self) -> int:
        """How many people "everyone" is."""
        return everyone(self.visible, self._account).count()

    def chosen_users(self) -> list[Any]:
        """The single people chosen so far, also if the form is invalid."""
        given = self["users"].value() or []
        try:
            return list(self.visible.filter(pk__in=given))
        except (TypeError, ValueError, ValidationError):
            return []

    def selection(self) -> Selection | None:
        """The rows of another list, also if the form is invalid."""
        label, query, ids = (
            str(self[name].value() or "") for name in ("list_label", "list_query", "list_ids")
        )
        chosen = tuple(part for part in ids.split(",") if part)
        return Selection(label, query, chosen) if label else None

    def selection_name(self) -> str:
        """The name of these rows; "" if there are none."""
        selection = self.selection()
        return selection.name() if selection is not None else ""

    def selection_count(self) -> int | None:
        """How many users these rows lead to; None if they cannot be read."""
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

    def clean_table(self) -> TablePeople | None:
        """None if there is none. What is wrong with single rows is for the last page to say."""
        composing = self.composing
        if not self.cleaned_data["table"].strip():
            return None
        try:
            table = read(self.cleaned_data["table"])
            columns = composing.offered.columns
            found = understand_table(table, composing.template, self.visible, columns)
        except UnreadableTable as error:
            raise ValidationError(str(error)) from error
        if not found.lines:
            raise ValidationError([_("No row can be used."), *wrong_rows(found.wrong[:NAMED])])
        return found

    def table_headings(self) -> list[str]:
        """The headings that a table may have: those that name a person."""
        return person_headings(self.composing.offered.columns)

    def clean(self) -> dict[str, Any] | None:
        given = super().clean() or self.cleaned_data
        given["criteria"] = criteria = self._criteria(given)
        earlier = given.get("earlier")
        if criteria.narrowing != EVERYBODY and earlier and earlier.outcome is Outcome.WAITING:
            self.add_error("earlier", NEITHER_MESSAGE)
        # What narrows it down applies to the saved ones too, and is asked once.
        own = replace(criteria, narrowing=EVERYBODY)
        chosen = [own, *(saved_criteria(saved) for saved in given.get("filters") or ())]
        try:
            given["audience"] = audience(
                self._account,
                self.composing.people,
                chosen,
                template=self.composing.template,
                narrowing=criteria.narrowing,
            )
        except LookupError:
            where = "list_label" if criteria.selection is not None else "filters"
            self.add_error(where, _("The list that people were chosen on cannot be read."))
            return given
        if not any(chosen) and not {"pasted", "table", "earlier"}.intersection(self.errors):
            self.add_error("users", _("Choose at least one recipient."))
        return given

    def _criteria(self, given: dict[str, Any]) -> Criteria:
        """What was chosen here, without saved recipients."""
        pasted, table = given.get("pasted") or Pasted(), given.get("table")
        single = {user.pk for user in given.get("users") or ()} | pasted.users
        openids = [*pasted.openids]
        if table is not None:
            single |= table.users
            openids += table.openids
        return Criteria(
            everyone=bool(given.get("everyone")),
            groups=tuple(str(group.pk) for group in given.get("groups") or ()),
            segments=tuple(given.get("segments") or ()),
            in_all=bool(given.get("in_all")),
            users=tuple(sorted(str(pk) for pk in single)),
            openids=tuple(dict.fromkeys(openids)),
            selection=self.selection(),
            earlier=self.earlier_choice() if given.get("earlier") is not None else None,
            narrowing=Narrowing(given.get("bound_since"), bool(given.get("missed"))),
        )


def _saved(composing: Composing) -> QuerySet[RecipientFilter]:
    """The saved recipients of this account, for those who may see them."""
    if not may_see_saved_recipients(composing.request):
        return RecipientFilter.objects.none()
    return RecipientFilter.objects.filter(account=composing.template.account).order_by("name")


def groups_among(users: QuerySet[Any]) -> QuerySet[Any] | None:
    """Groups with members among ``users``; None if the user model has no groups."""
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

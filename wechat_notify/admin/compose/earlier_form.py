"""The part of the form that has the people of an earlier notification."""

from functools import cached_property

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy

from .composed import Composing
from .earlier import Earlier, EarlierPeople, Outcome


class EarlierForm(forms.Form):
    """One line, which can be unticked: which notification, and whom of its people."""

    composing: Composing

    earlier = forms.CharField(required=False, widget=forms.HiddenInput)
    outcome = forms.CharField(required=False, widget=forms.HiddenInput)
    outcome_of = forms.CharField(required=False, widget=forms.HiddenInput)

    def earlier_choice(self) -> Earlier | None:
        """The notification whose people are meant, also if the form is invalid."""
        number, outcome, detail = (
            str(self[name].value() or "") for name in ("earlier", "outcome", "outcome_of")
        )
        if not number:
            return None
        cancelled = self.composing.cancelled if outcome == Outcome.WAITING else None
        return Earlier(number, outcome or Outcome.ALL, detail, cancelled)

    @cached_property
    def earlier_people(self) -> EarlierPeople | None:
        """Who that is, also if the form is invalid; None if nobody was chosen, or it is gone."""
        choice = self.earlier_choice()
        try:
            return choice.people(self.composing.people) if choice is not None else None
        except LookupError:
            return None

    def clean_earlier(self) -> EarlierPeople | None:
        people = self.earlier_people
        if people is None and self.earlier_choice() is not None:
            raise ValidationError(
                _("The earlier notification is not there any more, or you may not see it.")
            )
        if people is None or people.outcome is not Outcome.WAITING:
            return people
        if lost := people.out_of_reach(self.composing.template.account):
            text = ngettext_lazy(
                "%(count)d of these people is not among those whom you may write to. It has to be "
                "edited by somebody who may write to all of them.",
                "%(count)d of these people are not among those whom you may write to. It has to be "
                "edited by somebody who may write to all of them.",
                "count",
            )
            raise ValidationError(text, params={"count": lost})
        return people

"""Replacing a template: its name points to another one, and what waits goes out with that."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ... import services
from ...exceptions import ConfigurationError, InvalidData
from ...models import MessageTemplate
from ...proposals import propose_fields
from ...template_replacement import ReplacementReview
from ...wechat.fields import NOT_SHOWN
from ...wechat.naming import words_of
from ..base import BaseAdmin, Button, page
from ..parts.cards import compared_cards
from ..parts.confirmation import is_confirmed
from ..parts.explanations import why_paused
from ..parts.frame import admin_page
from ..permissions import may_replace_templates

TITLE = gettext_lazy("Replace by another template")
FIELD = "field_"


class ReplaceForm(forms.Form):
    """The new template, and a field of it for each word that code uses.

    ``data`` holds only the new template at first: then the fields are those proposed.
    """

    new = forms.ModelChoiceField(
        label=gettext_lazy("New template"), queryset=MessageTemplate.objects.none()
    )

    def __init__(self, old: MessageTemplate, data: Any) -> None:
        others = MessageTemplate.objects.active().filter(account=old.account).exclude(pk=old.pk)
        super().__init__(data if "new" in data else None)
        self.old = old
        chosen: Any = self.fields["new"]
        chosen.queryset = others.order_by("title", "name")
        chosen.label_from_instance = lambda row: f"{row.title or row.template_id} ({row.name})"
        self.mapping: dict[str, str] | None = None
        new = others.filter(pk=data["new"]).first() if str(data.get("new", "")).isdigit() else None
        self.chosen: MessageTemplate | None = new
        if new is not None:
            self._add_fields(new, data)

    def _add_fields(self, new: MessageTemplate, data: Any) -> None:
        """One choice for each word, as it was made or else as it is proposed."""
        proposed = propose_fields(self.old, new)
        own = {name: key for name, key in new.field_names.items() if name not in _labels(self.old)}
        same_template = data.get("mapped_for") == str(new.pk)
        choices = [("", _("leave it out"))] + [
            (field.name, f"{field.label or field.name} ({field.name})")
            for field in new.fields
            if field.name not in NOT_SHOWN
        ]
        self.mapping = dict(own)
        for label, shown in _labels(self.old).items():
            key = data.get(FIELD + label, "") if same_template else proposed.get(label, "")
            self.mapping[label] = key
            field = forms.ChoiceField(label=shown, choices=choices, required=False)
            self.fields[FIELD + label] = field
            self.data = {**dict(self.data.items()), FIELD + label: key}


def _labels(template: MessageTemplate) -> dict[str, str]:
    """Each word that code may use for a field of the template, as the page shows it."""
    words = words_of(template.field_names)
    found = {
        words.get(field.name, field.name): f"{field.label} · {words.get(field.name, field.name)}"
        for field in template.fields
        if field.name not in NOT_SHOWN
    }
    return {**{name: name for name in template.field_names}, **found}


class ReplaceMixin(BaseAdmin):
    """A button on a template's page, for those who may change templates and send."""

    def object_buttons(self, request: HttpRequest, obj: MessageTemplate) -> list[Button]:
        allowed = may_replace_templates(request)
        own = [Button(TITLE, self.url("replace", obj.pk))] if allowed else []
        return super().object_buttons(request, obj) + own

    @page("<path:object_id>/replace/", "replace")
    def _replace_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        old = self.find(request, object_id, allowed=may_replace_templates(request))
        form = ReplaceForm(old, request.POST if request.method == "POST" else request.GET)
        new = form.chosen
        # A template that was chosen since the page was shown is shown first.
        seen = new is not None and request.POST.get("mapped_for") == str(new.pk)
        if new is not None and seen and is_confirmed(request) and form.is_valid():
            return self._replace(request, old, new, form.mapping)
        review = services.review_replacement(old, new, form.mapping) if new is not None else None
        return admin_page(
            self,
            request,
            "replace_template.html",
            title=TITLE,
            old=old,
            new=new,
            form=form,
            review=review,
            problems=[str(problem) for problem in review.problems] if review else [],
            facts=list(_facts(review)) if review else [],
            warnings=list(_warnings(review)) if review else [],
            cards=compared_cards(old, new, review.field_names) if review and new else [],
            back=self.url("change", old.pk),
        )

    def _replace(
        self,
        request: HttpRequest,
        old: MessageTemplate,
        new: MessageTemplate,
        mapping: dict[str, str] | None,
    ) -> HttpResponse:
        name = old.name
        try:
            count = services.replace_template(old, new, mapping)
        except InvalidData as error:
            for problem in error.problems:
                self.message_user(request, capfirst(str(problem)), messages.ERROR)
            return HttpResponseRedirect(self.url("replace", old.pk))
        except ConfigurationError as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(self.url("change", old.pk))
        text = ngettext(
            "%(name)s now means this template. %(count)d message that waited goes on.",
            "%(name)s now means this template. %(count)d messages that waited go on.",
            count,
        ) % {"name": name, "count": count}
        self.log_change(request, new, text)
        gone = _("Replaced by %(title)s; its name is %(name)s now.")
        self.log_change(request, old, gone % {"title": new, "name": old.name})
        self.message_user(request, text, messages.SUCCESS)
        return HttpResponseRedirect(self.url("change", new.pk))


def _facts(review: ReplacementReview) -> Iterator[str]:
    yield _(
        "Code that sends %(name)s goes on unchanged. The log keeps what each message left with. "
        "To undo it, replace the new template by the old one."
    ) % {"name": review.old.name}
    yield (
        ngettext(
            "%d message waits and leaves with the new template.",
            "%d messages wait and leave with the new template.",
            review.waiting,
        )
        % review.waiting
    )


def _warnings(review: ReplacementReview) -> Iterator[str]:
    if why := why_paused(review.new):
        yield _("The new template is paused, its messages wait: %s") % why
    for reason, count in review.refused.items():
        text = ngettext(
            "%(count)d waiting message would be refused: %(reason)s",
            "%(count)d waiting messages would be refused: %(reason)s",
            count,
        )
        yield text % {"count": count, "reason": reason}
    if review.checked < review.waiting and not review.problems:
        yield _("Only the first %d waiting messages were looked at.") % review.checked
    if review.in_doubt:
        text = ngettext(
            "%d message may have been sent already. It never leaves with another template.",
            "%d messages may have been sent already. They never leave with another template.",
            review.in_doubt,
        )
        yield text % review.in_doubt
    yield from (capfirst(str(difference)) for difference in review.differences)

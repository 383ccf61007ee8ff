"""Drafts: what was filled in is kept, opened again, and removed once it was sent."""

import re
from collections.abc import Collection, Iterator
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Q, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...models import Draft, as_title
from ...wechat.openids import SHORTEST_OPENID
from ..parts.filters import NUMBER
from ..permissions import may_see_openids, may_see_others_drafts, narrowed
from .button import compose_url
from .composed import VALUE, carried
from .form import ComposeForm

NOT_KEPT = ("draft", "leave_out")
"""Which draft it is says its row; and who is left out is chosen anew on each review."""

_LIKE_OPENID = re.compile(rf"[A-Za-z0-9_-]{{{SHORTEST_OPENID},}}")


def visible_drafts(site: AdminSite, request: HttpRequest) -> QuerySet[Draft]:
    """One's own, and those of others for who may see them; of allowed accounts only."""
    drafts = Draft.objects.select_related("template", "created_by")
    if not may_see_others_drafts(request):
        drafts = drafts.filter(created_by=request.user.pk)
    return narrowed(site, request, drafts)


def own_drafts(site: AdminSite, request: HttpRequest) -> QuerySet[Draft]:
    """This user's own, the newest first."""
    mine = visible_drafts(site, request).filter(created_by=request.user.pk)
    return mine.order_by("-updated_at", "-pk")


def find_draft(site: AdminSite, request: HttpRequest, number: str) -> Draft:
    """The draft with this number. Raises ``LookupError`` if this user sees none."""
    if not NUMBER.fullmatch(number):
        raise LookupError(number)
    found = visible_drafts(site, request).filter(pk=number).first()
    if found is None:
        raise LookupError(number)
    return found


def draft_url(site: AdminSite, draft: Draft) -> str:
    """Where composing goes on with it."""
    return f"{compose_url(site)}?draft={draft.pk}"


def save_draft(form: ComposeForm, title: str) -> Draft:
    """Keep what is filled in, in this user's draft that it was opened from, or in a new one.

    ``title``: what the draft is called if no title is typed. What somebody else has saved is not
    changed: one's own copy is made.
    """
    composing, given = form.composing, form.given
    request = composing.request
    draft = Draft(created_by_id=request.user.pk)
    number = given.get("draft", "")
    if NUMBER.fullmatch(number):
        draft = own_drafts(composing.site, request).filter(pk=number).first() or draft
    draft.account = composing.template.account
    draft.template = composing.template
    draft.title = as_title(_storable(given.get("title", "")) or title)
    draft.inputs = _kept(given)
    draft.save()
    return draft


def _kept(given: QueryDict) -> dict[str, list[str]]:
    kept: dict[str, list[str]] = {}
    for name, value in carried(given):
        if name not in NOT_KEPT and value:
            kept.setdefault(name, []).append(_storable(value))
    return kept


def _storable(text: str) -> str:
    """Without NUL, which PostgreSQL refuses, and which no value may have."""
    return text.replace("\0", "")


def unseen_inputs(request: HttpRequest, draft: Draft) -> dict[str, str]:
    """The inputs of somebody else's draft that this user may not see, for they have whole openids;
    each with a sentence that says so.
    """
    if draft.created_by_id == request.user.pk or may_see_openids(request):
        return {}
    texts = {
        "pasted": _(
            "The pasted list of this draft is left out: it has openids, which you may not see."
        ),
        "table": _("The table of this draft is left out: it has openids, which you may not see."),
    }
    kept = draft.inputs
    return {
        name: told
        for name, told in texts.items()
        if any(_LIKE_OPENID.search(text) for text in kept.get(name, ()))
    }


def inputs_of(draft: Draft, *, without: Collection[str] = ()) -> QueryDict:
    """What the draft keeps, as the form's inputs, but those ``without``."""
    inputs = QueryDict(mutable=True)
    for name, values in draft.inputs.items():
        if name not in without:
            inputs.setlist(name, values)
    inputs["draft"] = str(draft.pk)
    if draft.template_id is not None:
        inputs["template"] = str(draft.template_id)
    return inputs


def remove_sent(request: HttpRequest, given: QueryDict) -> None:
    """Delete this user's draft that was sent. That of somebody else stays."""
    number = given.get("draft", "")
    if NUMBER.fullmatch(number):
        Draft.objects.filter(pk=number, created_by=request.user.pk).delete()


def what_is_gone(form: ComposeForm) -> Iterator[str]:
    """What the draft in this form has, and the form has no place for any more, in sentences.

    ``form`` is unchecked. Nothing is lost as long as the draft is not saved again.
    """
    given = form.given
    if people := len(set(given.getlist("users"))) - len(form.chosen_users()):
        yield ngettext(
            "%d person of this draft is not there any more, or you may not write to them.",
            "%d people of this draft are not there any more, or you may not write to them.",
            people,
        ) % (people,)
    for name, text in _choices_gone(form):
        if name in form.fields or given.getlist(name):
            yield text
    if form.earlier_choice() is not None and form.earlier_people is None:
        yield _("The earlier notification is not there any more, or you may not see it.")
    if form.selection() is not None and form.selection_count() is None:
        yield _("The list that people were chosen on cannot be read.")
    fields = {VALUE + field.name for field in form.composing.fields}
    names = fields | {VALUE + word for word in form.composing.template.field_names}
    lost = [str(given[name]) for name in given if name.startswith(VALUE) and name not in names]
    if lost:
        yield _("The template has no field any more for: %s") % ", ".join(lost)


def _choices_gone(form: ComposeForm) -> Iterator[tuple[str, str]]:
    texts = {
        "filters": _("Saved recipients of this draft are not there any more."),
        "groups": _("Groups of this draft are not there any more, or have no members."),
        "segments": _("What the site offered for this draft is not offered any more."),
    }
    for name, text in texts.items():
        kept = set(form.given.getlist(name))
        if kept - _offered(form, name):
            yield name, text


def _offered(form: ComposeForm, name: str) -> set[str]:
    field: Any = form.fields.get(name)
    if field is None:
        return set()
    queryset = getattr(field, "queryset", None)
    if queryset is None:
        return {str(value) for value, _label in field.choices}
    return {str(pk) for pk in queryset.filter(Q()).values_list("pk", flat=True)}

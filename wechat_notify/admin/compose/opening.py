"""Where composing begins with something filled in: a draft, or an earlier notification."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.translation import gettext as _

from .composed import Composing
from .drafts import draft_url, find_draft, inputs_of, save_draft, unseen_inputs, what_is_gone
from .form import ComposeForm
from .json_views import JSONViewsMixin
from .prefilled import filled_from
from .preview import preview


class OpeningMixin(JSONViewsMixin):
    """Opens what a link names, and saves drafts."""

    def opened(self, request: HttpRequest, given: QueryDict) -> QueryDict:
        """The inputs of the draft or notification that the address names, else ``given``.

        What of them cannot be used any more is told to the user.
        """
        if request.method == "POST" or "template" in given:
            return given
        try:
            if "draft" in given:
                return self._opened_draft(request, given.get("draft", ""))
            if "earlier" in given:
                inputs = filled_from(self.admin_site, request, given)
                self._tell_unusable(request, inputs)
                return inputs
        except LookupError:
            told = _("What you wanted to open is not there any more, or you may not see it.")
            self.message_user(request, told, messages.WARNING)
            return QueryDict()
        return given

    def _opened_draft(self, request: HttpRequest, number: str) -> QueryDict:
        draft = find_draft(self.admin_site, request, number)
        unseen = unseen_inputs(request, draft)
        for told in unseen.values():
            self.message_user(request, told, messages.WARNING)
        inputs = inputs_of(draft, without=unseen)
        composing = self._tell_unusable(request, inputs)
        if composing is not None:
            for told in what_is_gone(ComposeForm.unchecked(composing, inputs)):
                self.message_user(request, told, messages.WARNING)
        return inputs

    def _tell_unusable(self, request: HttpRequest, inputs: QueryDict) -> Composing | None:
        """Say so if the template cannot be used; else who composes with it."""
        composing = self.composing(request, inputs.get("template", ""))
        if composing is None:
            told = _(
                "Its template cannot be used any more. Choose another: what was filled in is kept."
            )
            self.message_user(request, told, messages.WARNING)
        return composing

    def save_draft(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        """Keep what is filled in, valid or not, and show it again at the draft's own address."""
        draft = save_draft(form, preview(form)["title"])
        told = _("Saved as a draft. It stands where composing begins, until it is sent or deleted.")
        self.message_user(request, told, messages.SUCCESS)
        return HttpResponseRedirect(draft_url(self.admin_site, draft))

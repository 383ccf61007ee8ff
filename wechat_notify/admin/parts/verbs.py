"""Verbs of services on one object's page: a button, a page that asks, and a POST that acts."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.translation import gettext as _

from ...exceptions import ConfigurationError
from ...wechat.errors import Words
from ..base import BaseAdmin, Button, Page
from .confirmation import Confirmation, ask, is_confirmed


@dataclass(frozen=True, slots=True)
class Verb:
    """One verb of ``services`` as the admin offers it.

    ``name`` stands in the URL; ``allowed`` says who may do it, beside seeing the object;
    ``applies`` says whether there is anything to do; ``carry_out`` calls the service and returns
    what to tell the user. It may raise ``ConfigurationError``.
    """

    name: str
    allowed: Callable[[HttpRequest], bool]
    label: Words
    question: Words
    applies: Callable[[Any], bool]
    carry_out: Callable[[Any], str]


class VerbsMixin(BaseAdmin):
    verbs: ClassVar[Sequence[Verb]] = ()

    def pages(self) -> Iterator[Page]:
        yield from super().pages()
        for verb in self.verbs:
            view = partial(self._verb_view, verb=verb)
            yield Page(f"<path:object_id>/{verb.name}/", verb.name, view)

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        return super().object_buttons(request, obj) + [
            Button(verb.label, self.url(verb.name, obj.pk))
            for verb in self.verbs
            if verb.allowed(request) and verb.applies(obj)
        ]

    def _verb_view(self, request: HttpRequest, object_id: str, verb: Verb) -> HttpResponse:
        obj = self.find(request, object_id, allowed=verb.allowed(request))
        back = self.url("change", obj.pk)
        if not verb.applies(obj):
            self.message_user(request, _("There is nothing to do here."), messages.WARNING)
            return HttpResponseRedirect(back)
        if not is_confirmed(request):
            confirmation = Confirmation(
                title=verb.label, button=verb.label, back=back, facts=[verb.question], items=[obj]
            )
            return ask(self, request, confirmation)
        self._carry_out(request, obj, verb)
        return HttpResponseRedirect(back)

    def _carry_out(self, request: HttpRequest, obj: Any, verb: Verb) -> None:
        try:
            message = verb.carry_out(obj)
        except ConfigurationError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        self.log_change(request, obj, f"{verb.label}: {message}")
        self.message_user(request, message, messages.SUCCESS)

"""The pages: choose a template, fill in the form, look at it once more, send."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...exceptions import ConfigurationError, InvalidData, TemplateNotFound
from ...models import MessageTemplate, Notification
from ..access import allowed_accounts
from ..base import BaseAdmin, Button
from ..links import object_link
from ..pages import admin_page
from .draft import Composing, Message, carried, templates_for
from .form import ComposeForm
from .people import People, may_compose, shown_name
from .preview import preview
from .quota import quota_today
from .review import Review
from .sending import is_nonce, new_nonce, send, send_test
from .thumbnails import thumbnails

TITLE = gettext_lazy("Compose and send")
FOUND_USERS = 20
SHORTEST_TERM = 1

Step = Callable[[HttpRequest, ComposeForm], HttpResponse]


class ComposeMixin(BaseAdmin):
    """On the notifications, for whoever may send and may see users.

    One address for all steps; the button that was pressed says which. What has been filled in
    travels from page to page in the form itself, so nothing typed is lost, whatever is wrong with
    it, and two messages can be composed side by side.
    """

    def get_urls(self) -> list[URLPattern]:
        own = {
            "compose": ("compose/", self._compose_view),
            "compose_preview": ("compose/preview/", self._preview_view),
            "compose_users": ("compose/users/", self._users_view),
            "compose_quota": ("compose/quota/", self._quota_view),
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}"
        return [
            path(route, self.admin_site.admin_view(view), name=f"{prefix}_{name}")
            for name, (route, view) in own.items()
        ] + super().get_urls()

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        own = [Button(TITLE, self.url("compose"))] if may_compose(self.admin_site, request) else []
        return own + super().list_buttons(request)

    # -- the page and its steps ---------------------------------------------------------------

    def _compose_view(self, request: HttpRequest) -> HttpResponse:
        self._require(request)
        given = request.POST if request.method == "POST" else request.GET
        template = self._template(request, given.get("template", ""))
        if template is None or "_templates" in given:
            return self.choose(request, carried(given, "template"))
        composing = Composing(self.admin_site, request, template)
        if request.method != "POST":
            return self._fill_in(request, ComposeForm.unchecked(composing, request.GET))
        steps: dict[str, Step] = {
            "_review": self._review,
            "_test": self._test,
            "_send": self._send,
        }
        for name, step in steps.items():
            if name in request.POST:
                form = ComposeForm(composing, request.POST)
                return step(request, form) if form.is_valid() else self._fill_in(request, form)
        return self._fill_in(request, ComposeForm.unchecked(composing, request.POST))

    def choose(self, request: HttpRequest, hidden: list[tuple[str, str]]) -> HttpResponse:
        """The templates to choose from. ``hidden``: what has been filled in so far, if anything."""
        given = request.POST if request.method == "POST" else request.GET
        term = given.get("q", "").strip()
        rows = templates_for(self.admin_site, request)
        return admin_page(
            self,
            request,
            "compose_choose.html",
            title=TITLE,
            term=term,
            tiles=thumbnails(rows, term),
            hidden=[pair for pair in hidden if pair[0] != "template"],
            compose_url=self.url("compose"),
            several_accounts=len(allowed_accounts(self.admin_site, request)) > 1,
        )

    def _fill_in(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        term = request.POST.get("user_search", "").strip()
        account = form.composing.template.account
        found = form.composing.people.search(term, account)[:FOUND_USERS] if term else None
        return admin_page(
            self,
            request,
            "compose_form.html",
            title=TITLE,
            form=form,
            composing=form.composing,
            card=preview(form)["card"],
            term=term,
            found=found,
            compose_url=self.url("compose"),
            preview_url=self.url("compose_preview"),
            users_url=self.url("compose_users"),
        )

    def _review(
        self, request: HttpRequest, form: ComposeForm, problems: InvalidData | None = None
    ) -> HttpResponse:
        message = form.message
        return admin_page(
            self,
            request,
            "compose_review.html",
            title=_("Look at it once more"),
            review=Review(message, problems.problems if problems is not None else ()),
            message=message,
            hidden=carried(request.POST, "template"),
            nonce=new_nonce(),
            compose_url=self.url("compose"),
            quota_url=self.url("compose_quota"),
        )

    def _test(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        def to_oneself(message: Message) -> None:
            notification, is_new = send_test(request, message, self._nonce(request))
            if is_new:
                self.log_addition(request, notification, _("A test, sent to oneself."))
            told = _("A test is on its way to you: %s")
            self._tell(request, told, notification)

        problems = self._attempt(request, lambda: to_oneself(form.message))
        return self._review(request, form, problems)

    def _send(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        sent: list[Notification] = []

        def to_everybody() -> None:
            notification, is_new = send(request, form.message, self._nonce(request))
            sent.append(notification)
            if is_new:
                count = ngettext("Composed for %d person.", "Composed for %d people.", 0)
                self.log_addition(request, notification, count)

        problems = self._attempt(request, to_everybody)
        if not sent:
            return self._review(request, form, problems)
        return HttpResponseRedirect(self._after(request, sent[0]))

    def _template(self, request: HttpRequest, pk: str) -> MessageTemplate | None:
        if not pk.isascii() or not pk.isdecimal():
            return None
        found: MessageTemplate | None = templates_for(self.admin_site, request).filter(pk=pk).first()
        return found

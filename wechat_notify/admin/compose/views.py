"""The pages: choose a template, fill in the form, look at it once more, send."""

import re
from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import URLPattern, path
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ...exceptions import ConfigurationError, InvalidData, TemplateNotFound
from ...models import Notification, RecipientFilter
from ..access import allowed_accounts
from ..base import Button
from ..links import object_link
from ..pages import admin_page
from .answers import AnswersMixin
from .draft import Composing, carried, templates_for
from .form import ComposeForm
from .links import TITLE, compose_url
from .people import described, may_compose, search_term
from .preview import preview
from .review import NAMED, Review
from .saving import SavingForm, may_save
from .sending import Sent, is_nonce, new_nonce, send, send_test
from .thumbnails import thumbnails

FOUND_USERS = 20
PRIMARY_KEY = re.compile("[0-9]{1,18}")


class ComposeMixin(AnswersMixin):
    """On the notifications, for whoever may send and may see users.

    One address for all steps; the button that was pressed says which. What has been filled in
    travels from page to page in the form itself, so nothing typed is lost, whatever is wrong with
    it, and two messages can be composed side by side.
    """

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._compose_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_compose"
        return [path("compose/", view, name=name), *super().get_urls()]

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        allowed = may_compose(self.admin_site, request)
        own = [Button(TITLE, compose_url(self.admin_site))] if allowed else []
        return own + super().list_buttons(request)

    def _compose_view(self, request: HttpRequest) -> HttpResponse:
        if not may_compose(self.admin_site, request):
            raise PermissionDenied
        given = request.POST if request.method == "POST" else request.GET
        composing = self.composing(request, given.get("template", ""))
        if composing is None or "_templates" in given:
            return self.choose(request, carried(given))
        if "_save_recipients" in request.POST and may_save(composing):
            return self._save_recipients(request, composing)
        for name, step in self._steps().items():
            if name in request.POST:
                form = ComposeForm(composing, request.POST)
                return step(request, form) if form.is_valid() else self._fill_in(request, form)
        return self._fill_in(request, ComposeForm.unchecked(composing, given))

    def _steps(self) -> dict[str, Callable[[HttpRequest, ComposeForm], HttpResponse]]:
        """What each button does with a form that is valid."""
        return {"_review": self._review, "_test": self._test, "_send": self._send}

    # -- the pages ----------------------------------------------------------------------------

    def choose(self, request: HttpRequest, hidden: list[tuple[str, str]]) -> HttpResponse:
        """The templates to choose from. ``hidden``: what has been filled in so far, if anything."""
        given = request.POST if request.method == "POST" else request.GET
        term = search_term(given, "q")
        return admin_page(
            self,
            request,
            "compose_choose.html",
            title=TITLE,
            step=1,
            term=term,
            tiles=thumbnails(self._choosable(request, given), term),
            hidden=hidden,
            compose_url=compose_url(self.admin_site),
            several_accounts=len(allowed_accounts(self.admin_site, request)) > 1,
        )

    def _choosable(self, request: HttpRequest, given: QueryDict) -> Any:
        """The templates; those of the right account, where saved recipients are chosen already."""
        templates = templates_for(self.admin_site, request)
        chosen = [pk for pk in given.getlist("filters") if PRIMARY_KEY.fullmatch(pk)]
        if not chosen:
            return templates
        saved = RecipientFilter.objects.filter(pk__in=chosen)
        return templates.filter(account__in=saved.values("account"))

    def _fill_in(
        self, request: HttpRequest, form: ComposeForm, *, is_saved: bool = False
    ) -> HttpResponse:
        """The form; with the name that was typed for the recipients, unless they are saved now."""
        composing, term = form.composing, search_term(request.POST, "user_search")
        account = composing.template.account
        found = composing.people.search(term, account)[:FOUND_USERS] if term else ()
        return admin_page(
            self,
            request,
            "compose_form.html",
            title=TITLE,
            step=2,
            form=form,
            composing=composing,
            chosen=described(form.chosen_users(), account),
            term=term,
            found=described(found, account),
            preview=preview(form),
            may_save=may_save(composing),
            saved_as="" if is_saved else request.POST.get("saved_as", ""),
            is_saving="_save_recipients" in request.POST and not is_saved,
            compose_url=compose_url(self.admin_site),
            preview_url=self.url("compose_preview"),
            users_url=self.url("compose_users"),
        )

    def _save_recipients(self, request: HttpRequest, composing: Composing) -> HttpResponse:
        """Keep the recipients, whatever the rest of the message looks like, and go on with it."""
        form, is_new = SavingForm(composing, request.POST), False
        if form.is_valid():
            saved, is_new = form.save()
            if is_new:
                self.log_addition(request, saved, _("Saved while composing."))
                told = _("“%s” is saved. It can be ticked for the next message.") % saved
                self.message_user(request, told, messages.SUCCESS)
            else:
                told = (
                    _("There is a “%s” already. Choose another name, or delete that one.") % saved
                )
                self.message_user(request, told, messages.ERROR)
        for problems in form.errors.values():
            for problem in problems:
                self.message_user(request, _("Nothing was saved. %s") % problem, messages.ERROR)
        unchecked = ComposeForm.unchecked(composing, request.POST)
        return self._fill_in(request, unchecked, is_saved=is_new)

    def _review(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        review = Review(form.message)
        return admin_page(
            self,
            request,
            "compose_review.html",
            title=_("Look at it once more"),
            step=3,
            review=review,
            message=form.message,
            hidden=[*carried(request.POST), ("template", str(review.template.pk))],
            nonce=new_nonce(),
            compose_url=compose_url(self.admin_site),
            quota_url=self.url("compose_quota"),
        )

    def _test(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        sent = self._attempt(request, form, send_test)
        if sent is not None and sent.is_new:
            told = _("A test is on its way to you: {}")
            self._tell(request, told, sent.notification)
        return self._review(request, form)

    def _send(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        sent = self._attempt(request, form, send)
        if sent is None:
            return self._review(request, form)
        if not sent.is_new:
            already = _("This was done already. Nothing was sent a second time.")
            self.message_user(request, already, messages.WARNING)
        elif sent.notification.send_at is not None:
            when = date_format(localtime(sent.notification.send_at), "DATETIME_FORMAT")
            told = _("It goes out with the first delivery run after %s: {}") % when
            self._tell(request, told, sent.notification)
        else:
            self._tell(request, _("It is on its way: {}"), sent.notification)
        return HttpResponseRedirect(self._after(request, sent.notification))

    # -- pieces -------------------------------------------------------------------------------

    def _attempt(
        self,
        request: HttpRequest,
        form: ComposeForm,
        verb: Callable[[HttpRequest, Any, str], Sent],
    ) -> Sent | None:
        """What was sent; None where it was not, with the reason told."""
        nonce = request.POST.get("nonce", "")
        if not is_nonce(nonce):
            return None
        try:
            sent = verb(request, form.message, nonce)
        except InvalidData as error:
            shown = "; ".join(str(problem) for problem in error.problems[:NAMED])
            self.message_user(request, _("Nothing was sent. %s") % shown, messages.ERROR)
            return None
        except (TemplateNotFound, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        if sent.is_new:
            self.log_addition(request, sent.notification, _("Composed in the admin."))
        return sent

    def _tell(self, request: HttpRequest, text: str, notification: Notification) -> None:
        link = object_link(self.admin_site, notification)
        named = link if self.has_view_permission(request) else str(notification)
        self.message_user(request, format_html(text, named), messages.SUCCESS)

    def _after(self, request: HttpRequest, notification: Notification) -> str:
        if self.has_view_permission(request):
            return self.url("change", notification.pk)
        return compose_url(self.admin_site)

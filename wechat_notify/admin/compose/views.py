"""The pages: choose a template, fill in the form, review it, send it."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from ...exceptions import ConfigurationError, InvalidData, TemplateNotFound
from ...models import Draft as SavedDraft
from ...models import MessageTemplate, Notification, RecipientFilter
from ..base import Button, page
from ..parts.approvers import who_can_approve
from ..parts.confirmation import ALREADY, new_token, once_token
from ..parts.filters import NUMBER
from ..parts.frame import admin_page
from ..parts.links import delete_url, list_url, object_link
from ..permissions import allowed_accounts, may_compose, may_save_recipients
from .button import TITLE, compose_buttons, compose_url
from .choosable import described, search_term
from .composed import Composing, carried, templates_for
from .drafts import draft_url, own_drafts
from .filled_in import LEAVE_OUT, filled_in
from .form import ComposeForm
from .json_views import FOUND_USERS
from .opening import OpeningMixin
from .preview import preview
from .review import NAMED, Review
from .save_recipients import SavingForm
from .send_form import send_form
from .sending import send_test
from .thumbnails import thumbnails

DRAFTS_SHOWN = 10


class ComposeMixin(OpeningMixin):
    """Composing, on the notifications, for users who may send and may see users.

    All steps have one address; the pressed button says which step is next. Each page sends on what
    has been filled in so far, so nothing typed is lost, and two messages can be composed side by
    side.
    """

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [*compose_buttons(self.admin_site, request), *super().list_buttons(request)]

    def first_steps(self, request: HttpRequest) -> list[Button]:
        return compose_buttons(self.admin_site, request)

    @page("compose/", "compose")
    def _compose_view(self, request: HttpRequest) -> HttpResponse:
        if not may_compose(self.admin_site, request):
            raise PermissionDenied
        given, unreadable = filled_in(request)
        given = self.opened(request, given)
        composing = self.composing(request, given.get("template", ""))
        if composing is None or "_templates" in given:
            return self.choose(request, carried(given))
        if unreadable:
            told = _("The file cannot be used. %s") % unreadable
            self.message_user(request, told, messages.ERROR)
            return self._fill_in(request, ComposeForm.unchecked(composing, given))
        if "_save_recipients" in request.POST and may_save_recipients(request):
            return self._save_recipients(request, composing, given)
        if "_save_draft" in request.POST:
            return self.save_draft(request, ComposeForm.unchecked(composing, given))
        for name, step in self._steps().items():
            if name in request.POST:
                form = ComposeForm(composing, given)
                return step(request, form) if form.is_valid() else self._fill_in(request, form)
        return self._fill_in(request, ComposeForm.unchecked(composing, given))

    def _steps(self) -> dict[str, Callable[[HttpRequest, ComposeForm], HttpResponse]]:
        """What each button does with a form that is valid."""
        return {
            "_review": self._review,
            LEAVE_OUT: self._review,
            "_test": self._test,
            "_send": self._send,
        }

    # -- the pages ----------------------------------------------------------------------------

    def choose(self, request: HttpRequest, hidden: list[tuple[str, str]]) -> HttpResponse:
        """The templates to choose from. ``hidden``: what has been filled in so far."""
        given = request.POST if request.method == "POST" else request.GET
        term = search_term(given, "q")
        return admin_page(
            self,
            request,
            "compose_choose.html",
            title=TITLE,
            step=1,
            term=term,
            tiles=thumbnails(self.admin_site, request, self._choosable(request, given), term),
            hidden=hidden,
            ways=self._templates_first(request),
            compose_url=compose_url(self.admin_site),
            drafts=[] if hidden else self._drafts(request),
            drafts_url=list_url(self.admin_site, SavedDraft),
            several_accounts=len(allowed_accounts(self.admin_site, request)) > 1,
        )

    def _drafts(self, request: HttpRequest) -> list[tuple[SavedDraft, str, str]]:
        """The user's newest drafts, each with the addresses that open and delete it."""
        site = self.admin_site
        newest = own_drafts(site, request)[:DRAFTS_SHOWN]
        return [(draft, draft_url(site, draft), delete_url(site, draft)) for draft in newest]

    def _templates_first(self, request: HttpRequest) -> list[Button]:
        """How to get templates, for those who may; shown where there are none."""
        if not self.admin_site.is_registered(MessageTemplate):
            return []
        templates: Any = self.admin_site.get_model_admin(MessageTemplate)
        may_see = templates.has_view_permission(request)
        return templates.first_steps(request) if may_see else []

    def _choosable(self, request: HttpRequest, given: QueryDict) -> Any:
        """The templates; only those of their account, if saved recipients are already chosen."""
        templates = templates_for(self.admin_site, request)
        chosen = [pk for pk in given.getlist("filters") if NUMBER.fullmatch(pk)]
        if not chosen:
            return templates
        saved = RecipientFilter.objects.filter(pk__in=chosen)
        return templates.filter(account__in=saved.values("account"))

    def _fill_in(
        self, request: HttpRequest, form: ComposeForm, *, is_saved: bool = False
    ) -> HttpResponse:
        """The form. ``is_saved``: the recipients were just saved, and their name is cleared."""
        composing, term = form.composing, search_term(request.POST, "user_search")
        account = composing.template.account
        found = composing.people.search(term, account)[:FOUND_USERS] if term else ()
        previewed = preview(form)
        form.fields["title"].widget.attrs["placeholder"] = previewed["title"]
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
            preview=previewed,
            may_save=may_save_recipients(request),
            saved_as="" if is_saved else request.POST.get("saved_as", ""),
            is_saving="_save_recipients" in request.POST and not is_saved,
            compose_url=compose_url(self.admin_site),
            preview_url=self.url("compose_preview"),
            users_url=self.url("compose_users"),
        )

    def _save_recipients(
        self, request: HttpRequest, composing: Composing, given: QueryDict
    ) -> HttpResponse:
        """Save the recipients, also if the rest of the form is invalid, and show it again."""
        form, is_new = SavingForm(composing, given), False
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
        unchecked = ComposeForm.unchecked(composing, given)
        return self._fill_in(request, unchecked, is_saved=is_new)

    def _review(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        review = Review(form.composed)
        return admin_page(
            self,
            request,
            "compose_review.html",
            title=_("Review and send"),
            step=3,
            review=review,
            composed=review.composed,
            hidden=[*carried(form.given), ("template", str(review.template.pk))],
            nonce=new_token(),
            compose_url=compose_url(self.admin_site),
            quota_url=self.url("compose_quota"),
        )

    def _test(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        def test(request: HttpRequest, form: ComposeForm, nonce: str) -> Notification:
            return send_test(request, form.composed, nonce)

        sent = self._attempt(request, form, test)
        if sent is not None and sent.is_new:
            told = _("A test is on its way to you: {}")
            self._tell(request, told, sent)
        return self._review(request, form)

    def _send(self, request: HttpRequest, form: ComposeForm) -> HttpResponse:
        # Somebody may have been deleted since the last page was shown.
        sent = None if form.composed.wrong_rows else self._attempt(request, form, send_form)
        if sent is None:
            return self._review(request, form)
        if not sent.is_new:
            self.message_user(request, ALREADY, messages.WARNING)
        elif sent.held_at is not None:
            self._tell(request, _("It waits for approval: {}"), sent)
            told = who_can_approve(self.admin_site, request, sent.template.account)
            self.message_user(request, told, messages.INFO)
        elif sent.send_at is not None:
            when = date_format(localtime(sent.send_at), "DATETIME_FORMAT")
            told = _("It goes out after %s: {}") % when
            self._tell(request, told, sent, until_done=True)
        else:
            self._tell(request, _("It is on its way: {}"), sent, until_done=True)
        return HttpResponseRedirect(self._after(request, sent))

    # -- pieces -------------------------------------------------------------------------------

    def _attempt(
        self,
        request: HttpRequest,
        form: ComposeForm,
        verb: Callable[[HttpRequest, ComposeForm, str], Notification],
    ) -> Notification | None:
        """What was sent; None if it was not, after telling the user why."""
        nonce = once_token(request, "nonce")
        if not nonce:
            return None
        try:
            sent = verb(request, form, nonce)
        except InvalidData as error:
            shown = "; ".join(str(problem) for problem in error.problems[:NAMED])
            self.message_user(request, _("Nothing was sent. %s") % shown, messages.ERROR)
            return None
        except (TemplateNotFound, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        if sent.is_new:
            self.log_addition(request, sent, _("Composed in the admin."))
            if sent.replaces is not None:
                self.log_change(request, sent.replaces, _("Replaced by %s.") % sent)
        return sent

    def _tell(
        self,
        request: HttpRequest,
        text: str,
        notification: Notification,
        *,
        until_done: bool = False,
    ) -> None:
        """Say it with a link. ``until_done``: the script of the progress panel takes it away."""
        link = object_link(self.admin_site, notification)
        named = link if self.has_view_permission(request) else str(notification)
        told = format_html(text, named)
        if until_done:
            told = format_html("<span data-wechat-until-done>{}</span>", told)
        self.message_user(request, told, messages.SUCCESS)

    def _after(self, request: HttpRequest, notification: Notification) -> str:
        if self.has_view_permission(request):
            return self.url("change", notification.pk)
        return compose_url(self.admin_site)

"""The pages on which a signed-in user binds WeChat, and forgets it again.

Each shows the user of this session what this session has begun. The routes are in ``urls``; a site
changes ``scope`` or ``success_url_allowed_hosts`` by mounting a view of its own before the app's,
and the pages by templates of the same names.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.mixins import AccessMixin
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.utils.crypto import constant_time_compare, get_random_string, salted_hmac
from django.utils.decorators import method_decorator
from django.utils.encoding import iri_to_uri
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.generic import View

from .. import services
from ..binding import by_oauth, by_qrcode
from ..binding.attempts import Visitor
from ..binding.by_oauth import Result
from ..conf import settings
from ..exceptions import AccountNotConfigured, TooManyAttempts
from ..models import OpenIDBinding
from ..wechat import oauth
from .binding_link import in_wechat, login_is_missing, page_link, public_url

SESSION_KEY = "wechat_notify_browser"
SECRET_LENGTH = 32
# Django redirects to 2,048 characters at most, and "next" is quoted once more on the way.
LONGEST_NEXT = 1_500

# The status of the page that tells how an authorisation ended.
STATUSES = {
    Result.CONFLICT: 409,
    Result.STALE: 400,
    Result.DECLINED: 200,
    Result.SNAPSHOT: 403,
    Result.TOO_MANY: 429,
    Result.FAILED: 502,
}


# Not in one transaction with the request: WeChat may take seconds to answer, and a state that was
# used must stay used even if what follows fails.
@method_decorator([never_cache, xframe_options_deny, transaction.non_atomic_requests], "dispatch")
class BindingPage(AccessMixin, View):
    """What the pages have in common: a signed-in user, an account, and where to go afterwards."""

    success_url_allowed_hosts: frozenset[str] = frozenset()
    """Hosts besides the site's own that ``next`` may lead to."""

    is_invited = False
    """Whether the person is not signed in, but invited by a link: ``views.invited``."""

    account: str

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.account = kwargs["account"]
        refusal = self.refusal()
        if refusal is not None:
            return refusal
        try:
            settings.account(self.account)
        except AccountNotConfigured as error:
            raise Http404 from error
        response = super().dispatch(request, *args, **kwargs)
        # The address may hold a state and a code, which other sites must not learn.
        response["Referrer-Policy"] = "same-origin"
        return response

    def refusal(self) -> HttpResponseBase | None:
        """The answer to whoever may not use the page; None for whoever may."""
        if self.request.user.is_authenticated:
            return None
        if not self.raise_exception and login_is_missing(self.get_login_url()):
            return self.page("bind_ending", {"result": "signed_out"}, status=403)
        return self.handle_no_permission()

    @property
    def person(self) -> Any:
        """The user of the site who is bound."""
        return self.request.user

    @property
    def visitor(self) -> Visitor:
        session = self.request.session
        if SESSION_KEY not in session:
            session[SESSION_KEY] = get_random_string(SECRET_LENGTH)
        return Visitor(self.person, self.account, session[SESSION_KEY], self.is_invited)

    @property
    def next_url(self) -> str:
        """Where the person wants to go afterwards: a path from the root, or a whole address.

        "" for an address of another site, and for one that is relative to a page.
        """
        wanted = self.request.POST.get("next") or self.request.GET.get("next", "")
        if not wanted.startswith(("/", "https://", "http://")):
            return ""
        is_ours = url_has_allowed_host_and_scheme(
            wanted,
            {self.request.get_host(), *self.success_url_allowed_hosts},
            require_https=self.request.is_secure(),
        )
        # PostgreSQL takes no NUL, and no address needs one.
        fits = wanted.isprintable() and len(iri_to_uri(wanted)) <= LONGEST_NEXT
        return wanted if is_ours and fits else ""

    @property
    def bindings(self) -> list[OpenIDBinding]:
        """The user's bindings on the account; those that can be written to come first."""
        mine = OpenIDBinding.objects.filter(user=self.person.pk, account=self.account)
        return list(mine.order_by("-subscribed", "-pk"))

    @property
    def follows(self) -> bool:
        """Whether messages reach the user on this account."""
        return any(binding.subscribed for binding in self.bindings)

    def link(self, page: str, next_url: str = "", **more: Any) -> str:
        """The address of one of these pages; ``more`` are arguments beside the account."""
        return page_link(self.request, page, self.account, next_url, **more)

    def page(
        self, template: str, context: dict[str, Any] | None = None, *, status: int = 200
    ) -> HttpResponse:
        common = {
            "account": self.account,
            "in_wechat": in_wechat(self.request),
            "person": self.person,
            "is_invited": self.is_invited,
        }
        path = f"wechat_notify/{template}.html"
        return render(self.request, path, common | (context or {}), status=status)

    def to_page(self, page: str, next_url: str = "") -> HttpResponseRedirect:
        return HttpResponseRedirect(self.link(page, next_url))

    def ending(self, result: Result, next_url: str = "") -> HttpResponse:
        """A page that says why nothing was bound, and how to go on."""
        context = {
            "result": result.value,
            "bindings": self.bindings,
            "next_url": next_url,
            "again_url": self.link("bind", next_url),
        }
        return self.page("bind_ending", context, status=STATUSES[result])


class AuthorizingPage(BindingPage):
    """A page that may send the person to WeChat's own."""

    @property
    def redirect_uri(self) -> str:
        """Where WeChat sends the person back to; its host must be the account's 网页授权域名."""
        return public_url(self.request, self.link("bind_return"))


class BindView(AuthorizingPage):
    """What is bound; where nothing is, the way to web authorisation, and to a QR code.

    A GET only shows the page, which says who is signed in. Otherwise a link on any other site could
    bind somebody's WeChat to an account into which they were signed in without noticing. The button
    is a link with a token of this session, and not a form, because a ``form-action`` policy forbids
    a redirect to WeChat's host after a form. A POST goes to WeChat at once.
    """

    scope = oauth.BASE
    """``oauth.USERINFO`` makes WeChat tell the unionid, and perhaps ask the person."""

    template = "bind"

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        next_url, token = self.next_url, self.start_token()
        if constant_time_compare(request.GET.get("start", ""), token):
            return self.start(next_url)
        query = urlencode({"start": token, "next": next_url} if next_url else {"start": token})
        context = {
            "bindings": self.bindings,
            "next_url": next_url,
            "authorize_url": f"{request.path}?{query}",
            "qr_url": self.link("bind_qr", next_url),
            "has_codes": by_qrcode.can_show(self.account),
        }
        return self.page(self.template, context)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return self.start(self.next_url)

    def start_token(self) -> str:
        """What the button's link holds, so that a link on another site cannot start anything."""
        visitor = self.visitor
        value = f"{visitor.browser}:{visitor.user.pk}:{visitor.account}"
        return salted_hmac("wechat_notify.start", value, algorithm="sha256").hexdigest()

    def start(self, next_url: str) -> HttpResponse:
        try:
            location = by_oauth.start(
                self.visitor, redirect_uri=self.redirect_uri, next_url=next_url, scope=self.scope
            )
        except TooManyAttempts:
            return self.ending(Result.TOO_MANY, next_url)
        return HttpResponseRedirect(location)


class BindReturnView(AuthorizingPage):
    """Where WeChat sends the person back to, with a state and, if they agreed, a code."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        ending = by_oauth.complete(
            self.visitor,
            state=request.GET.get("state", ""),
            code=request.GET.get("code", ""),
            redirect_uri=self.redirect_uri,
        )
        if ending.result is Result.AGAIN:
            return HttpResponseRedirect(ending.location)
        if ending.result is not Result.BOUND:
            return self.ending(ending.result, ending.next_url)
        if self.follows and ending.next_url:
            return HttpResponseRedirect(ending.next_url)
        # A person who does not follow yet is told so first.
        return self.to_page("bind", ending.next_url)


class UnbindView(BindingPage):
    """Forget the user's WeChat on this account: one binding by its ``binding``, or all of them."""

    http_method_names = ["post"]

    def handle_no_permission(self) -> HttpResponseRedirect:
        # The login page sends people back with a GET, so they go to the page that has the button.
        page = page_link(self.request, "bind", self.kwargs["account"], self.next_url)
        return redirect_to_login(page, self.get_login_url(), self.get_redirect_field_name())

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        chosen = request.POST.get("binding", "")
        if not chosen:
            services.unbind(request.user, account=self.account)
            return HttpResponseRedirect(self.next_url or self.link("bind"))
        found = [binding for binding in self.bindings if str(binding.pk) == chosen]
        for binding in found:
            services.unbind(request.user, binding.openid, account=self.account)
        if found and self.next_url:
            return HttpResponseRedirect(self.next_url)
        # The binding page says what is still bound, where what was chosen is not there.
        return self.to_page("bind", self.next_url)

"""The pages on which a signed-in user binds WeChat, and forgets it again.

Every one of them speaks to the user of this session about this session's own requests. The routes
are in ``urls``; a site changes ``scope`` or ``success_url_allowed_hosts`` by mounting a view of its
own before the app's, and the pages by templates of the same names.
"""

from typing import Any

from django.contrib.auth.mixins import AccessMixin
from django.contrib.auth.views import redirect_to_login
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.crypto import get_random_string
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.generic import View

from .. import services
from ..binding import attempts, by_oauth, by_qrcode
from ..binding.attempts import Visitor
from ..binding.by_oauth import Result
from ..conf import settings
from ..exceptions import AccountNotConfigured, TransportError, WeChatError
from ..models import BindingRequest, OpenIDBinding
from ..wechat import oauth
from .links import in_wechat, page_link

SESSION_KEY = "wechat_notify_browser"
SECRET_LENGTH = 32

State = BindingRequest.State

# The status of the page that tells how an authorisation ended.
STATUSES = {
    Result.CONFLICT: 409,
    Result.STALE: 400,
    Result.DECLINED: 200,
    Result.SNAPSHOT: 403,
    Result.FAILED: 502,
}


# Not in one transaction with the request: WeChat may take seconds to answer, and that a state has
# been used must be true even if what follows fails.
@method_decorator([never_cache, xframe_options_deny, transaction.non_atomic_requests], "dispatch")
class BindingPage(AccessMixin, View):
    """What the pages have in common: a signed-in user, an account, and where to go afterwards."""

    success_url_allowed_hosts: frozenset[str] = frozenset()
    """Hosts besides the site's own that ``next`` may lead to."""

    account: str

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        self.account = kwargs["account"]
        try:
            settings.account(self.account)
        except AccountNotConfigured as error:
            raise Http404 from error
        response = super().dispatch(request, *args, **kwargs)
        # The address may hold a state and a code, which are nobody else's business.
        response["Referrer-Policy"] = "same-origin"
        return response

    @property
    def visitor(self) -> Visitor:
        session = self.request.session
        if SESSION_KEY not in session:
            session[SESSION_KEY] = get_random_string(SECRET_LENGTH)
        return Visitor(self.request.user, self.account, session[SESSION_KEY])

    @property
    def next_url(self) -> str:
        """Where the person wants to go afterwards; "" for an address that is not the site's."""
        wanted = self.request.POST.get("next") or self.request.GET.get("next", "")
        is_ours = url_has_allowed_host_and_scheme(
            wanted,
            {self.request.get_host(), *self.success_url_allowed_hosts},
            require_https=self.request.is_secure(),
        )
        longest = BindingRequest._meta.get_field("next_url").max_length or 0
        # PostgreSQL takes no NUL, and no address needs one.
        return wanted if is_ours and len(wanted) <= longest and wanted.isprintable() else ""

    @property
    def bindings(self) -> list[OpenIDBinding]:
        """The user's bindings on the account; those that can be written to come first."""
        mine = OpenIDBinding.objects.filter(user=self.request.user.pk, account=self.account)
        return list(mine.order_by("-subscribed", "-pk"))

    def link(self, page: str, next_url: str = "") -> str:
        return page_link(self.request, page, self.account, next_url)

    def page(
        self, template: str, context: dict[str, Any] | None = None, *, status: int = 200
    ) -> HttpResponse:
        context = {"account": self.account, "in_wechat": in_wechat(self.request)} | (context or {})
        return render(self.request, f"wechat_notify/{template}.html", context, status=status)

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
        return self.request.build_absolute_uri(self.link("bind_return"))


class BindView(AuthorizingPage):
    """What is bound; where nothing is, the way to web authorisation, and to a QR code.

    A GET only shows the page, which says who is signed in: WeChat is asked when the person taps.
    Otherwise a link from anywhere could bind somebody's WeChat to an account that they were
    signed in to by stealth. The tap is a plain link to WeChat, because browsers hold the redirect
    that answers a form to the site's ``form-action`` policy. A POST goes to WeChat at once.
    """

    scope = oauth.BASE
    """``oauth.USERINFO`` makes WeChat tell the unionid, and perhaps ask the person."""

    def get(self, request: HttpRequest, account: str) -> HttpResponse:
        bindings, next_url = self.bindings, self.next_url
        context = {
            "bindings": bindings,
            "next_url": next_url,
            "authorize_url": "" if bindings else self.start(next_url),
            "qr_url": self.link("bind_qr", next_url),
        }
        return self.page("bind", context)

    def post(self, request: HttpRequest, account: str) -> HttpResponse:
        return redirect(self.start(self.next_url))

    def start(self, next_url: str) -> str:
        return by_oauth.start(
            self.visitor, redirect_uri=self.redirect_uri, next_url=next_url, scope=self.scope
        )


class BindReturnView(AuthorizingPage):
    """Where WeChat sends the person back to, with a state and, if they agreed, a code."""

    def get(self, request: HttpRequest, account: str) -> HttpResponse:
        ending = by_oauth.complete(
            self.visitor,
            state=request.GET.get("state", ""),
            code=request.GET.get("code", ""),
            redirect_uri=self.redirect_uri,
        )
        if ending.result is Result.AGAIN:
            return redirect(ending.location)
        if ending.result is not Result.BOUND:
            return self.ending(ending.result, ending.next_url)
        follows = any(binding.subscribed for binding in self.bindings)
        # Whoever does not follow yet is told so first.
        to_page = not follows or not ending.next_url
        return redirect(self.link("bind", ending.next_url) if to_page else ending.next_url)


class BindQRView(BindingPage):
    """A QR code to scan with the phone. The page notices by itself, and goes on."""

    def get(self, request: HttpRequest, account: str) -> HttpResponse:
        next_url = self.next_url
        if any(binding.subscribed for binding in self.bindings):
            return redirect(self.link("bind", next_url))
        try:
            shown = by_qrcode.show(self.visitor, next_url=next_url)
        except (WeChatError, TransportError):
            return self.ending(Result.FAILED, next_url)
        context = {
            "shown": shown,
            "bindings": self.bindings,
            "next_url": next_url,
            "bind_url": self.link("bind", next_url),
            "again_url": self.link("bind_qr", next_url),
        }
        return self.page("bind_qr", context)


class ShownCode(BindingPage):
    """Something about a code that this session shows; anybody else's does not exist."""

    raise_exception = True

    def shown(self) -> BindingRequest:
        mine = attempts.of(self.visitor, OpenIDBinding.Source.QR)
        return get_object_or_404(mine, pk=self.kwargs["pk"])


class BindQRImageView(ShownCode):
    """The code itself, as a PNG."""

    def get(self, request: HttpRequest, account: str, pk: int) -> HttpResponse:
        return HttpResponse(by_qrcode.image(self.shown()), content_type="image/png")


class BindQRStatusView(ShownCode):
    """What the page asks every few seconds: ``{"state": …, "location": …}``.

    ``state`` is "waiting", "bound", "conflict", "failed" or "expired".
    """

    def get(self, request: HttpRequest, account: str, pk: int) -> HttpResponse:
        shown = self.shown()
        is_over = shown.state == State.WAITING and not shown.is_open
        state = "expired" if is_over else str(shown.state)
        location = shown.next_url or self.link("bind")
        return JsonResponse({"state": state, "location": location})


class UnbindView(BindingPage):
    """Forget the user's WeChat on this account: one binding by its ``binding``, or all of them."""

    http_method_names = ["post"]

    def handle_no_permission(self) -> HttpResponseRedirect:
        # Nobody comes back from the login with a POST: the binding page has the button again.
        page = page_link(self.request, "bind", self.kwargs["account"], self.next_url)
        return redirect_to_login(page, self.get_login_url(), self.get_redirect_field_name())

    def post(self, request: HttpRequest, account: str) -> HttpResponse:
        chosen = request.POST.get("binding", "")
        if not chosen:
            services.unbind(request.user, account=account)
            return redirect(self.next_url or self.link("bind"))
        found = [binding for binding in self.bindings if str(binding.pk) == chosen]
        for binding in found:
            services.unbind(request.user, binding.openid, account=account)
        # The binding page says what is still bound, where what was chosen is not there.
        to_page = not found or not self.next_url
        return redirect(self.link("bind", self.next_url) if to_page else self.next_url)

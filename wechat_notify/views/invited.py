"""The pages to which an invitation leads: the person binds WeChat without signing in.

The link itself says who is invited (``binding.invitations``), so it is as good as a key: each page
shows the name of the person whose messages are meant, and nothing else about them, and nothing is
bound before a button is pressed.
"""

from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase

from ..binding import attempts, invitations
from ..binding.invitations import Invitation
from .binding import SESSION_KEY, AuthorizingPage, BindReturnView, BindView
from .binding_code import BindQRImageView, BindQRStatusView, BindQRView
from .binding_link import page_link


class InvitedPage(AuthorizingPage):
    """What the pages have in common: an invitation that is open, or was used by this browser."""

    is_invited = True

    invitation: Invitation

    def refusal(self) -> HttpResponseBase | None:
        account, token = self.account, self.kwargs["token"]
        invitation = invitations.read(account, token)
        if invitation is None:
            return self._refused("invalid", 404)
        self.invitation = invitation
        signed_in = self.request.user
        if signed_in.is_authenticated and signed_in.pk != self.person.pk:
            return self._refused("other", 403)
        if not (invitation.is_open or self._was_used_here()):
            return self._refused("used", 410)
        return None

    def _refused(self, reason: str, status: int) -> HttpResponse:
        response = self.page("invited_refused", {"reason": reason}, status=status)
        response["Referrer-Policy"] = "same-origin"
        return response

    def _was_used_here(self) -> bool:
        """Whether this browser has bound the person, who may still have to follow the account."""
        has_session = SESSION_KEY in self.request.session
        return has_session and bool(self.bindings) and attempts.has_bound(self.visitor)

    @property
    def person(self) -> Any:
        """The user who is invited; None while nothing is known of one."""
        found = getattr(self, "invitation", None)
        return found.user if found is not None else None

    def link(self, page: str, next_url: str = "", **more: Any) -> str:
        """The page for the invited that is like ``page`` for those who are signed in."""
        own = page.replace("bind", "invited", 1)
        more["token"] = self.kwargs["token"]
        return page_link(self.request, own, self.account, next_url, **more)


class InvitedView(InvitedPage, BindView):
    """The page that the link opens: whose messages are meant, and the button that binds."""

    template = "invited"

    def page(
        self, template: str, context: dict[str, Any] | None = None, *, status: int = 200
    ) -> HttpResponse:
        if template == self.template:
            context = {**(context or {}), "is_open": self.invitation.is_open}
        return super().page(template, context, status=status)

    def start(self, next_url: str) -> HttpResponse:
        # After it was used, what is left is to follow the account.
        return super().start(next_url) if self.invitation.is_open else self.to_page("bind")


class InvitedReturnView(InvitedPage, BindReturnView):
    """Where WeChat sends the person back to."""


class InvitedQRView(InvitedPage, BindQRView):
    """A code with which the person follows and binds at once, on another device or pressed long."""


class InvitedQRImageView(InvitedPage, BindQRImageView):
    """That code as a PNG."""


class InvitedQRStatusView(InvitedPage, BindQRStatusView):
    """Whether somebody has scanned it."""

"""The page of the QR code with which a user binds WeChat, and what that page asks for."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404

from ..binding import attempts, by_qrcode
from ..binding.by_oauth import Result
from ..exceptions import TooManyAttempts, TransportError, WeChatError
from ..models import BindingRequest, OpenIDBinding
from .binding import BindingPage

State = BindingRequest.State


class BindQRView(BindingPage):
    """A QR code to scan with the phone. The page notices the scan by itself, and goes on.

    A GET shows the code that is good now, or else a button that asks for one: the POST asks WeChat,
    and leads back to the GET. Where the account has no codes, both lead to the page without one.
    """

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if self.needs_no_code:
            return self.to_page("bind", self.next_url)
        shown = by_qrcode.on_show(self.visitor)
        context = {
            "shown": shown,
            "status_url": self.link("bind_qr_status", pk=shown.pk) if shown else "",
            "image_url": self.link("bind_qr_image", pk=shown.pk) if shown else "",
            "bindings": self.bindings,
            "next_url": self.next_url,
            "bind_url": self.link("bind", self.next_url),
            "again_url": self.link("bind_qr", self.next_url),
        }
        return self.page("bind_qr", context)

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        if self.needs_no_code:
            return self.to_page("bind", self.next_url)
        try:
            by_qrcode.show(self.visitor, next_url=self.next_url)
        except (WeChatError, TransportError):
            return self.ending(Result.FAILED, self.next_url)
        except TooManyAttempts:
            return self.ending(Result.TOO_MANY, self.next_url)
        return self.to_page("bind_qr", self.next_url)

    @property
    def needs_no_code(self) -> bool:
        """Whether messages reach the user already, or the account can show no code."""
        return self.follows or not by_qrcode.can_show(self.account)


class ShownCode(BindingPage):
    """Something about a code that this session shows; 404 for another session's."""

    raise_exception = True

    def shown(self) -> BindingRequest:
        mine = attempts.of(self.visitor, OpenIDBinding.Source.QR)
        return get_object_or_404(mine, pk=self.kwargs["pk"])


class BindQRImageView(ShownCode):
    """The code itself, as a PNG."""

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        return HttpResponse(by_qrcode.image(self.shown()), content_type="image/png")


class BindQRStatusView(ShownCode):
    """What the page asks every few seconds: ``{"state": …, "location": …}``.

    ``state`` is "waiting", "bound", "conflict", "failed" or "expired".
    """

    def get(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        shown = self.shown()
        is_over = shown.state == State.WAITING and not shown.is_open
        state = "expired" if is_over else str(shown.state)
        location = shown.next_url or self.link("bind")
        return JsonResponse({"state": state, "location": location})

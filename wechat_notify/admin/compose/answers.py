"""What the page's script asks for while somebody types. Nothing here changes anything."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.request import QueryDict
from django.template.loader import render_to_string
from django.urls import URLPattern, path

from ..base import BaseAdmin
from .draft import Composing, templates_for
from .form import ComposeForm
from .people import described, may_compose, search_term
from .preview import preview
from .quota import quota_today

FOUND_USERS = 20


class AnswersMixin(BaseAdmin):
    """The card, people found by name, and what is left of today's quota."""

    def get_urls(self) -> list[URLPattern]:
        own = {
            "preview": self._preview_view,
            "users": self._users_view,
            "quota": self._quota_view,
        }
        prefix = f"{self.opts.app_label}_{self.opts.model_name}_compose"
        return [
            path(f"compose/{name}/", self.admin_site.admin_view(view), name=f"{prefix}_{name}")
            for name, view in own.items()
        ] + super().get_urls()

    def composing(self, request: HttpRequest, pk: str) -> Composing | None:
        """The template of this number in this user's hands; None where they may not use it."""
        if not (pk.isascii() and pk.isdecimal()):
            return None
        found = templates_for(self.admin_site, request).filter(pk=pk).first()
        return Composing(self.admin_site, request, found) if found is not None else None

    def _preview_view(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        composing = self._required(request, request.POST)
        return JsonResponse(preview(ComposeForm(composing, request.POST)))

    def _users_view(self, request: HttpRequest) -> HttpResponse:
        composing = self._required(request, request.GET)
        account, term = composing.template.account, search_term(request.GET, "q")
        found = composing.people.search(term, account)[:FOUND_USERS] if term else ()
        return JsonResponse({"results": described(found, account)})

    def _quota_view(self, request: HttpRequest) -> HttpResponse:
        """Apart from the page, because it asks WeChat, who may be slow."""
        composing = self._required(request, request.GET)
        count = request.GET.get("count", "")
        context = {
            "quota": quota_today(composing.template.account),
            "count": int(count) if count.isascii() and count.isdecimal() else 0,
        }
        html = render_to_string("wechat_notify/admin/compose_quota.html", context)
        return JsonResponse({"html": html, "again": None})

    def _required(self, request: HttpRequest, given: QueryDict) -> Composing:
        if not may_compose(self.admin_site, request):
            raise PermissionDenied
        composing = self.composing(request, given.get("template", ""))
        if composing is None:
            raise Http404
        return composing

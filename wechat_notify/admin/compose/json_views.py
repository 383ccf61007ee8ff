"""What the script of the composing page fetches as JSON. Nothing here changes anything."""

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.http.request import QueryDict
from django.template.loader import render_to_string

from ...account_state import quota_today
from ..base import BaseAdmin, page
from ..parts.account_rests import why_at_rest
from ..parts.filters import NUMBER
from ..permissions import may_compose
from .choosable import described, search_term
from .composed import Composing, templates_for
from .form import ComposeForm
from .preview import preview

FOUND_USERS = 20


class JSONViewsMixin(BaseAdmin):
    """The preview, people found by name, and what is left of today's quota."""

    def composing(self, request: HttpRequest, pk: str) -> Composing | None:
        """The template with this primary key and its user; None if the user may not use it."""
        if not NUMBER.fullmatch(pk):
            return None
        found = templates_for(self.admin_site, request).filter(pk=pk).first()
        return Composing(self.admin_site, request, found) if found is not None else None

    @page("compose/preview/", "compose_preview")
    def _preview_view(self, request: HttpRequest) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        composing = self._required(request, request.POST)
        return JsonResponse(preview(ComposeForm(composing, request.POST)))

    @page("compose/users/", "compose_users")
    def _users_view(self, request: HttpRequest) -> HttpResponse:
        composing = self._required(request, request.GET)
        account, term = composing.template.account, search_term(request.GET, "q")
        found = composing.people.search(term, account)[:FOUND_USERS] if term else ()
        return JsonResponse({"results": described(found, account)})

    @page("compose/quota/", "compose_quota")
    def _quota_view(self, request: HttpRequest) -> HttpResponse:
        """A request of its own, because WeChat may be slow to answer."""
        composing = self._required(request, request.GET)
        count = request.GET.get("count", "")
        account = composing.template.account
        # At rest WeChat refuses this account, and is not asked.
        context = {
            "quota": quota_today(account).quota if why_at_rest(account) is None else None,
            "count": int(count) if NUMBER.fullmatch(count) else 0,
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

"""For a site's own views: pages that are of use only to people whose WeChat is bound."""

from typing import Any

from django.contrib.auth.mixins import AccessMixin
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from .conf import DEFAULT_ACCOUNT
from .models import OpenIDBinding
from .views.binding_link import binding_link


class WeChatBindingRequiredMixin(AccessMixin):
    """Lets in who is signed in and has bound WeChat, and follows the account.

    Everybody else signs in first, then binds, and comes back to this page. Put it before ``View``::

        class ClassNotices(WeChatBindingRequiredMixin, ListView):
            wechat_account = "school"
    """

    wechat_account = DEFAULT_ACCOUNT

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not request.user.is_authenticated:
            return self.handle_no_permission()
        mine = OpenIDBinding.objects.filter(user=request.user.pk, account=self.wechat_account)
        if not mine.reachable().exists():
            return redirect(binding_link(request, self.wechat_account, request.get_full_path()))
        response: HttpResponseBase = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]
        return response

"""``{% load wechat_notify %}{% wechat_bind_button %}``: bind and unbind WeChat, in one line."""

from typing import Any

from django import template
from django.http import HttpRequest

from ..conf import DEFAULT_ACCOUNT
from ..models import OpenIDBinding
from ..names import account_name, name_of
from ..views.binding_link import binding_link, page_link
from ..wechat.masking import mask_openid

register = template.Library()
register.filter("masked", mask_openid)
register.filter("name_of", name_of)
register.filter("account_name", account_name)


@register.inclusion_tag("wechat_notify/bind_button.html", takes_context=True)
def wechat_bind_button(
    context: dict[str, Any], account: str = DEFAULT_ACCOUNT, next_url: str = ""
) -> dict[str, Any]:
    """A button "Bind WeChat" for the signed-in user; once bound, what is bound and "Unbind".

    It leads to web authorisation in WeChat's own browser and to a QR code anywhere else, and then
    to ``next_url``, or back to this page. Needs ``request`` in the context.
    """
    request: HttpRequest = context["request"]
    back = next_url or request.get_full_path()
    mine = OpenIDBinding.objects.filter(user=request.user.pk, account=account)
    return {
        "account": account,
        "bindings": list(mine.order_by("-subscribed", "-pk")),
        "link": binding_link(request, account, back),
        "follow_link": page_link(request, "bind_qr", account, back),
        "unbind_next": request.get_full_path(),
    }

"""``{% load wechat_alerts %}{% wechat_open_alerts %}``: open alerts, on a page of the admin."""

from typing import Any

from django import template
from django.http import HttpRequest

from ..models import Alert

register = template.Library()


@register.inclusion_tag("wechat_notify/admin/open_alerts.html", takes_context=True)
def wechat_open_alerts(context: dict[str, Any]) -> dict[str, Any]:
    """The alerts that are open, for those who may see them; nothing where none is.

    Needs ``request`` in the context, as every page of the admin has it.
    """
    request: HttpRequest | None = context.get("request")
    site = _site_of(request)
    found = None
    if site is not None and site.is_registered(Alert):
        # Asked of the site: its pages cannot be imported where Django's admin is not installed,
        # and Django imports this file for every template engine.
        found = site.get_model_admin(Alert).open_alerts(request)
    return {"alerts": found, "csp_nonce": context.get("csp_nonce", "")}


def _site_of(request: HttpRequest | None) -> Any:
    """The admin that this page belongs to, or None. Not by its name, which several may share."""
    view = getattr(getattr(request, "resolver_match", None), "func", None)
    owner = getattr(view, "admin_site", None) or getattr(view, "model_admin", None)
    return getattr(owner, "admin_site", owner)

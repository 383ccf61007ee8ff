"""``{% load wechat_alerts %}{% wechat_open_alerts %}``: open alerts, on a page of the admin."""

from typing import Any

from django import template
from django.contrib.admin import AdminSite
from django.http import HttpRequest

from ..admin.parts.open_alerts import open_alerts

register = template.Library()


@register.inclusion_tag("wechat_notify/admin/open_alerts.html", takes_context=True)
def wechat_open_alerts(context: dict[str, Any]) -> dict[str, Any]:
    """The alerts that are open, for those who may see them; nothing where none is.

    Needs ``request`` in the context, as every page of the admin has it.
    """
    request: HttpRequest | None = context.get("request")
    site = _site_of(request)
    found = open_alerts(site, request) if site is not None and request is not None else None
    return {"alerts": found, "csp_nonce": context.get("csp_nonce", "")}


def _site_of(request: HttpRequest | None) -> AdminSite | None:
    """The admin that this page belongs to. Not by its name, which several may share."""
    view = getattr(getattr(request, "resolver_match", None), "func", None)
    owner = getattr(view, "admin_site", None) or getattr(view, "model_admin", None)
    return getattr(owner, "admin_site", owner)

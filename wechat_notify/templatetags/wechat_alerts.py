"""``{% load wechat_alerts %}{% wechat_open_alerts %}``: open alerts, on a page of the admin."""

from typing import Any

from django import template
from django.contrib.admin.sites import all_sites

from ..admin.parts.open_alerts import open_alerts

register = template.Library()


@register.inclusion_tag("wechat_notify/admin/open_alerts.html", takes_context=True)
def wechat_open_alerts(context: dict[str, Any]) -> dict[str, Any]:
    """The alerts that are open, for those who may see them; nothing where none is.

    Needs ``request`` in the context, as every page of the admin has it.
    """
    request = context.get("request")
    name = getattr(request, "current_app", None)
    site = next((site for site in list(all_sites) if site.name == name), None)
    found = open_alerts(site, request) if site is not None and request is not None else None
    return {"alerts": found, "csp_nonce": context.get("csp_nonce", "")}

"""Links between the app's admin pages.

A site's own ``AdminSite`` may lack some of the models. Then the address is "", and the link is
plain text.
"""

from typing import Any
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from ...wechat.errors import Words


def list_url(site: AdminSite, model: type[Model], **filters: Any) -> str:
    """The list of ``model``, narrowed down by ``filters``; "" where the site has none."""
    if not site.is_registered(model):
        return ""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist"
    address = reverse(name, current_app=site.name)
    return f"{address}?{urlencode(filters)}" if filters else address


def object_url(site: AdminSite, obj: Model) -> str:
    """The page of one object; "" where the site has none."""
    if not site.is_registered(type(obj)):
        return ""
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_change"
    return reverse(name, args=[obj.pk], current_app=site.name)


def delete_url(site: AdminSite, obj: Model) -> str:
    """The page that asks before it deletes one object; "" where the site has none."""
    if not site.is_registered(type(obj)):
        return ""
    name = f"admin:{obj._meta.app_label}_{obj._meta.model_name}_delete"
    return reverse(name, args=[obj.pk], current_app=site.name)


def link(url: str, text: Words | Model) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, text) if url else format_html("{}", text)


def object_link(site: AdminSite, obj: Model) -> SafeString:
    """A link to one object's page, named by the object itself."""
    return link(object_url(site, obj), obj)

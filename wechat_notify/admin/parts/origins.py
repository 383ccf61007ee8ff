"""What made a notification: links that other apps add to its page.

The core knows none of them. An app with pages of its own registers a function::

    @origin
    def made_by_rule(site, request, notification):
        return object_link(site, rule)      # None: not made by a rule
"""

from collections.abc import Callable
from typing import Any

from django.contrib.admin import AdminSite, display
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ...models import Notification
from ..base import BaseAdmin

Origin = Callable[[AdminSite, HttpRequest, Notification], SafeString | None]
"""Gives a link, or plain text, for whoever may know; None if it does not know the notification."""

origins: list[Origin] = []


def origin(find: Origin) -> Origin:
    """Registers ``find``, which every notification's page asks from now on."""
    if find not in origins:
        origins.append(find)
    return find


class OriginsMixin(BaseAdmin):
    """Adds the line "made by" to a notification's page, where anybody has something to say."""

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        fieldsets: Any = super().get_fieldsets(request, obj)
        if obj is None or not self._found(request, obj):
            return fieldsets
        (name, first), *rest = fieldsets
        return [(name, {**first, "fields": (*first["fields"], "made_by")}), *rest]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*super().get_readonly_fields(request, obj), "made_by")

    def _found(self, request: HttpRequest, obj: Any) -> list[SafeString]:
        """Kept on the object: Django asks for the fieldsets several times a page."""
        if not hasattr(obj, "made_by_links"):
            found = (find(self.admin_site, request, obj) for find in origins)
            obj.made_by_links = [link for link in found if link is not None]
        links: list[SafeString] = obj.made_by_links
        return links

    @display(description=_("made by"))
    def made_by(self, obj: Any) -> SafeString:
        return format_html_join(" · ", "{}", ((link,) for link in obj.made_by_links))

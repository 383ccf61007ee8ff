"""All templates as the cards that people get, side by side."""

from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy as _

from ..models import MessageTemplate
from .base import BaseAdmin, Button
from .pages import admin_page
from .previews import template_card

TITLE = _("Gallery")
# An account holds 25 templates unless WeChat grants it more.
SHOWN = 300


class GalleryMixin(BaseAdmin):
    """Expects a ``state`` method, which says whether a template can be used, and why not."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._gallery_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_gallery"
        return [path("gallery/", view, name=name), *super().get_urls()]

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [Button(TITLE, self.url("gallery")), *super().list_buttons(request)]

    def _gallery_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request)
        rows = self.get_queryset(request).order_by("account", "-is_active", "name")[:SHOWN]
        accounts = [
            (account, [self._shown(template) for template in group])
            for account, group in groupby(rows, key=lambda template: template.account)
        ]
        return admin_page(self, request, "gallery.html", title=TITLE, accounts=accounts)

    def _shown(self, template: MessageTemplate) -> dict[str, Any]:
        return {
            "template": template,
            "url": self.url("change", template.pk),
            "state": self.state(template),  # type: ignore[attr-defined]
            "card": template_card(template),
        }

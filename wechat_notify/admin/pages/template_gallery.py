"""All templates side by side, as the cards that recipients get."""

from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from ...models import MessageTemplate
from ...names import account_name
from ..base import BaseAdmin, Button, page
from ..compose.button import use_buttons
from ..parts.cards import template_card
from ..parts.frame import admin_page
from ..parts.remedies import resume_template

TITLE = _("Gallery")
# An account holds 25 templates unless WeChat grants it more.
SHOWN = 300


class GalleryMixin(BaseAdmin):
    """Expects a method ``state``, which says whether a template can be used, and why not."""

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return [Button(TITLE, self.url("gallery")), *super().list_buttons(request)]

    @page("gallery/", "gallery")
    def _gallery_view(self, request: HttpRequest) -> HttpResponse:
        self.require(request)
        rows = self.get_queryset(request).select_related("stand_in")
        rows = rows.order_by("account", "-is_active", "name")[:SHOWN]
        accounts = [
            (account_name(account), [self._shown(request, template) for template in group])
            for account, group in groupby(rows, key=lambda template: template.account)
        ]
        context = {"accounts": accounts, "ways": self.first_steps(request)}
        return admin_page(self, request, "gallery.html", title=TITLE, **context)

    def _shown(self, request: HttpRequest, template: MessageTemplate) -> dict[str, Any]:
        use = [
            Button(_("Use"), button.url)
            for button in use_buttons(self.admin_site, request, template)
        ]
        ways = list(resume_template(self.admin_site, request, template))
        return {
            "template": template,
            "url": self.url("change", template.pk),
            "state": self.state(template),  # type: ignore[attr-defined]
            "card": template_card(template),
            "ways": [*use, *ways],
        }

"""Templates to choose from, as the cards that recipients get."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.admin import AdminSite
from django.db.models import Q
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...models import MessageTemplate, MessageTemplateQuerySet
from ..base import Button
from ..parts.cards import template_card
from ..parts.explanations import why_waits
from ..parts.remedies import resume_template

# An account has 25 templates in use at most (docs/wechat-api.md, 2.3); past ones are listed too.
SHOWN = 300


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One template. With an ``obstacle`` it cannot be chosen; with a ``warning`` it can, and
    ``ways`` do away with the warning.
    """

    template: MessageTemplate
    card: SafeString
    obstacle: str = ""
    warning: str = ""
    ways: Sequence[Button] = ()


def thumbnails(
    site: AdminSite, request: HttpRequest, templates: MessageTemplateQuerySet, term: str
) -> list[Thumbnail]:
    """Those of ``templates`` that have ``term`` in their title, name or content."""
    if term:
        wanted = Q(title__icontains=term) | Q(name__icontains=term) | Q(content__icontains=term)
        templates = templates.filter(wanted)
    shown = templates.order_by("account", "title", "name")[:SHOWN]
    return [_thumbnail(site, request, row) for row in shown]


def _thumbnail(site: AdminSite, request: HttpRequest, template: MessageTemplate) -> Thumbnail:
    obstacle = "" if template.fields else _("Its content is not known. Sync the templates first.")
    warning = why_waits(template)
    ways = list(resume_template(site, request, template)) if warning else []
    return Thumbnail(template, template_card(template), obstacle, warning, ways)

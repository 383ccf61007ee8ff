"""Templates to choose from, as the cards that people get."""

from dataclasses import dataclass

from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...models import MessageTemplate, MessageTemplateQuerySet
from ..explanations import why_paused
from ..previews import template_card

# An account holds 25 templates unless WeChat grants it more (WECHAT.md 2.3).
SHOWN = 300


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """One template. With an ``obstacle`` it cannot be filled in; a ``warning`` only warns."""

    template: MessageTemplate
    card: SafeString
    obstacle: str = ""
    warning: str = ""


def thumbnails(templates: MessageTemplateQuerySet, term: str) -> list[Thumbnail]:
    """Those of ``templates`` that have ``term`` in their title, name or content."""
    if term:
        wanted = Q(title__icontains=term) | Q(name__icontains=term) | Q(content__icontains=term)
        templates = templates.filter(wanted)
    return [_thumbnail(row) for row in templates.order_by("account", "title", "name")[:SHOWN]]


def _thumbnail(template: MessageTemplate) -> Thumbnail:
    obstacle = "" if template.fields else _("Its content is not known. Sync the templates first.")
    return Thumbnail(template, template_card(template), obstacle, why_paused(template))

"""Which of WeChat's lists has a template's ID, asked when WeChat refuses the ID (40037)."""

import logging

from ..backends.base import BaseBackend
from ..backends.registry import get_backend
from ..exceptions import ConfigurationError, WeChatNotifyError
from ..models import MessageTemplate

logger = logging.getLogger(__name__)

NO_SUCH_TEMPLATE = 40037

Listing = MessageTemplate.Listing


def listing_of(backend: BaseBackend, template_id: str) -> MessageTemplate.Listing:
    """The list that has this ID. Raises ``WeChatNotifyError`` or ``ConfigurationError``."""
    if any(one.template_id == template_id for one in backend.get_templates()):
        return Listing.TEMPLATE
    if any(one.template_id == template_id for one in backend.get_subscription_templates()):
        return Listing.SUBSCRIPTION
    return Listing.NOWHERE


def look_up(template_pk: int) -> None:
    """Ask WeChat for its lists, and keep which of them has the template. Never raises for that."""
    template = MessageTemplate.objects.filter(pk=template_pk).first()
    if template is None:
        return
    try:
        listing = listing_of(get_backend(template.account), template.template_id)
    except (WeChatNotifyError, ConfigurationError) as error:
        logger.warning("Template %r: WeChat's lists are not known: %s", template.name, error)
        return
    MessageTemplate.objects.filter(pk=template_pk).update(listed_as=listing)
    logger.warning(
        "Template %r, refused by WeChat: its ID is listed as %s.", template.name, listing
    )

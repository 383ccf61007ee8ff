"""The language of messages: the site's, not that of whoever saved an object."""

from django.conf import settings
from django.utils import translation


def site_language() -> translation.override:
    """``with site_language():`` texts are those of ``LANGUAGE_CODE``."""
    return translation.override(settings.LANGUAGE_CODE)

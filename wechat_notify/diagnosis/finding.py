"""One thing that was looked at, and how people are told about it."""

import enum
from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.translation import gettext as _


class Level(enum.Enum):
    OK = "ok"
    """Seen, and as it should be."""
    NOTE = "note"
    """Worth knowing, or not known; nobody has to do anything at once."""
    PROBLEM = "problem"
    """Somebody has to do something."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, in the active language. ``next_step`` may be empty."""

    level: Level
    text: str
    next_step: str = ""


def sentences(first: str, second: str) -> str:
    """Two sentences one after the other: Chinese has no blank between them. Either may be empty."""
    if not (first and second):
        return first or second
    return _("%(first)s %(second)s") % {"first": first, "second": second}


def local(moment: datetime) -> str:
    """A moment in the site's time zone, to the minute."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M %Z")

"""What must happen for a rule to tell somebody."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Event(models.TextChoices):
    CREATED = "created", _("is created")
    CHANGED = "changed", _("changes")
    BEFORE = "before", _("before a date")
    AFTER = "after", _("after a date")


REMINDERS = (Event.BEFORE, Event.AFTER)

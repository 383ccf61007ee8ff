"""What went wrong in the triggers of the site's code."""

from collections.abc import Iterator
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..conf import settings
from ..models import TriggerFailure, last_of_each
from .finding import Finding, Level, local

RECENT = timedelta(days=1)
"""What went wrong earlier has probably been mended; the dashboard still shows it."""


def look_at_triggers(alias: str) -> Iterator[Finding]:
    """The triggers that failed within a day, each with its last error.

    Those of an account that is not configured are told with the first account.
    """
    its = Q(account=alias)
    if alias == settings.aliases[0]:
        its |= ~Q(account__in=settings.aliases)
    recent = last_of_each(TriggerFailure.objects.filter(its), timezone.now() - RECENT)
    for failure in recent:
        text = ngettext(
            "Trigger %(trigger)s failed %(count)d time, last %(time)s for %(object)s. %(error)s",
            "Trigger %(trigger)s failed %(count)d times, last %(time)s for %(object)s. %(error)s",
            failure.count,
        )
        names = {
            "trigger": failure.trigger,
            "count": failure.count,
            "time": local(failure.created_at),
            "object": failure.about,
            "error": failure.error,
        }
        step = _("Nothing was sent then. Correct the cause; the site's log has the whole error.")
        yield Finding(Level.PROBLEM, text % names, step)

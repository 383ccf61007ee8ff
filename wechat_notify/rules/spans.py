"""Time spans as people say them: a whole number of minutes, hours or days."""

from datetime import timedelta

from django.utils.translation import ngettext

MINUTES, HOURS, DAYS = "minutes", "hours", "days"
UNITS = {
    MINUTES: timedelta(minutes=1),
    HOURS: timedelta(hours=1),
    DAYS: timedelta(days=1),
}


def number_and_unit(span: timedelta) -> tuple[int, str]:
    """The span in the largest unit of which it is a whole number; whole minutes at least."""
    for unit in (DAYS, HOURS):
        if span and not span % UNITS[unit]:
            return span // UNITS[unit], unit
    return span // UNITS[MINUTES], MINUTES


def in_words(span: timedelta) -> str:
    """The span in words, such as "2 days"."""
    number, unit = number_and_unit(span)
    if unit == DAYS:
        return ngettext("%d day", "%d days", number) % number
    if unit == HOURS:
        return ngettext("%d hour", "%d hours", number) % number
    return ngettext("%d minute", "%d minutes", number) % number

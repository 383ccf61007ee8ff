"""Calls ``notify()`` when other apps' signals are sent, and when the calendar says so."""

from .changed import notify_changed
from .muting import muted
from .on_signal import notify_on
from .reminders import remind_on
from .reminding import connect, run_reminders

__all__ = ["muted", "notify_changed", "notify_on", "remind_on", "run_reminders"]

# Whoever declares a reminder imports this package; a process that does not has none to look for.
connect()

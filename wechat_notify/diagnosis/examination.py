"""Everything worth knowing about one account."""

from collections.abc import Callable, Iterator

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..backends.registry import get_backend
from ..senders import signs_are_shared
from .alerting import look_at_alerts
from .failed_triggers import look_at_triggers
from .finding import Finding, Level
from .machine import (
    look_at_cache,
    look_at_clock,
    look_at_database,
    look_at_forks,
    look_at_platform_clock,
    look_at_settings,
    look_at_threads,
)
from .outgoing import look_at_callbacks, look_at_messages, look_at_sender
from .reachability import ask_wechat, look_at_closures, look_at_rest, look_at_tls
from .registered_templates import look_at_templates

others: list[Callable[[str], Iterator[Finding]]] = []
"""What optional apps look at, account by account."""


def examine(alias: str) -> Iterator[Finding]:
    """Everything worth knowing about one account. Never raises for what it finds wrong."""
    try:
        backend = get_backend(alias)
    except ImproperlyConfigured as error:
        text = _("Settings: %(error)s") % {"error": error}
        yield Finding(Level.PROBLEM, text, _("Correct the settings and restart."))
        return
    yield from look_at_settings(alias)
    yield from look_at_database()
    yield from look_at_clock()
    cache = look_at_cache()
    yield cache
    works = cache.level is not Level.PROBLEM  # token, rest and signs of life live there
    if works:
        yield from look_at_tls(backend)
        yield from ask_wechat(backend)
        yield from look_at_platform_clock(backend)
        yield look_at_rest(alias, is_known=signs_are_shared())
        yield from look_at_closures(alias)
        yield look_at_sender(alias)
        yield from look_at_forks()
        yield from look_at_threads()
    yield from look_at_templates(alias)
    yield from look_at_messages(alias, cache_works=works)
    yield from look_at_triggers(alias)
    yield from look_at_alerts(alias)
    for look in others:
        yield from look(alias)
    if backend.supports_diagnosis:
        yield look_at_callbacks(alias)

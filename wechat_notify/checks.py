"""System checks: a wrong setting is found by ``manage.py check``, not by the first message.

Stable ids; ``manage.py check --tag wechat_notify`` runs these alone. E010 to E019 and W010 to
W019 are the backends' own.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from .backends.registry import build_backend
from .conf import ACCOUNT_KEYS, KEYS, settings
from .delivery.dispatch import get_dispatcher

VALUES = (
    "INLINE_LIMIT",
    "CONCURRENCY",
    "BATCH_SIZE",
    "TIMEOUT",
    "MAX_ATTEMPTS",
    "LEASE",
    "RATE",
    "INVALID_DATA",
    "RETENTION_DAYS",
    "SITE_URL",
)


def check_settings(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """Everything that is wrong with ``WECHAT_NOTIFY``."""
    try:
        raw = settings.raw()
        aliases = settings.aliases
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="wechat_notify.E001")]
    return [
        *_unknown_keys(raw),
        *_wrong_values(),
        *_cache(),
        *_dispatcher(),
        *_accounts(aliases),
    ]


def _unknown_keys(raw: Any) -> Iterable[checks.CheckMessage]:
    for key in sorted(raw.keys() - KEYS.keys()):
        yield checks.Error(
            f'WECHAT_NOTIFY has no setting "{key}".',
            hint=f"Known: {', '.join(KEYS)}.",
            id="wechat_notify.E002",
        )
    for alias, account in raw.get("ACCOUNTS", {}).items():
        unknown = account.keys() - ACCOUNT_KEYS.keys() if isinstance(account, dict) else ()
        for key in sorted(unknown):
            yield checks.Error(
                f'WECHAT_NOTIFY account "{alias}" has no setting "{key}".',
                hint=f"Known: {', '.join(ACCOUNT_KEYS)}.",
                id="wechat_notify.E003",
            )


def _wrong_values() -> Iterable[checks.CheckMessage]:
    wrong: dict[str, None] = {}  # an ordered set: LEASE complains about TIMEOUT once more
    for name in VALUES:
        try:
            getattr(settings, name)
        except ImproperlyConfigured as error:
            wrong[str(error)] = None
    for message in wrong:
        yield checks.Error(message, id="wechat_notify.E004")


def _cache() -> Iterable[checks.CheckMessage]:
    try:
        alias = settings.CACHE
    except ImproperlyConfigured as error:
        return [checks.Error(str(error), id="wechat_notify.E005")]
    if alias not in django_settings.CACHES:
        return [
            checks.Error(
                f'WECHAT_NOTIFY["CACHE"] is "{alias}", which CACHES does not have.',
                id="wechat_notify.E005",
            )
        ]
    if django_settings.CACHES[alias]["BACKEND"].endswith(".DummyCache"):
        return [
            checks.Error(
                f'The cache "{alias}" keeps nothing, so each message would fetch a token.',
                hint="Use Redis, Memcached, or at least the database cache.",
                id="wechat_notify.E006",
            )
        ]
    return []


def _dispatcher() -> Iterable[checks.CheckMessage]:
    try:
        get_dispatcher()
    except ImproperlyConfigured as error:
        yield checks.Error(str(error), id="wechat_notify.E007")


def _accounts(aliases: list[str]) -> Iterable[checks.CheckMessage]:
    if not aliases:
        yield checks.Warning(
            'WECHAT_NOTIFY["ACCOUNTS"] is empty, so nothing can be sent.',
            hint="Add a default account with APP_ID and APP_SECRET.",
            id="wechat_notify.W001",
        )
    for alias in aliases:
        try:
            backend = build_backend(alias)
        except ImproperlyConfigured as error:
            yield checks.Error(str(error), id="wechat_notify.E008")
        else:
            yield from backend.check()

"""System checks: a wrong setting is found by ``manage.py check``, not by the first message.

Stable ids; ``manage.py check --tag wechat_notify`` runs these alone. E010 to E019 and W010 to
W019 are the backends' own, E020 to E029 and W020 to W029 speak of what code expects of templates,
E030 to E039 and W030 to W039 of callbacks.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router

from . import declarations
from .backends.registry import build_backend
from .callbacks.checks import check_callbacks
from .conf import ACCOUNT_KEYS, KEYS, settings
from .declarations import Declaration
from .delivery.dispatch import get_dispatcher
from .models import MessageTemplate
from .wechat.fields import NOT_SHOWN

# Each of the others has a check of its own.
VALUES = [name for name in KEYS if name not in ("ACCOUNTS", "CACHE", "DISPATCHER")]


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
        *_time_zones(),
        *_unknown_keys(raw),
        *_wrong_values(),
        *_cache(),
        *_dispatcher(),
        *_accounts(aliases),
        *_declared_accounts(aliases),
    ]


def _time_zones() -> Iterable[checks.CheckMessage]:
    try:
        settings.require_time_zones()
    except ImproperlyConfigured as error:
        yield checks.Error(
            str(error),
            hint="Set USE_TZ = True; Django's time zone documentation says how to move a site.",
            id="wechat_notify.E009",
        )


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


def check_deployment(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[checks.CheckMessage]:
    """What does no harm on a desk and much in production; for ``manage.py check --deploy``."""
    try:
        cache, aliases = django_settings.CACHES.get(settings.CACHE, {}), settings.aliases
    except ImproperlyConfigured:
        return []  # check_settings() says what is wrong
    if not aliases or not cache.get("BACKEND", "").endswith(".LocMemCache"):
        return []
    return [
        checks.Warning(
            f'The cache "{settings.CACHE}" is a memory of each process: an account that WeChat '
            f"puts to rest goes on in the others, RATE counts in each of them alone, and with the "
            f"300 entries it has by default other entries push out the token.",
            hint="Use Redis, Memcached or the database cache, and name it in "
            'WECHAT_NOTIFY["CACHE"].',
            id="wechat_notify.W002",
        )
    ]


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
        yield from check_callbacks(alias)


def _declared_accounts(aliases: list[str]) -> Iterable[checks.CheckMessage]:
    for declaration in declarations.declared:
        if declaration.account not in aliases:
            yield checks.Error(
                f'Code uses template "{declaration.template}" of account '
                f'"{declaration.account}", which WECHAT_NOTIFY["ACCOUNTS"] does not have.',
                id="wechat_notify.E020",
            )


def check_declarations(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[checks.CheckMessage]:
    """Where code expects other templates than are registered.

    Reads the templates, in one query, only where Django asks to look into their database, as
    ``migrate`` and ``check --database default`` do, and from Django 6.1 ``check --tag`` by itself:
    no other command waits for a database because of this. Without the table, or with one that is
    not migrated yet, there is nothing to say.
    """
    declared = list(declarations.declared)
    using = router.db_for_read(MessageTemplate)
    if not declared or using not in (databases or ()):
        return []
    names = {one.template for one in declared}
    try:
        registered = {
            (template.account, template.name): template
            for template in MessageTemplate.objects.using(using).filter(name__in=names)
        }
    except DatabaseError:
        return []
    found: list[checks.CheckMessage] = []
    for one in declared:
        found += _compare(one, registered.get((one.account, one.template)))
    return found


def _compare(
    declaration: Declaration, template: MessageTemplate | None
) -> Iterable[checks.CheckMessage]:
    where = f'Template "{declaration.template}" of account "{declaration.account}"'
    if template is None:
        yield checks.Warning(
            f"{where} is used in code and not registered.",
            hint="Register it in the admin, or run manage.py wechat_sync_templates and name it.",
            id="wechat_notify.W020",
        )
        return
    if not template.is_active:
        yield checks.Warning(
            f"{where} is used in code and not active.",
            hint="WeChat no longer lists it, or somebody switched it off.",
            id="wechat_notify.W021",
        )
    if declaration.fields is not None and template.fields:
        yield from _compare_fields(where, declaration.fields, template)


def _compare_fields(
    where: str, wanted: frozenset[str], template: MessageTemplate
) -> Iterable[checks.CheckMessage]:
    there = {field.name for field in template.fields}
    hint = f"It has: {', '.join(field.name for field in template.fields)}."
    if unknown := wanted - there - NOT_SHOWN:
        yield checks.Error(
            f"{where} has no field {', '.join(sorted(unknown))}, which code fills in.",
            hint=hint,
            id="wechat_notify.E021",
        )
    if missing := there - wanted - NOT_SHOWN:
        yield checks.Error(
            f"{where} needs {', '.join(sorted(missing))}, which code does not fill in.",
            hint=hint,
            id="wechat_notify.E022",
        )

"""System checks: ``manage.py check`` finds a wrong setting before the first message.

``manage.py check --tag wechat_notify`` runs only these. The ids do not change. 010 to 019 are the
backends' own, 020 to 029 are about declared templates, 030 to 039 about callbacks, 040 to 049
about the site's addresses and sessions, 060 to 069 about the dispatcher.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router

from . import declarations
from .backends.registry import build_backend
from .binding.site_check import check_site
from .callbacks.settings_check import check_callbacks
from .conf import ACCOUNT_KEYS, KEYS, settings
from .declarations import Declaration
from .dispatchers.base import get_dispatcher
from .models import MessageTemplate
from .wechat.fields import NOT_SHOWN
from .wechat.naming import words_of

# The other keys have checks of their own.
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
    found = [
        *_time_zones(),
        *_unknown_keys(raw),
        *_wrong_values(),
        *_cache(),
        *_dispatcher(),
        *_accounts(aliases),
        *_declared_accounts(aliases),
        *check_site(),
    ]
    # Without repeats: a wrong TIMEOUT is also found with the accounts and with LEASE.
    return list({message.msg: message for message in reversed(found)}.values())[::-1]


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
    for name in VALUES:
        try:
            getattr(settings, name)
        except ImproperlyConfigured as error:
            yield checks.Error(str(error), id="wechat_notify.E004")


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
    """Settings that are wrong in production only: ``manage.py check --deploy``."""
    try:
        cache, aliases = django_settings.CACHES.get(settings.CACHE, {}), settings.aliases
    except ImproperlyConfigured:
        return []  # check_settings() says what is wrong
    if not aliases or not cache.get("BACKEND", "").endswith(".LocMemCache"):
        return []
    return [
        checks.Warning(
            f'The cache "{settings.CACHE}" is of each process alone: an account that WeChat '
            f"puts to rest goes on in the others, RATE counts in each of them alone, and with the "
            f"300 entries it has by default other entries push out the token.",
            hint="Use Redis, Memcached or the database cache, and name it in "
            'WECHAT_NOTIFY["CACHE"].',
            id="wechat_notify.W002",
        )
    ]


def _dispatcher() -> Iterable[checks.CheckMessage]:
    try:
        yield from get_dispatcher().check_settings()
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
    """Declarations that do not match the registered templates, and wrong field names of any.

    Reads the templates with one query, but only if Django passes their database in ``databases``:
    ``migrate`` and ``check --database default`` do that, and since Django 6.1 also
    ``check --tag``. So no other command waits for a database because of this. Without the table,
    or if it is not migrated yet, nothing is checked.
    """
    using = router.db_for_read(MessageTemplate)
    if not declarations.declared or using not in (databases or ()):
        return []
    try:
        registered = {
            (template.account, template.name): template
            for template in MessageTemplate.objects.using(using).order_by("pk")
        }
    except DatabaseError:
        return []
    found = [problem for template in registered.values() for problem in _wrong_names(template)]
    for one in declarations.declared:
        found += _compare(one, registered.get((one.account, one.template)))
    return found


def _compare(
    declaration: Declaration, template: MessageTemplate | None
) -> Iterable[checks.CheckMessage]:
    where = f'Template "{declaration.template}" of account "{declaration.account}"'
    if template is None:
        yield checks.Warning(
            f"{where} is used in code and not registered.",
            hint="Name one in the admin, or run manage.py wechat_sync_templates --name NAME=TITLE.",
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


def _wrong_names(template: MessageTemplate) -> Iterable[checks.CheckMessage]:
    if problems := template.name_problems():
        yield checks.Error(
            f'Template "{template.name}" of account "{template.account}" has field names that '
            f"cannot be used: {'; '.join(map(str, problems))}.",
            hint="Change them on the template's page in the admin.",
            id="wechat_notify.E023",
        )


def _compare_fields(
    where: str, wanted: frozenset[str], template: MessageTemplate
) -> Iterable[checks.CheckMessage]:
    there = {field.name for field in template.fields}
    names = template.field_names
    words = words_of(names)
    listed = (
        f"{words[key]} ({key})" if key in words else key
        for key in map(attrgetter("name"), template.fields)
    )
    hint = f"It has: {', '.join(listed)}. Field names are set on its page in the admin."
    if twice := sorted(name for name in wanted if names.get(name, name) in wanted - {name}):
        yield checks.Error(
            f"{where} is declared with both the name and the key of one field: {', '.join(twice)}.",
            id="wechat_notify.E024",
        )
    if unknown := {name for name in wanted if name not in names} - there - NOT_SHOWN:
        yield checks.Error(
            f"{where} has no field {', '.join(sorted(unknown))}, which code fills in.",
            hint=hint,
            id="wechat_notify.E021",
        )
    if missing := there - {names.get(name, name) for name in wanted} - NOT_SHOWN:
        yield checks.Error(
            f"{where} needs {', '.join(sorted(missing))}, which code does not fill in.",
            hint=hint,
            id="wechat_notify.E022",
        )

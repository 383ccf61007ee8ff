"""System checks of the project around the app: its time zone and its database. W050 to W059."""

from collections.abc import Iterable, Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connections, router

from .conf import settings
from .models import SendLog
from .models.character_set import statements_to_widen

UTC = ("UTC", "Etc/UTC", "Etc/UCT", "UCT", "Universal", "Zulu", "GMT", "Etc/GMT")


def check_time_zone(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """A time zone that nobody has chosen: messages would show its times."""
    try:
        is_used = bool(settings.aliases)
    except ImproperlyConfigured:
        return []  # check_settings() says what is wrong
    name = django_settings.TIME_ZONE
    is_overridden = django_settings.is_overridden("TIME_ZONE")  # type: ignore[misc]
    if not is_used or (is_overridden and name not in UTC):
        return []
    return [
        CheckWarning(
            f'TIME_ZONE is "{name}", as Django sets it: messages would show times of that zone. '
            f"In Beijing, 15:01 is 07:01 in UTC.",
            hint='Set TIME_ZONE = "Asia/Shanghai", or the zone that the recipients live in. Where '
            'UTC is meant, add "wechat_notify.W050" to SILENCED_SYSTEM_CHECKS.',
            id="wechat_notify.W050",
        )
    ]


def check_transactions(
    app_configs: Sequence[AppConfig] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """SQLite with deferred transactions, at deploy: a thread or a worker writes beside requests.

    A transaction that has read something and then writes fails at once if another one has written
    meanwhile, however long the timeout: SQLite's SQLITE_BUSY_SNAPSHOT.
    """
    using = router.db_for_write(SendLog)
    connection = connections[using]
    mode = str(connection.settings_dict["OPTIONS"].get("transaction_mode") or "DEFERRED")
    if connection.vendor != "sqlite" or mode.upper() in ("IMMEDIATE", "EXCLUSIVE"):
        return []
    return [
        CheckWarning(
            f'The database "{using}" is SQLite with transactions that begin by reading: while '
            f'messages are sent, a request that writes can fail with "database is locked".',
            hint=f'DATABASES["{using}"]["OPTIONS"] = {{"transaction_mode": "IMMEDIATE", '
            f'"timeout": 20}}',
            id="wechat_notify.W052",
        )
    ]


def check_character_set(
    app_configs: Sequence[AppConfig] | None = None,
    databases: Sequence[str] | None = None,
    **kwargs: Any,
) -> list[CheckMessage]:
    """Tables on MySQL or MariaDB that do not take every character.

    Asks the database only where Django lets checks do so, as ``migrate`` and
    ``check --database default`` do.
    """
    using = router.db_for_write(SendLog)
    if using not in (databases or ()) or connections[using].vendor != "mysql":
        return []
    try:
        statements = statements_to_widen(connections[using])
    except DatabaseError:
        return []
    return list(_too_narrow(using, statements))


def _too_narrow(using: str, statements: list[str]) -> Iterable[CheckMessage]:
    if statements:
        yield CheckWarning(
            f'The database "{using}" has text that is not utf8mb4: an emoji in a link, a title or '
            f"a reason raises error 1366, and one in a template's title stops the sync.",
            hint="\n".join(["While nothing is sent, run:", *statements]),
            id="wechat_notify.W051",
        )

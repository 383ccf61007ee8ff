"""MySQL's and MariaDB's "utf8" knows no emoji: which of the app's columns are made of it."""

from django.apps import apps
from django.db.backends.base.base import BaseDatabaseWrapper

WANTED = "utf8mb4"

# CONVERT TO would be shorter, and give openids and keys a collation that knows no capitals.
_NARROW = """
    SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns
    WHERE table_schema = DATABASE() AND character_set_name <> %s AND table_name IN %s
    ORDER BY table_name, ordinal_position
"""
_DEFAULT = """
    SELECT schema_name FROM information_schema.schemata
    WHERE schema_name = DATABASE() AND default_character_set_name <> %s
"""


def statements_to_widen(connection: BaseDatabaseWrapper) -> list[str]:
    """The SQL that lets the app's tables take every character; empty: they do.

    Defaults are for the tables and columns that later migrations make. For a connection to MySQL
    or MariaDB only.
    """
    quote = connection.ops.quote_name
    # With those of the optional apps, which are parts of this package.
    ours = [one for one in apps.get_app_configs() if f"{one.name}.".startswith("wechat_notify.")]
    tables = [model._meta.db_table for config in ours for model in config.get_models()]
    with connection.cursor() as cursor:
        cursor.execute(_DEFAULT, [WANTED])
        databases = [name for (name,) in cursor.fetchall()]
        cursor.execute(_NARROW, [WANTED, tuple(tables)])
        columns = cursor.fetchall()
    changes: dict[str, list[str]] = {}
    for table, column, kind, nullable in columns:
        null = "NULL" if nullable == "YES" else "NOT NULL"
        change = f"MODIFY {quote(column)} {kind} CHARACTER SET {WANTED} {null}"
        changes.setdefault(table, []).append(change)
    return [
        *(f"ALTER DATABASE {quote(name)} CHARACTER SET {WANTED};" for name in databases),
        *(
            f"ALTER TABLE {quote(table)} DEFAULT CHARACTER SET {WANTED}, {', '.join(those)};"
            for table, those in changes.items()
        ),
    ]

"""The machine and the versions that the figures were measured with. No names, no paths."""

import os
import platform
import sqlite3
from importlib.metadata import version
from pathlib import Path

import psycopg

PACKAGES = ("Django", "requests", "urllib3", "psycopg", "wechatpy")


def describe(postgresql: str) -> list[tuple[str, str]]:
    """What goes above the tables, as (what, value)."""
    return [
        ("Processor", f"{_processor()}, {os.cpu_count()} cores"),
        ("Memory", _memory()),
        ("System", f"{platform.system()} {platform.machine()}"),
        ("Python", f"{platform.python_implementation()} {platform.python_version()}"),
        *((name, version(name)) for name in PACKAGES),
        ("SQLite", f"{sqlite3.sqlite_version}, Django's defaults: rollback journal, full sync"),
        ("PostgreSQL", _postgresql(postgresql)),
    ]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory() -> str:
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return f"{pages * size / 2**30:.0f} GiB"


def _postgresql(url: str) -> str:
    if not url:
        return "not measured: no server answered"
    shown = ("server_version", "shared_buffers", "fsync", "synchronous_commit")
    with psycopg.connect(url) as connection:
        values = {name: connection.execute(f"SHOW {name}").fetchone() for name in shown}
    named = {name: row[0] for name, row in values.items() if row}
    number = named.pop("server_version").split()[0]
    return ", ".join([number, *(f"{name} {value}" for name, value in named.items())])

"""What stands around an account: its settings, the database, the clock, the cache."""

from collections.abc import Iterator
from datetime import timedelta

from django.core.cache import caches
from django.utils.translation import gettext as _

from ..backends.base import BaseBackend
from ..backends.registry import build_backend
from ..conf import settings
from ..models.character_set import statements_to_widen
from ..models.database import database
from ..senders import signs_are_shared
from ..sending import database_clock
from ..sending.forks_record import hosts_that_miss_hooks, hosts_without_threads
from ..wechat.shared_cache import keeps
from .finding import Finding, Level

# Less is the time that the question itself takes.
SAME_TIME = timedelta(seconds=2)


def look_at_settings(alias: str) -> Iterator[Finding]:
    """The account's settings, as they would be used."""
    warnings = build_backend(alias).check()
    for message in warnings:
        yield Finding(
            Level.NOTE, _("Settings: %(error)s") % {"error": message.msg}, message.hint or ""
        )
    if not warnings:
        account = settings.account(alias)
        text = _("Settings: %(backend)s to %(host)s, app id %(app_id)s.") % {
            "backend": account.backend.rpartition(".")[2],
            "host": account.api_base,
            "app_id": account.app_id,
        }
        yield Finding(Level.OK, text)


def look_at_database() -> Iterator[Finding]:
    """Whether the tables take every character; only MySQL and MariaDB can be wrong about it."""
    connection = database()
    if connection.vendor != "mysql":
        return
    statements = statements_to_widen(connection)
    if not statements:
        yield Finding(Level.OK, _("Database: the tables take every character (utf8mb4)."))
        return
    yield Finding(
        Level.PROBLEM,
        _("Database: not all text columns are utf8mb4. A text with an emoji raises error 1366."),
        "\n".join([_("While nothing is sent, run:"), *statements]),
    )


def look_at_clock() -> Iterator[Finding]:
    """This host's clock beside the database's. SQLite has no clock of its own."""
    if database().vendor == "sqlite":
        return
    ahead = -database_clock.measure()
    seconds = {"seconds": round(abs(ahead).total_seconds())}
    if abs(ahead) < SAME_TIME:
        yield Finding(Level.OK, _("Clock: the same time as the database's."))
        return
    if ahead > timedelta(0):
        text = _("Clock: this host's is %(seconds)d s ahead of the database's.") % seconds
    else:
        text = _("Clock: this host's is %(seconds)d s behind the database's.") % seconds
    yield Finding(Level.NOTE, text, _("Set both clocks by NTP: what is due is sent by this one."))


def look_at_platform_clock(backend: BaseBackend) -> Iterator[Finding]:
    """This host's clock beside WeChat's. Asked after a call, which brings WeChat's time."""
    ahead = backend.clock_skew()
    if ahead is None or abs(ahead) < SAME_TIME.total_seconds() + 1:  # it counts whole seconds
        return
    seconds = {"seconds": round(abs(ahead))}
    if ahead < 0:
        text = _("Clock: this host's is %(seconds)d s ahead of WeChat's.") % seconds
    else:
        text = _("Clock: this host's is %(seconds)d s behind WeChat's.") % seconds
    yield Finding(Level.NOTE, text, _("Set it by NTP: callbacks are refused when it is far off."))


def look_at_forks() -> Iterator[Finding]:
    """Servers whose processes were forked in a way that shares connections."""
    for host in sorted(hosts_that_miss_hooks()):
        text = _("Server %(host)s: processes are forked without Python's at-fork hooks.")
        yield Finding(
            Level.NOTE, text % {"host": host}, _("With uWSGI, set py-call-osafterfork = true.")
        )


def look_at_threads() -> Iterator[Finding]:
    """Servers that send in the request, because their processes cannot run threads."""
    for host in sorted(hosts_without_threads()):
        text = _("Server %(host)s: processes cannot run threads, so requests wait for WeChat.")
        yield Finding(
            Level.NOTE, text % {"host": host}, _("With uWSGI, set enable-threads = true.")
        )


def look_at_cache() -> Finding:
    """Whether the cache keeps what it is given, found by trying."""
    name = {"cache": settings.CACHE}
    if not signs_are_shared():
        return Finding(
            Level.NOTE,
            _("Cache '%(cache)s': each process has its own. Tokens, rests and RATE are not shared.")
            % name,
            _("Use Redis, Memcached or the database cache once there is more than one process."),
        )
    cache = caches[settings.CACHE]
    try:
        kept = keeps(cache)
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        return Finding(
            Level.PROBLEM,
            _("Cache '%(cache)s' does not answer: %(error)s.")
            % {**name, "error": type(error).__name__},
            _("Start it, or correct its address in CACHES. Nothing is sent without it."),
        )
    if kept:
        kind = {**name, "backend": type(cache).__name__}
        return Finding(
            Level.OK, _("Cache '%(cache)s' (%(backend)s): keeps what it is given.") % kind
        )
    return Finding(
        Level.PROBLEM,
        _("Cache '%(cache)s' does not keep what it is given.") % name,
        _("Every message would need a new token. Look at its size limit and backend in CACHES."),
    )

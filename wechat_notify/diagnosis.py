"""How the app is doing, account by account, in plain words with what to do about it.

``manage.py wechat_doctor`` prints this. It looks and asks, and changes nothing, except that asking
WeChat fetches an access token where there is none.
"""

import enum
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.timesince import timesince

from .backends.base import BaseBackend
from .backends.registry import build_backend, get_backend
from .conf import settings
from .delivery.breaker import Breaker, Rest
from .delivery.outbox import database
from .delivery.worker import last_seen
from .exceptions import TokenError, TransportError, WeChatError
from .models import MessageTemplate, SendLog, SendLogQuerySet
from .wechat.errors import describe

Status = SendLog.Status

# Messages that are due for longer than this, with nothing that holds them back, say that nobody
# sends them.
LATE = timedelta(minutes=5)
WORKER_SILENT = timedelta(minutes=2)
NAMES_SHOWN = 5
START_WORKER = (
    "Nobody sends them. Start manage.py wechat_deliver --watch (or run it from cron), or the "
    "workers of your task queue."
)


class Level(enum.Enum):
    OK = "ok"
    NOTE = "note"
    """Worth knowing; nobody has to do anything."""
    PROBLEM = "problem"
    """Somebody has to do something."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``next_step`` may be empty."""

    level: Level
    text: str
    next_step: str = ""


def examine(alias: str) -> Iterator[Finding]:
    """Everything worth knowing about one account. Never raises for what it finds wrong."""
    try:
        backend = get_backend(alias)
    except ImproperlyConfigured as error:
        yield Finding(Level.PROBLEM, f"Settings: {error}", "Mend the settings and restart.")
        return
    yield from _settings(alias)
    cache = _cache()
    yield cache
    if cache.level is not Level.PROBLEM:  # token and rest live there
        yield from _wechat(backend)
        yield _rest(Breaker(alias))
        yield _worker(alias)
    yield from _templates(alias)
    yield from _rows(alias)


def rest_in_words(rest: Rest) -> str:
    """Why an account rests and until when: for people."""
    when = local(rest.until)
    end = f"probed again at {when}" if rest.by_hand else f"until {when}"
    return f"at rest since {local(rest.since)}, {end}: {rest.info.cause} (errcode {rest.errcode})"


def local(moment: datetime) -> str:
    """A moment in the site's time zone, to the minute."""
    return timezone.localtime(moment).strftime("%Y-%m-%d %H:%M %Z")


def _settings(alias: str) -> Iterator[Finding]:
    warnings = build_backend(alias).check()
    for message in warnings:
        yield Finding(Level.NOTE, f"Settings: {message.msg}", message.hint or "")
    if not warnings:
        account = settings.account(alias)
        name = account.backend.rpartition(".")[2]
        yield Finding(Level.OK, f"Settings: {name} to {account.api_base}, app id {account.app_id}.")


def _cache() -> Finding:
    name = settings.CACHE
    cache = caches[name]
    if isinstance(cache, LocMemCache):
        return Finding(
            Level.NOTE,
            f"Cache {name!r}: each process has its own. Tokens, rests and RATE are not shared.",
            "Use Redis, Memcached or the database cache once there is more than one process.",
        )
    mark = uuid.uuid4().hex
    try:
        cache.set(f"wechat_notify:doctor:{mark}", mark, 60)
        kept = cache.get(f"wechat_notify:doctor:{mark}") == mark
    except Exception as error:  # noqa: BLE001 - each cache library has errors of its own
        return Finding(
            Level.PROBLEM,
            f"Cache {name!r} does not answer: {type(error).__name__}.",
            "Start it, or correct its address in CACHES. Nothing is sent without it.",
        )
    if kept:
        return Finding(Level.OK, f"Cache {name!r}: shared, and keeps what it is given.")
    return Finding(
        Level.PROBLEM,
        f"Cache {name!r} does not keep what it is given.",
        "Every message would need a new token. Look at its size limit and backend in CACHES.",
    )


def _wechat(backend: BaseBackend) -> Iterator[Finding]:
    """Asking for the quota needs a token, so it proves the whole way there and back."""
    if not backend.supports_diagnosis:
        name = type(backend).__name__
        yield Finding(Level.NOTE, f"WeChat: {name} does not talk to WeChat.")
        return
    try:
        quota = backend.get_quota()
    except TokenError as error:
        yield _no_token(error)
    except WeChatError as error:
        yield Finding(Level.OK, "WeChat: gives an access token.")
        yield Finding(Level.NOTE, f"Quota: not to be had. {error}")
    except TransportError as error:
        yield Finding(
            Level.PROBLEM,
            f"WeChat cannot be reached: {error}",
            "Look at this machine's network, proxy and the account's API_BASE.",
        )
    else:
        yield Finding(Level.OK, "WeChat: gives an access token, and takes it.")
        level = Level.OK if quota.remain > 0 else Level.NOTE
        yield Finding(level, f"Quota: {quota.used} of {quota.daily_limit} used today.")


def _no_token(error: TokenError) -> Finding:
    info = describe(error.errcode, endpoint="token")
    text = f"WeChat gives no access token: {info.cause} (errcode {error.errcode})"
    if error.ip:
        return Finding(
            Level.PROBLEM,
            f"{text} This machine's address, as WeChat sees it: {error.ip}",
            f"Add {error.ip} to the IP whitelist at mp.weixin.qq.com, then run "
            f"wechat_doctor --clear.",
        )
    return Finding(Level.PROBLEM, text, str(info.next_step))


def _rest(breaker: Breaker) -> Finding:
    rest = breaker.rest()
    if rest is None:
        return Finding(Level.OK, "Sending: not held up.")
    text = f"Sending: {rest_in_words(rest)}"
    if not rest.by_hand:
        return Finding(Level.NOTE, text, str(rest.info.next_step))
    done = f"When that is done: wechat_doctor --clear {breaker.alias}"
    return Finding(Level.PROBLEM, text, f"{rest.info.next_step} {done}")


def _templates(alias: str) -> Iterator[Finding]:
    templates = MessageTemplate.objects.filter(account=alias).order_by("name")
    active = templates.active()
    if not active.exists():
        yield Finding(
            Level.PROBLEM,
            "Templates: none is active, so nothing can be sent.",
            f"Run wechat_sync_templates --account {alias}, or add one in the admin.",
        )
    else:
        seen = active.filter(synced_at__isnull=False).count()
        yield Finding(Level.OK, f"Templates: {active.count()} active, {seen} seen on WeChat.")
    for template in active.filter(paused_at__isnull=False):
        code = template.pause_errcode
        info = describe(code) if code else None
        yield Finding(
            Level.PROBLEM,
            f"Template {template.name}: paused"
            + (f". {info.cause} (errcode {code})" if info else " by hand."),
            f"{info.next_step if info else ''} Resume it in the admin.".strip(),
        )
    yield from _listed(
        templates.filter(missing_since__isnull=False).values_list("name", flat=True),
        "no longer on WeChat, so switched off",
    )
    yield from _listed(
        active.filter(content_changed_at__isnull=False).values_list("name", flat=True),
        "changed on WeChat: see whether your data still fits",
    )


def _listed(found: Iterable[str], what: str) -> Iterator[Finding]:
    names = list(found)
    if names:
        more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
        yield Finding(Level.NOTE, f"Templates {', '.join(names[:NAMES_SHOWN])}{more}: {what}.")


def _rows(alias: str) -> Iterator[Finding]:
    now = timezone.now()
    logs = SendLog.objects.using(database().alias).filter(account=alias)
    due = logs.waiting().filter(due_at__lte=now)
    oldest = due.order_by("due_at").values_list("due_at", flat=True).first()
    abandoned = logs.filter(
        status=Status.SENDING, claimed_at__lte=now - timedelta(seconds=settings.LEASE)
    ).count()
    if oldest is None:
        yield Finding(Level.OK, "Messages: none is due.")
    else:
        text = f"Messages: {due.count()} due, the oldest for {timesince(oldest, now)}."
        late = now - oldest > LATE and not _held_up(alias)
        yield Finding(Level.PROBLEM, text, START_WORKER) if late else Finding(Level.OK, text)
    if abandoned:
        text = f"Messages: {abandoned} left behind by a worker that died; the next run takes them."
        yield Finding(Level.NOTE, text)
    yield from _not_now(logs, now)


def _held_up(alias: str) -> bool:
    try:
        return Breaker(alias).rest() is not None
    except Exception:  # noqa: BLE001 - a cache that does not answer holds everything up
        return True


def _not_now(logs: SendLogQuerySet, now: datetime) -> Iterator[Finding]:
    """Messages that no worker would take at present."""
    later = logs.waiting().filter(due_at__gt=now).count()
    if later:
        yield Finding(Level.OK, f"Messages: {later} due later, by schedule or to be tried again.")
    parked = logs.waiting().filter(due_at__isnull=True).count()
    if parked:
        yield Finding(
            Level.NOTE,
            f"Messages: {parked} paused with their notification or template.",
            "Resume these in the admin when they may go out.",
        )
    uncertain = logs.filter(status=Status.UNCERTAIN).count()
    if uncertain:
        yield Finding(
            Level.NOTE,
            f"Messages: {uncertain} uncertain: they may have been sent, and nobody can tell.",
            "Look them up in the send log; resend those that matter.",
        )


def _worker(alias: str) -> Finding:
    now, seen = timezone.now(), last_seen(alias)
    if seen is None:
        return Finding(Level.OK, "Worker: wechat_deliver was not seen within a week.")
    ago = timesince(seen, now)
    if now - seen > WORKER_SILENT:
        return Finding(Level.OK, f"Worker: wechat_deliver was last seen {ago} ago.")
    return Finding(Level.OK, "Worker: wechat_deliver is at work.")

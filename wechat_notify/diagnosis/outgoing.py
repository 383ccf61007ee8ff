"""An account's messages: what waits, who sends it, and whether receipts come back."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..account_state import closed_ways
from ..conf import settings
from ..models import Receipt, SendLog, SendLogQuerySet
from ..senders import (
    BACKGROUND,
    TASK,
    WORKER,
    how_to_start,
    last_seen,
    needs_worker,
    seen_lately,
    sends_itself,
    signs_are_shared,
)
from ..sending import database_clock
from ..sending.breaker import Breaker
from .finding import Finding, Level

Status = SendLog.Status

# Messages that are due for longer than this, with nothing that holds them back, say that nobody
# sends them.
LATE = timedelta(minutes=5)
# WeChat reports within seconds; a receipt may never come, but not all of them are lost.
RECEIPT_TAKES = timedelta(hours=1)
NOBODY = gettext_lazy("Nobody sends them.")


def look_at_sender(alias: str) -> Finding:
    """Who was last at work, where the settings rely on somebody.

    A site that sends in the background needs nobody else, and a task queue may have had nothing to
    do. Where nothing is sent without a worker, and none was seen, that is a problem.
    """
    now, worker = timezone.now(), last_seen(alias, WORKER)
    if seen_lately(alias, WORKER):
        return Finding(Level.OK, _("Worker: wechat_deliver is at work."))
    if not signs_are_shared():
        text = _("Worker: not known. A worker's sign of life is in its own cache.")
        return Finding(Level.NOTE, text)
    if not needs_worker():
        return _other_sender(alias)
    if worker is None:
        text = _("Worker: wechat_deliver was not seen within a week.")
    else:
        text = _("Worker: wechat_deliver was last seen %(ago)s ago.")
        text %= {"ago": timesince(worker, now)}
    return Finding(Level.NOTE if sends_itself() else Level.PROBLEM, text, how_to_start())


def _other_sender(alias: str) -> Finding:
    seen = last_seen(alias, BACKGROUND, TASK)
    if seen is None:
        return Finding(Level.NOTE, _("Sender: none was at work within a week."), how_to_start())
    text = _("Sender: last at work %(ago)s ago.") % {"ago": timesince(seen, timezone.now())}
    return Finding(Level.OK, text)


def look_at_messages(alias: str, *, cache_works: bool) -> Iterator[Finding]:
    """How many messages are due, left behind, due later, paused and in doubt."""
    now = timezone.now()
    logs = SendLog.objects.filter(account=alias)
    yield _due(logs, now, held_up=not cache_works or _held_up(alias))
    yield from _left_behind(logs)
    yield from _not_now(logs, now)


def _due(logs: SendLogQuerySet, now: datetime, *, held_up: bool) -> Finding:
    due = logs.waiting().filter(due_at__lte=now)
    oldest = due.order_by("due_at").values_list("due_at", flat=True).first()
    if oldest is None:
        return Finding(Level.OK, _("Messages: none is due."))
    names = {"count": due.count(), "time": timesince(oldest, now)}
    text = _("Messages: %(count)d due, the oldest for %(time)s.") % names
    if now - oldest <= LATE:
        return Finding(Level.OK, text)
    if held_up:
        return Finding(Level.NOTE, text, _("They wait for what holds them up, named above."))
    return Finding(Level.PROBLEM, text, f"{NOBODY} {how_to_start()}")


def _held_up(alias: str) -> bool:
    return Breaker(alias).rest() is not None or bool(closed_ways(alias))


def _left_behind(logs: SendLogQuerySet) -> Iterator[Finding]:
    """Messages that a worker took and has not reported on within the lease."""
    lease_ended = database_clock.now() - timedelta(seconds=settings.LEASE)
    abandoned = logs.filter(status=Status.SENDING, claimed_at__lte=lease_ended)
    count = abandoned.count()
    if not count:
        return
    text = _("Messages: %(count)d left behind by a worker that was stopped.") % {"count": count}
    if abandoned.filter(claimed_at__lte=lease_ended - LATE).exists():
        yield Finding(Level.PROBLEM, text, f"{NOBODY} {how_to_start()}")
    else:
        yield Finding(Level.NOTE, text, _("The next run of a worker takes them."))


def _not_now(logs: SendLogQuerySet, now: datetime) -> Iterator[Finding]:
    """Messages that no worker would take at present."""
    later = logs.waiting().filter(due_at__gt=now).count()
    if later:
        text = _("Messages: %(count)d due later, by schedule or to be tried again.")
        yield Finding(Level.OK, text % {"count": later})
    parked = logs.waiting().filter(due_at__isnull=True).count()
    if parked:
        yield Finding(
            Level.NOTE,
            _("Messages: %(count)d paused with their notification or template.")
            % {"count": parked},
            _("Resume these in the admin when they may go out."),
        )
    # The other counts have tests too: somebody has to send them. Nobody resends one in doubt.
    uncertain = logs.filter(status=Status.UNCERTAIN).without_tests().count()
    if uncertain:
        yield Finding(
            Level.NOTE,
            _("Messages: %(count)d uncertain: they may have been sent, and nobody can tell.")
            % {"count": uncertain},
            _("Look them up in the send log; resend those that matter."),
        )


# -- what comes back --------------------------------------------------------------------------


def look_at_callbacks(alias: str) -> Finding:
    """Whether WeChat's delivery receipts reach the site."""
    if not settings.account(alias).callback_token:
        return Finding(
            Level.NOTE,
            _("Callbacks: not set up. Of no message is it known whether it was delivered."),
            _(
                "Set CALLBACK_TOKEN, and the callback's address at "
                "developers.weixin.qq.com/platform, 基础信息 - 域名与消息推送配置 (before: "
                "mp.weixin.qq.com)."
            ),
        )
    receipts = Receipt.objects.filter(account=alias)
    last = receipts.order_by("-pk").values_list("received_at", flat=True).first()
    look = _(
        "See whether developers.weixin.qq.com/platform, 基础信息 - 域名与消息推送配置 "
        "(before: mp.weixin.qq.com), has the callback's address, switched on."
    )
    if last is None:
        return Finding(Level.NOTE, _("Callbacks: no receipt has come yet."), look)
    now = timezone.now()
    ago = {"ago": timesince(last, now)}
    logs = SendLog.objects.filter(account=alias, status=Status.SENT)
    if logs.filter(sent_at__gt=last, sent_at__lte=now - RECEIPT_TAKES).exists():
        text = _("Callbacks: the last receipt came %(ago)s ago; messages sent since have none.")
        return Finding(Level.NOTE, text % ago, look)
    return Finding(Level.OK, _("Callbacks: the last receipt came %(ago)s ago.") % ago)

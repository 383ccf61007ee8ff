"""Why a message stands as it does: cause, next step, and what WeChat itself said."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..conf import settings
from ..models import MessageTemplate, Notification, SendLog
from ..statistics import USER_BLOCK, Cause
from ..wechat.errors import describe
from .rests import why_at_rest

Status = SendLog.Status

MEANINGS = {
    Status.SENDING: gettext_lazy("A worker is sending it at this moment."),
    Status.SENT: gettext_lazy("WeChat accepted the message. Its receipt has not come yet."),
    Status.DELIVERED: gettext_lazy("The message is on the person's phone."),
    Status.UNCERTAIN: gettext_lazy("WeChat gave no usable answer."),
    Status.EXPIRED: gettext_lazy("It was too late to send it: its time was over."),
    Status.CANCELLED: gettext_lazy("Somebody called it off before it was sent."),
}
TRIED = SendLog.LAST_STEPS[Status.FAILED]
ASK = SendLog.LAST_STEPS[Status.UNCERTAIN]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Plain sentences first, WeChat's own words and its request id last."""

    sentences: list[str]
    words: str = ""
    rid: str = ""


def explain(log: SendLog) -> Explanation:
    """Why this message stands as it does, with everything known about it."""
    sentences = [*_meaning(log), *(_waits_for(log) if log.status == Status.PENDING else ())]
    if log.status == Status.UNDELIVERED:
        return Explanation(sentences, log.receipt_status)
    return Explanation(sentences, log.errmsg, log.rid) if log.errcode else Explanation(sentences)


def in_short(log: SendLog) -> str:
    """Why it did not arrive, or may not have, in a cell of a table; else nothing."""
    if log.status == Status.UNDELIVERED:
        return _undelivered(log.receipt_status)
    return log.explanation


def why_paused(template: MessageTemplate) -> str:
    """Why nothing is sent with this template; empty when it is not paused."""
    if template.paused_at is None:
        return ""
    if template.pause_errcode is None:
        return _("Somebody paused it.")
    return describe(template.pause_errcode).in_words()


def _meaning(log: SendLog) -> Iterator[str]:
    why = in_short(log)
    if why:
        yield why
    elif log.status in MEANINGS:
        yield str(MEANINGS[Status(log.status)])
    if log.status == Status.UNCERTAIN and str(ASK) not in why:
        yield str(ASK)


def _undelivered(receipt: str) -> str:
    # "failed:user block" when the person refuses, anything else for other reasons (WECHAT.md 4).
    if USER_BLOCK in receipt:
        return _("WeChat did not deliver it: the person refuses messages of this account.")
    return _("WeChat accepted the message and did not deliver it. It can be resent.")


def _waits_for(log: SendLog) -> Iterator[str]:
    """What a waiting message waits for, as far as it can be known."""
    held = list(brakes(log.notification))
    yield from held
    if log.due_at is not None and log.due_at > timezone.now():
        when = date_format(timezone.localtime(log.due_at), "DATETIME_FORMAT")
        yield _("It is due at %(time)s.") % {"time": when}
    elif not held:
        yield _("It is due and waits for a worker (manage.py wechat_deliver).")


def brakes(notification: Notification) -> Iterator[str]:
    """What keeps the waiting messages of a notification from going out."""
    account = notification.template.account
    if notification.paused_at is not None:
        yield _("The notification is paused.")
    if why := why_paused(notification.template):
        yield _("The template is paused: %(why)s") % {"why": why}
    if account in settings.aliases and (rest := why_at_rest(account)) is not None:
        yield f"{rest.heading} {rest.reason}"


def cause_in_words(cause: Cause) -> tuple[str, str]:
    """Why these messages did not arrive, and what to do about it; either may be empty."""
    if cause.errcode is not None:
        info = describe(cause.errcode)
        return str(info.cause), _step(cause) or str(info.next_step)
    if cause.status is Status.UNDELIVERED:
        return _undelivered(cause.words), ""
    meaning = str(MEANINGS.get(cause.status, ""))
    return (_(cause.words) if cause.words else meaning), _step(cause)


def _step(cause: Cause) -> str:
    """The next step where it follows from the status rather than from an errcode."""
    if cause.status is Status.UNCERTAIN:
        return str(ASK)
    if cause.can_be_resent:
        return str(TRIED)
    return ""

"""Why a message stands as it does: cause, next step, and what WeChat itself said."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..conf import settings
from ..models import MessageTemplate, SendLog
from ..wechat.errors import describe
from .rests import why_at_rest

Status = SendLog.Status


@dataclass(frozen=True, slots=True)
class Explanation:
    """Plain sentences first, the numbers that WeChat's support asks for last."""

    sentences: list[str]
    errcode: int | None = None
    errmsg: str = ""
    rid: str = ""


def explain(log: SendLog) -> Explanation:
    """Why this message stands as it does, with everything known about it."""
    sentences = [*_meaning(log), *(_holds(log) if log.status == Status.PENDING else ())]
    if not log.errcode:
        return Explanation(sentences)
    return Explanation(sentences, log.errcode, log.errmsg, log.rid)


def why_paused(template: MessageTemplate) -> str:
    """Why nothing is sent with this template; empty when it is not paused."""
    if template.paused_at is None:
        return ""
    if template.pause_errcode is None:
        return _("Paused.")
    info = describe(template.pause_errcode)
    return f"{info.cause} {info.next_step} (errcode {template.pause_errcode})"


def reason(log: SendLog) -> str:
    """What went wrong, in one sentence; empty where WeChat said "ok" (errcode 0) or nothing."""
    return "" if log.errcode == 0 else log.explanation


def _meaning(log: SendLog) -> Iterator[str]:
    if why := reason(log):
        yield why
    elif log.status == Status.SENT:
        yield _("WeChat accepted the message. Its receipt has not come yet.")
    elif log.status == Status.DELIVERED:
        yield _("The message is on the person's phone.")
    elif log.status == Status.EXPIRED:
        yield _("It was too late to send it: its time was over.")
    elif log.status == Status.CANCELLED:
        yield _("Somebody called it off before it was sent.")
    if log.status == Status.UNCERTAIN:
        yield _("It may have arrived: no usable answer came back. Ask the person, then resend it.")


def _holds(log: SendLog) -> Iterator[str]:
    """What a waiting message waits for, as far as it can be known."""
    notification, held = log.notification, False
    if notification.paused_at is not None:
        held = True
        yield _("The notification is paused.")
    if why := why_paused(notification.template):
        held = True
        yield _("The template is paused.") + f" {why}"
    if log.account in settings.aliases and (rest := why_at_rest(log.account)) is not None:
        held = True
        yield f"{rest.heading} {rest.reason}"
    if log.due_at is not None and log.due_at > timezone.now():
        when = date_format(timezone.localtime(log.due_at), "DATETIME_FORMAT")
        yield _("It is due at %(time)s.") % {"time": when}
    elif not held:
        yield _("It is due and waits for a worker (manage.py wechat_deliver).")

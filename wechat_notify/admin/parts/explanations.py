"""Why a message has its status: cause, next step, and what WeChat itself said."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...conf import settings
from ...dry_run import NOT_BOUND, NOT_FOLLOWING, UNBOUND
from ...mended import REFUSES
from ...models import Approval, MessageTemplate, Notification, SendLog
from ...senders import how_to_start, overdue_since
from ...statistics import USER_BLOCK, Cause
from ...wechat.errors import Treatment, describe
from .account_rests import why_at_rest

Status = SendLog.Status

MEANINGS = {
    Status.SENDING: gettext_lazy("A worker is sending it at this moment."),
    Status.SENT: gettext_lazy("WeChat accepted the message. Its receipt has not come yet."),
    Status.DELIVERED: gettext_lazy("The message is on the person's phone."),
    Status.UNCERTAIN: gettext_lazy("WeChat gave no usable answer."),
    Status.EXPIRED: gettext_lazy("It expired before it could be sent."),
    Status.CANCELLED: gettext_lazy("Somebody cancelled it before it was sent."),
}
# An answer without msgid (docs/wechat-api.md, 12.6).
UNDER_REVIEW = gettext_lazy(
    "WeChat took the message and is reviewing it: it gave no message number. The receipt will say "
    "what became of it."
)
INVITE = {
    NOT_BOUND: gettext_lazy("Invite them to bind WeChat."),
    UNBOUND: gettext_lazy("Invite them to bind WeChat."),
    NOT_FOLLOWING: gettext_lazy("Invite them to follow the account."),
}
"""What to do about people who are skipped for one of these reasons."""
TRIED = SendLog.LAST_STEPS[Status.FAILED]
ASK = SendLog.LAST_STEPS[Status.UNCERTAIN]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Plain sentences first, WeChat's own words and its request id last."""

    sentences: list[str]
    words: str = ""
    rid: str = ""


def explain(log: SendLog) -> Explanation:
    """Why this message has its status, with everything known about it."""
    sentences = [*_meaning(log), *(_waits_for(log) if log.status == Status.PENDING else ())]
    if log.status == Status.UNDELIVERED:
        return Explanation(sentences, log.receipt_status)
    return Explanation(sentences, log.errmsg, log.rid) if log.errcode else Explanation(sentences)


def in_short(log: SendLog) -> str:
    """Why it did not or may not have arrived, for a cell of a table; else ""."""
    if log.status == Status.UNDELIVERED:
        return _undelivered(log.receipt_status)
    return log.explanation


def needs_invitation(errcode: int | None, words: str) -> bool:
    """Whether a message did not arrive because its person has not bound WeChat or does not follow.

    ``words`` is the app's own reason; WeChat's ``errcode`` goes before it.
    """
    if errcode:
        return describe(errcode).treatment is Treatment.PERSON
    return words in INVITE


def why_paused(template: MessageTemplate) -> str:
    """Why nothing is sent with this template; empty when it is not paused."""
    if template.paused_at is None:
        return ""
    if template.pause_errcode is None:
        return _("Somebody paused it.")
    words = describe(template.pause_errcode).in_words()
    return f"{words} {template.listed_in_words}" if template.listed_in_words else words


def why_waits(template: MessageTemplate) -> str:
    """Why messages of this template wait; empty when they leave, perhaps with its stand-in."""
    if not template.rests:
        return ""
    return why_paused(template) or _("Somebody switched it off.")


def stand_in_used(template: MessageTemplate) -> str:
    """That its messages leave with the stand-in at present; else empty."""
    used = template.sends_with()
    if used is None or used.pk == template.pk:
        return ""
    names = {"title": used, "name": used.name}
    return _("Its messages leave with its stand-in, %(title)s (%(name)s).") % names


def _meaning(log: SendLog) -> Iterator[str]:
    why = in_short(log)
    if why:
        yield why
    elif log.is_under_review:
        yield str(UNDER_REVIEW)
    elif log.status in MEANINGS:
        yield str(MEANINGS[Status(log.status)])
    if log.status == Status.UNCERTAIN and str(ASK) not in why:
        yield str(ASK)
    if log.status == Status.SKIPPED and log.errmsg in INVITE:
        yield str(INVITE[log.errmsg])
    if log.status == Status.UNDELIVERED and USER_BLOCK in log.receipt_status:
        yield str(REFUSES)


def _undelivered(receipt: str) -> str:
    # "failed:user block" when the person refuses, anything else for other reasons
    # (docs/wechat-api.md, 4).
    if USER_BLOCK in receipt:
        return _("WeChat did not deliver it: the person refuses messages of this account.")
    return _("WeChat accepted the message and did not deliver it. It can be resent.")


def _waits_for(log: SendLog) -> Iterator[str]:
    """What a waiting message waits for, as far as it is known."""
    held = list(holdups(log.notification))
    yield from held
    if log.due_at is not None and log.due_at > timezone.now():
        when = date_format(timezone.localtime(log.due_at), "DATETIME_FORMAT")
        yield _("It is due at %(time)s.") % {"time": when}
    elif not held:
        yield _("It is due, and will be sent soon.")


def holdups(notification: Notification, *, but_approval: bool = False) -> Iterator[str]:
    """What prevents the waiting messages of a notification from being sent.

    ``but_approval``: what else, beside a second person's approval.
    """
    account = notification.template.account
    held = notification.held_at is not None and not but_approval
    for approval in Approval.objects.filter(notification=notification, decision="") if held else ():
        when = date_format(timezone.localtime(approval.asked_at), "DATETIME_FORMAT")
        names = {"name": approval.asker, "time": when}
        text = _("Asked for by %(name)s at %(time)s: it waits for a second person’s approval.")
        yield text % names
    if notification.paused_at is not None:
        yield _("The notification is paused.")
    if why := why_waits(notification.template):
        yield _("The template is paused: %(why)s") % {"why": why}
    if account not in settings.aliases:
        return
    if (rest := why_at_rest(account)) is not None:
        yield str(rest)
    elif (since := overdue_since(account, notification)) is not None:
        when = date_format(timezone.localtime(since), "DATETIME_FORMAT")
        yield _("Overdue since %(time)s: no sender is running.") % {"time": when}
        yield how_to_start()


def cause_in_words(cause: Cause) -> tuple[str, str]:
    """Why these messages did not arrive, and what to do about it; either may be empty."""
    if cause.errcode is not None:
        info = describe(cause.errcode)
        return str(info.cause), _step(cause) or str(info.next_step)
    if cause.status is Status.UNDELIVERED:
        return _undelivered(cause.words), str(REFUSES) if USER_BLOCK in cause.words else ""
    meaning = str(MEANINGS.get(cause.status, ""))
    return (_(cause.words) if cause.words else meaning), _step(cause)


def _step(cause: Cause) -> str:
    """The next step where it depends on the status and not on the errcode; else ""."""
    if cause.status is Status.UNCERTAIN:
        return str(ASK)
    if cause.passes:
        return str(TRIED)
    return str(INVITE.get(cause.words, ""))

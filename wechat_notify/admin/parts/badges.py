"""Small coloured labels. The colour says nothing that the text does not say."""

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...models import Notification, SendLog
from ...notification_state import State
from ...wechat.errors import Words

Status = SendLog.Status

TONES = {
    Status.PENDING: "waiting",
    Status.SENDING: "waiting",
    Status.SENT: "accepted",
    Status.DELIVERED: "good",
    Status.UNDELIVERED: "bad",
    Status.FAILED: "bad",
    Status.UNCERTAIN: "doubt",
    Status.SKIPPED: "quiet",
    Status.EXPIRED: "quiet",
    Status.CANCELLED: "quiet",
}

STATE_TONES = {
    State.CANCELLED: "quiet",
    State.DONE: "good",
    State.AWAITS_APPROVAL: "doubt",
    State.PAUSED: "doubt",
    State.WAITS_FOR_TEMPLATE: "doubt",
    State.SCHEDULED: "waiting",
    State.AT_REST: "doubt",
    State.OVERDUE: "bad",
    State.SENDING: "accepted",
}


def badge(text: Words, tone: str) -> SafeString:
    """``text`` as a label. Tones: waiting, accepted, good, bad, doubt, quiet (see admin.css)."""
    return format_html('<span class="wechat-badge wechat-badge--{}">{}</span>', tone, text)


def status_badge(status: str) -> SafeString:
    """The label of one send-log status."""
    known = Status(status)
    return badge(known.label, TONES[known])


def with_test_mark(shown: SafeString | str, notification: Notification) -> SafeString:
    """``shown``, and beside it a label if the notification is a test."""
    mark = (badge(_("test"), "quiet"),) if notification.is_test else ()
    return format_html_join(" ", "{}", ((part,) for part in (shown, *mark)))


def state_badge(state: State) -> SafeString:
    """The label of a notification's state."""
    return badge(state.label, STATE_TONES[state])

"""Small coloured labels. The colour repeats what the words say; it never says more."""

from django.utils.html import format_html
from django.utils.safestring import SafeString

from ..models import SendLog
from ..wechat.errors import Words

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


def badge(text: Words, tone: str) -> SafeString:
    """``text`` as a label. Tones: waiting, accepted, good, bad, doubt, quiet (see admin.css)."""
    return format_html('<span class="wechat-badge wechat-badge--{}">{}</span>', tone, text)


def status_badge(status: str) -> SafeString:
    """The label of one send-log status."""
    known = Status(status)
    return badge(known.label, TONES[known])

"""The send log as a table for the terminal."""

import unicodedata
from collections.abc import Iterable, Sequence

from django.utils.translation import gettext as _

from wechat_notify.models import Notification


def send_log(notification: Notification) -> str:
    """Who, template, status, msgid, ms and, where there is something to say, why.

    The milliseconds are those from notify() until WeChat accepted the message.
    """
    rows: list[Sequence[str]] = [
        (_("who"), _("template"), _("status"), "msgid", "ms", _("why")),
    ]
    for log in notification.logs.select_related("user").order_by("pk"):
        took = (log.sent_at - notification.created_at).total_seconds() if log.sent_at else None
        rows.append(
            (
                log.user.get_full_name() if log.user else "",
                str(notification.template),
                log.get_status_display(),
                str(log.msgid or ""),
                "" if took is None else f"{took * 1000:.0f}",
                "" if log.msgid else log.explanation,
            )
        )
    return table(rows)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, the first row set off from the others."""
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = [line(row, widths) for row in rows]
    lines.insert(1, "  ".join("─" * size for size in widths))
    return "\n".join(lines)


def line(row: Iterable[str], widths: Iterable[int]) -> str:
    cells = (cell + " " * (size - width(cell)) for cell, size in zip(row, widths, strict=True))
    return "  ".join(cells).rstrip()


def width(text: str) -> int:
    """Columns in a terminal: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)

"""A notification's messages as a CSV file, for a spreadsheet."""

import csv
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from ...models import Notification, SendLog, SendLogQuerySet, pages_by_key
from ..base import BaseAdmin, Button, page
from ..parts.send_log_columns import columns
from ..permissions import may_see_openids, may_see_send_log

CHUNK = 2000
# Without it a spreadsheet assumes its own old encoding, and shows no Chinese.
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet calculates a cell that begins like this, and people choose their own names.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
# It writes a longer number as 2.92E+18, and forgets all digits after the fifteenth: a msgid has 19.
DIGITS_KEPT = 11


class ExportMixin(BaseAdmin):
    """Adds the file to a notification's page, for users who may see the send log."""

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        allowed = may_see_send_log(request)
        own = [Button(_("Download CSV"), self.url("csv", obj.pk))] if allowed else []
        return super().object_buttons(request, obj) + own

    @page("<path:object_id>/csv/", "csv")
    def _csv_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        notification: Notification = self.find(
            request, object_id, allowed=may_see_send_log(request)
        )
        logs = SendLog.objects.filter(notification=notification)
        lines = _lines(logs, translation.get_language(), whole=may_see_openids(request))
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        file_name = f"notification-{notification.pk}.csv"
        response["Content-Disposition"] = f'attachment; filename="{file_name}"'
        return response


class _Echo:
    """A file for ``csv`` that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line


def _lines(logs: SendLogQuerySet, language: str | None, *, whole: bool) -> Iterator[str]:
    # The lines are made after the view has returned, when its language is no longer active.
    with translation.override(language):
        writer = csv.writer(_Echo())
        shown = [(one.heading, one.text) for one in columns(whole=whole) if one.text is not None]
        yield BYTE_ORDER_MARK + writer.writerow([heading for heading, _text in shown])
        rows = logs.select_related("user", "notification__template")
        for log in chain.from_iterable(pages_by_key(rows, CHUNK)):
            yield writer.writerow([_cell(text(log)) for _heading, text in shown])


def _cell(value: Any) -> Any:
    """A value as a spreadsheet reads it. A text that it would calculate gets an apostrophe, and a
    long number a tab, which makes it a text.
    """
    if value is None:
        return value
    if isinstance(value, datetime):
        return timezone.localtime(value).strftime("%Y-%m-%d %H:%M:%S")
    text = str(value)
    if text.isdecimal() and len(text) > DIGITS_KEPT:
        return f"\t{text}"
    if isinstance(value, int):
        return value
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text

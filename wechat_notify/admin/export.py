"""A notification's messages as a CSV file, for a spreadsheet."""

import csv
from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.urls import URLPattern, path
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from ..models import Notification, SendLog, SendLogQuerySet
from .base import BaseAdmin, Button, may_see_openids
from .explanations import in_short
from .people import shown_openid

SEE_LOG = "wechat_notify.view_sendlog"

CHUNK = 2000
# Without it a spreadsheet takes the file for its own old encoding, and shows no Chinese.
BYTE_ORDER_MARK = "\ufeff"
# A spreadsheet takes a cell that begins so for a formula, and people choose their own names.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")


class ExportMixin(BaseAdmin):
    """Adds the file to a notification's page, for those who may see the send log."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self._csv_view)
        name = f"{self.opts.app_label}_{self.opts.model_name}_csv"
        return [path("<path:object_id>/csv/", view, name=name), *super().get_urls()]

    def object_buttons(self, request: HttpRequest, obj: Any) -> list[Button]:
        allowed = request.user.has_perm(SEE_LOG)
        own = [Button(_("Download CSV"), self.url("csv", obj.pk))] if allowed else []
        return super().object_buttons(request, obj) + own

    def _csv_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        notification: Notification = self.find(request, object_id, SEE_LOG)
        logs = SendLog.objects.filter(notification=notification)
        lines = _lines(logs, translation.get_language(), whole=may_see_openids(request))
        response = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
        file_name = f"notification-{notification.pk}.csv"
        response["Content-Disposition"] = f'attachment; filename="{file_name}"'
        return response


class _Echo:
    """A file for csv that hands each line back."""

    def write(self, line: str) -> str:
        return line


def _lines(logs: SendLogQuerySet, language: str | None, *, whole: bool) -> Iterator[str]:
    # They are made after the view has returned, when its language is no longer active.
    with translation.override(language):
        writer = csv.writer(_Echo())
        yield BYTE_ORDER_MARK + writer.writerow(_header())
        rows = logs.select_related("user", "notification__template").order_by("pk")
        for log in rows.iterator(chunk_size=CHUNK):
            yield writer.writerow([_harmless(cell) for cell in _cells(log, whole=whole)])


def _header() -> list[str]:
    return [
        _("Number"),
        _("Recipient"),
        "openid",
        _("Status"),
        _("Explanation"),
        "errcode",
        "msgid",
        "rid",
        _("Attempts"),
        _("Sent at"),
        _("Receipt at"),
        _("Receipt"),
    ]


def _cells(log: SendLog, *, whole: bool) -> list[Any]:
    return [
        log.pk,
        log.user or "",
        shown_openid(log.openid, whole=whole) if log.openid else "",
        log.get_status_display(),
        in_short(log),
        "" if log.errcode is None else log.errcode,
        "" if log.msgid is None else log.msgid,
        log.rid,
        log.attempts,
        _moment(log.sent_at),
        _moment(log.receipt_at),
        log.receipt_status,
    ]


def _moment(when: Any) -> str:
    return "" if when is None else timezone.localtime(when).strftime("%Y-%m-%d %H:%M:%S")


def _harmless(cell: Any) -> Any:
    """The cell as data: one that a spreadsheet would calculate gets an apostrophe in front."""
    if isinstance(cell, int):
        return cell
    text = str(cell)
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA_STARTS) else text

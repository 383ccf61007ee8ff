"""A notification's messages as a CSV file, for a spreadsheet."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.translation import gettext as _

from ...models import Notification, SendLog, SendLogQuerySet, pages_by_key
from ..base import BaseAdmin, Button, page
from ..parts.csv_file import csv_response
from ..parts.send_log_columns import columns
from ..permissions import may_see_openids, may_see_send_log

CHUNK = 2000


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
        shown = [
            (one.heading, one.text)
            for one in columns(whole=may_see_openids(request))
            if one.text is not None
        ]
        rows = ([text(log) for _heading, text in shown] for log in _all(logs))
        file_name = f"notification-{notification.pk}.csv"
        return csv_response(file_name, [heading for heading, _text in shown], rows)


def _all(logs: SendLogQuerySet) -> Iterator[SendLog]:
    rows = logs.select_related("user", "notification__template")
    return chain.from_iterable(pages_by_key(rows, CHUNK))

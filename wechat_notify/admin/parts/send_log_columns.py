"""The columns of the send log: one list, from which its pages and the CSV file are made.

A new column is one more entry of ``COLUMNS``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any

from django.contrib import admin
from django.contrib.admin import AdminSite
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ...models import SendLog
from ...names import account_name
from ...wechat.errors import Words
from .badges import status_badge, with_test_mark
from .cards import log_card
from .explanations import explain, in_short
from .links import link, object_link, object_url
from .people import WHO, shown_name, shown_openid, who
from .timeline import moments

TOP, HAPPENED, MESSAGE, DETAILS = "", _("What happened"), _("Message"), _("Details")
"""The sections of one message's page."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``on_list``, in a ``section`` of one message's page, or in the file, or in each.

    ``html`` is what the pages show; without it, the model's field of this ``name``. ``text`` is
    what the file says. ``whole`` is for those who may see openids (True) or may not (False).
    """

    name: str
    label: Any
    html: Callable[[AdminSite, SendLog], Any] | None = None
    text: Callable[[SendLog], Any] | None = None
    on_list: bool = False
    section: Words | None = None
    whole: bool | None = None

    @property
    def heading(self) -> str:
        """Of the file's column."""
        return self.label if isinstance(self.label, str) else capfirst(str(self.label))

    def method(self, site: AdminSite) -> Callable[[SendLog], Any]:
        """What Django's admin takes for a column that is no field."""

        @admin.display(description=self.label)
        def shown(log: SendLog) -> Any:
            return self.html(site, log) if self.html is not None else None

        return shown


def columns(*, whole: bool) -> Iterator[Column]:
    """The columns for somebody who sees openids whole, or masked."""
    return (column for column in COLUMNS if column.whole in (None, whole))


def fieldsets(*, whole: bool) -> list[tuple[Words | None, dict[str, Any]]]:
    """One message's page, as Django's admin takes it."""
    found = list(columns(whole=whole))
    return [
        (section or None, {"fields": [one.name for one in found if one.section == section]})
        for section in (TOP, HAPPENED, MESSAGE, DETAILS)
    ]


def _recipient(log: SendLog) -> str:
    return "" if log.user is None else shown_name(log.user)


def _why(site: AdminSite, log: SendLog) -> SafeString:
    return render_to_string("wechat_notify/admin/explanation.html", {"explanation": explain(log)})


def _template(site: AdminSite, log: SendLog) -> SafeString:
    return with_test_mark(str(log.notification.template), log.notification)


def _notification(site: AdminSite, log: SendLog) -> SafeString:
    return with_test_mark(object_link(site, log.notification), log.notification)


def _timeline(site: AdminSite, log: SendLog) -> SafeString:
    context = {"moments": moments(log)}
    return render_to_string("wechat_notify/admin/timeline.html", context)


def _resends(site: AdminSite, log: SendLog) -> SafeString:
    rows = [(_("resend of"), log.resend_of)] if log.resend_of else []
    rows += [(_("resent as"), one) for one in log.resends.order_by("pk")]
    parts = (
        (what, link(object_url(site, row), f"#{row.pk}"), status_badge(row.status))
        for what, row in rows
    )
    return format_html_join("", "<div>{}: {} {}</div>", parts) or SafeString("-")


def _when(site: AdminSite, log: SendLog) -> datetime | str | None:
    """When it was sent or ended; of a message that waits, for when it is planned."""
    if log.status != SendLog.Status.PENDING:
        return log.sent_at or log.finished_at
    if log.due_at is None:
        return None
    when = date_format(timezone.localtime(log.due_at), "DATETIME_FORMAT")
    return gettext("planned for %(time)s") % {"time": when}


def _msgid(site: AdminSite, log: SendLog) -> str:
    """As WeChat gave it and the search takes it, without separators between thousands."""
    return "-" if log.msgid is None else str(log.msgid)


def _field(name: str, **shown: Any) -> Column:
    """A column that shows a field of the model as it is, on one message's page or in the file."""
    field: Any = SendLog._meta.get_field(name)
    return Column(name, field.verbose_name, **shown)


def _who(name: str, *, whole: bool) -> Column:
    """The recipient, for those who see openids whole, or for the others."""
    return Column(
        name,
        WHO,
        html=lambda site, log: who(log, whole=whole),
        text=_recipient,
        on_list=True,
        section=TOP,
        whole=whole,
    )


COLUMNS = (
    Column("number", _("Number"), text=attrgetter("pk")),
    _who("who_with_openid", whole=True),
    _who("who_masked", whole=False),
    Column("whole_openid", "openid", text=attrgetter("openid"), whole=True),
    Column(
        "masked_openid",
        "openid",
        text=lambda log: shown_openid(log.openid, whole=False) if log.openid else "",
        whole=False,
    ),
    Column(
        "state",
        _("status"),
        html=lambda site, log: status_badge(log.status),
        text=SendLog.get_status_display,
        on_list=True,
        section=HAPPENED,
    ),
    Column(
        "explanation",
        _("explanation"),
        html=lambda site, log: in_short(log),
        text=in_short,
        on_list=True,
    ),
    Column("why", _("explanation"), html=_why, section=HAPPENED),
    Column("timeline", _("time line"), html=_timeline, section=HAPPENED),
    Column("chain", _("resends"), html=_resends, section=HAPPENED),
    Column(
        "template",
        _("template"),
        html=_template,
        on_list=True,
    ),
    Column(
        "template_link",
        _("template"),
        html=lambda site, log: object_link(site, log.notification.template),
        section=TOP,
    ),
    Column(
        "notification_link",
        _("notification"),
        html=_notification,
        section=TOP,
    ),
    Column("when", _("time"), html=_when, on_list=True),
    Column("card", _("card"), html=lambda site, log: log_card(log), section=MESSAGE),
    Column(
        "account_name",
        _("account"),
        html=lambda site, log: account_name(log.account),
        section=DETAILS,
    ),
    Column(
        "answer",
        _("error code"),
        html=lambda site, log: str(log.errcode) if log.errcode else "-",
        text=attrgetter("errcode"),
        section=DETAILS,
    ),
    Column(
        "message_id",
        _("message number (msgid)"),
        html=_msgid,
        text=attrgetter("msgid"),
        section=DETAILS,
    ),
    Column(
        "request_id",
        _("request number (rid)"),
        html=lambda site, log: log.rid or "-",
        text=attrgetter("rid"),
        section=DETAILS,
    ),
    _field("priority", text=SendLog.get_priority_display, section=DETAILS),
    _field("attempts", text=attrgetter("attempts"), section=DETAILS),
    _field("due_at", section=DETAILS),
    _field("sent_at", text=attrgetter("sent_at"), section=DETAILS),
    _field("finished_at", text=attrgetter("finished_at"), section=DETAILS),
    _field("receipt_at", text=attrgetter("receipt_at"), section=DETAILS),
    _field("receipt_status", text=attrgetter("receipt_status")),
)

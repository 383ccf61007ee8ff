"""The rows: who has which openid, which templates there are, what was asked, what happened.

Models know no network. What one row means stands in its docstring; the order in which rows are
written is decided in ``services``, ``writing``, ``sending`` and ``receipts``. One module below
imports another only where a row points to the other's, and ``exact`` for a kind of column of our
own.
"""

from .alert import Alert, AlertMail, AlertQuerySet
from .approval import REASON_LENGTH, Approval, ApprovalRequest, person_fields
from .database import (
    DATABASE_TROUBLE,
    close_old_connections,
    database,
    read_past_snapshot,
    repeats_on_conflict,
)
from .menu_entries import ApprovalsPage, ComposePage, DashboardPage
from .message_template import REVISED, MessageTemplate, MessageTemplateQuerySet
from .notification import Notification
from .notification_title import TITLE_LENGTH, as_title, folded, title_of
from .openid_binding import (
    BindingChange,
    BindingRequest,
    BindingRequestQuerySet,
    OpenIDBinding,
    OpenIDBindingQuerySet,
)
from .reading import pages_by_key
from .receipt import Receipt
from .recipient_filter import RecipientFilter
from .saved_draft import Draft
from .sendlog import ERRMSG_LENGTH, RID_LENGTH, SendLog, SendLogQuerySet
from .template_revision import TemplateRevision
from .trigger_failure import TriggerFailure, last_of_each
from .unindexed import Unindexed

__all__ = [
    "DATABASE_TROUBLE",
    "ERRMSG_LENGTH",
    "REASON_LENGTH",
    "REVISED",
    "RID_LENGTH",
    "TITLE_LENGTH",
    "Alert",
    "AlertMail",
    "AlertQuerySet",
    "Approval",
    "ApprovalRequest",
    "ApprovalsPage",
    "BindingChange",
    "BindingRequest",
    "BindingRequestQuerySet",
    "ComposePage",
    "DashboardPage",
    "Draft",
    "MessageTemplate",
    "MessageTemplateQuerySet",
    "Notification",
    "OpenIDBinding",
    "OpenIDBindingQuerySet",
    "Receipt",
    "RecipientFilter",
    "SendLog",
    "SendLogQuerySet",
    "TemplateRevision",
    "TriggerFailure",
    "Unindexed",
    "as_title",
    "close_old_connections",
    "database",
    "folded",
    "last_of_each",
    "pages_by_key",
    "person_fields",
    "read_past_snapshot",
    "repeats_on_conflict",
    "title_of",
]

"""The rows: who has which openid, which templates there are, what was asked, what happened.

Models know no network. What one row means stands in its docstring; the order in which rows are
written is the business of ``services`` and ``delivery``. One module below imports another only
where a row points to the other's, and ``exact`` for a kind of column of our own.
"""

from .bindings import (
    OPENID_LENGTH,
    BindingChange,
    BindingRequest,
    BindingRequestQuerySet,
    OpenIDBinding,
    OpenIDBindingQuerySet,
)
from .notifications import Notification
from .receipts import Receipt
from .recipients import RecipientFilter
from .sendlog import SendLog, SendLogQuerySet
from .templates import MessageTemplate, MessageTemplateQuerySet

__all__ = [
    "OPENID_LENGTH",
    "BindingChange",
    "BindingRequest",
    "BindingRequestQuerySet",
    "MessageTemplate",
    "MessageTemplateQuerySet",
    "Notification",
    "OpenIDBinding",
    "OpenIDBindingQuerySet",
    "Receipt",
    "RecipientFilter",
    "SendLog",
    "SendLogQuerySet",
]

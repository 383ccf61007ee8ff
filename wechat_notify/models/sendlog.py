"""What happened to each message: the send log and the outbox in one."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..names import name_of
from ..wechat import fields as template_fields
from ..wechat import naming
from ..wechat.errors import describe
from ..wechat.masking import mask_openid
from ..wechat.openids import OPENID_LENGTH
from .exact import ExactCharField
from .notification import Notification
from .openid_binding import ALIAS_LENGTH, OpenIDBinding
from .reading import WrittenManager
from .template_revision import TemplateRevision
from .unindexed import Unindexed

ERRMSG_LENGTH = 500
RID_LENGTH = 64


class SendLogQuerySet(models.QuerySet["SendLog"]):
    def counts(self) -> dict[str, int]:
        """{status: number of rows}, every status present."""
        found = dict(self.order_by().values_list("status").annotate(n=models.Count("pk")))
        return {status: found.get(status, 0) for status in SendLog.Status.values}

    def final(self) -> "SendLogQuerySet":
        """Rows that will not be sent any more."""
        return self.exclude(status__in=SendLog.OPEN)

    def without_tests(self) -> "SendLogQuerySet":
        """Without test messages, for statistics."""
        return self.filter(notification__is_test=False)

    def waiting(self) -> "SendLogQuerySet":
        return self.filter(status=SendLog.Status.PENDING)

    def having(self, status: "SendLog.Status") -> "SendLogQuerySet":
        """Those with this status, of rows that are found by their keys."""
        return self.alias(state=Unindexed("status")).filter(state=status)

    def not_left(self) -> "SendLogQuerySet":
        """Waiting rows of which no attempt may have arrived."""
        return self.waiting().filter(in_doubt_since__isnull=True)


class SendLog(models.Model):
    """One message to one recipient: the send log and the outbox in one.

    What all recipients share is stored on the notification only. ``data`` holds the fields that
    differ for this recipient; they replace those of the notification.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("accepted by WeChat")
        DELIVERED = "delivered", _("delivered")
        UNDELIVERED = "undelivered", _("not delivered")
        FAILED = "failed", _("failed")
        UNCERTAIN = "uncertain", _("uncertain")
        SKIPPED = "skipped", _("skipped")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    OPEN = (Status.PENDING, Status.SENDING)

    LAST_STEPS = {
        Status.FAILED: _("It was tried as often as the settings allow. It can be resent."),
        Status.UNCERTAIN: _(
            "It may have arrived. Ask the person whether it came; if not, resend it."
        ),
    }
    """What to do about a message that is not tried again."""

    notification = models.ForeignKey(
        Notification,
        verbose_name=_("notification"),
        on_delete=models.PROTECT,
        related_name="logs",
        db_index=False,
    )
    # The template's account, repeated here so that one index finds an account's due rows.
    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="wechat_messages",
    )
    binding = models.ForeignKey(
        OpenIDBinding,
        verbose_name=_("binding"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="logs",
    )
    openid = ExactCharField("openid", max_length=OPENID_LENGTH, blank=True, default="")
    data = models.JSONField(_("own data"), null=True, blank=True)
    # The template as the message left with it, written when its first attempt begins. No constraint
    # and no index in the database, as in ``Notification``.
    revision = models.ForeignKey(
        TemplateRevision,
        verbose_name=_("revision"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="+",
    )
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.PENDING
    )
    # The notification's, repeated here for the same index. The default is the database's too:
    # workers of the version before write rows without it.
    priority = models.SmallIntegerField(
        _("priority"),
        choices=Notification.Priority.choices,
        default=Notification.Priority.NORMAL,
        db_default=Notification.Priority.NORMAL,
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(
        _("due at"),
        null=True,
        blank=True,
        help_text=_("Empty for a waiting message that is paused."),
    )
    claimed_at = models.DateTimeField(_("taken by a worker at"), null=True, blank=True)
    in_doubt_since = models.DateTimeField(
        _("in doubt since"),
        null=True,
        blank=True,
        help_text=_("The first attempt that may have reached WeChat without our knowing."),
    )
    errcode = models.IntegerField("errcode", null=True, blank=True)
    errmsg = models.CharField("errmsg", max_length=ERRMSG_LENGTH, blank=True, default="")
    rid = models.CharField("rid", max_length=RID_LENGTH, blank=True, default="")
    msgid = models.BigIntegerField("msgid", null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    # When the app was done with the row: it left ``OPEN``, and from then on nothing more happens to
    # it by itself. What a receipt says later has ``receipt_at``. NULL while it is open, and in rows
    # that an older version has ended.
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)
    receipt_at = models.DateTimeField(_("receipt at"), null=True, blank=True)
    receipt_status = models.CharField(
        _("receipt"),
        max_length=64,
        blank=True,
        default="",
        help_text=_("WeChat's own words, such as “failed:user block”."),
    )
    resend_of = models.ForeignKey(
        "self",
        verbose_name=_("resend of"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="resends",
    )

    objects = WrittenManager.from_queryset(SendLogQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("send log")
        verbose_name_plural = _("send log")
        indexes = [
            # Due rows, for claims and sweeps. Not partial: MariaDB and MySQL have no such index.
            # Claims go priority by priority, in the order of due_at. A notification's rows are due
            # at one time, so with its key at the end the next notification is found at once.
            models.Index(
                fields=["status", "account", "priority", "due_at", "notification"],
                name="wechat_notify_log_due",
            ),
            # One notification's counts, its due rows in order, and the foreign key.
            models.Index(
                fields=["notification", "status", "due_at"], name="wechat_notify_log_counts"
            ),
            # Receipts are matched by msgid, or else by openid.
            models.Index(fields=["msgid"], name="wechat_notify_log_msgid"),
            models.Index(fields=["openid"], name="wechat_notify_log_openid"),
        ]
        permissions = [("resend_sendlog", "Can resend messages")]

    def __str__(self) -> str:
        who = name_of(self.user) if self.user_id else mask_openid(self.openid)
        return f"{who} · {self.get_status_display()}"

    @cached_property
    def merged_data(self) -> dict[str, Any]:
        """The data that this recipient gets: the notification's, replaced by this row's own."""
        return {**self.notification.data, **(self.data or {})}

    @property
    def is_under_review(self) -> bool:
        """Whether WeChat took it without a msgid, and nothing more is known.

        Such a message is being reviewed (docs/wechat-api.md, 12.6).
        """
        return self.status == self.Status.SENT and self.msgid is None and self.errcode == 0

    @property
    def explanation(self) -> str:
        """The reason for its status, in words and with the errcode at the end; may be empty."""
        if self.errcode:
            info = describe(self.errcode)
            # The usual next step, "It is tried again by itself", is true for open rows only.
            instead = self.LAST_STEPS.get(self.Status(self.status)) if info.passes else None
            return info.in_words(instead)
        if self.errcode == 0:
            return ""
        return gettext(self.errmsg) if self.errmsg else ""

    @property
    def card(self) -> template_fields.Card:
        """The card as this recipient sees it.

        As it left; while it waits, as it would leave now; if it was never sent, as it was written.
        """
        notification = self.notification
        written = notification.revision
        now = notification.leaves_with if self.status in self.OPEN else written
        left = self.revision or now or notification.template
        wire = naming.to_keys(self.merged_data, naming.keys_of(self.merged_data, written, left))
        return template_fields.card(left.title, left.content, wire)

"""What happened to each message: the send log and the outbox in one."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..wechat import fields as template_fields
from ..wechat.errors import describe
from ..wechat.masking import mask_openid
from .bindings import ALIAS_LENGTH, OPENID_LENGTH, OpenIDBinding
from .exact import ExactCharField
from .notifications import Notification


class SendLogQuerySet(models.QuerySet["SendLog"]):
    def counts(self) -> dict[str, int]:
        """{status: number of rows}, every status present."""
        found = dict(self.order_by().values_list("status").annotate(n=models.Count("pk")))
        return {status: found.get(status, 0) for status in SendLog.Status.values}

    def final(self) -> "SendLogQuerySet":
        """Rows that nothing will be sent for any more."""
        return self.exclude(status__in=SendLog.OPEN)

    def waiting(self) -> "SendLogQuerySet":
        return self.filter(status=SendLog.Status.PENDING)


class SendLog(models.Model):
    """One message to one recipient: the send log and the outbox in one.

    Narrow on purpose: what all recipients share stands on the notification, ``data`` here holds
    only what differs for this one, laid over the notification's.
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
    # The template's account again, so that one index finds what an account has due.
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
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.PENDING
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
    errmsg = models.CharField("errmsg", max_length=500, blank=True, default="")
    rid = models.CharField("rid", max_length=64, blank=True, default="")
    msgid = models.BigIntegerField("msgid", null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
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

    objects = SendLogQuerySet.as_manager()

    class Meta:
        verbose_name = _("send log")
        verbose_name_plural = _("send log")
        indexes = [
            # What is due: claims and sweeps. Not partial: MariaDB and MySQL have none.
            models.Index(fields=["status", "account", "due_at"], name="wechat_notify_log_due"),
            # Live counts of one notification, and what of it is due in order; serves as its
            # foreign key's index too.
            models.Index(
                fields=["notification", "status", "due_at"], name="wechat_notify_log_counts"
            ),
            # Receipts find their row by msgid, else by openid.
            models.Index(fields=["msgid"], name="wechat_notify_log_msgid"),
            models.Index(fields=["openid"], name="wechat_notify_log_openid"),
        ]
        permissions = [("resend_sendlog", "Can resend messages")]

    def __str__(self) -> str:
        who = self.user if self.user_id else mask_openid(self.openid)
        return f"{who} · {self.get_status_display()}"

    @cached_property
    def merged_data(self) -> dict[str, Any]:
        """The data this recipient gets: the notification's with this row's own laid over it."""
        return {**self.notification.data, **(self.data or {})}

    @property
    def explanation(self) -> str:
        """Why it stands as it does, in plain words with the errcode at the end; may be empty."""
        if self.errcode:
            info = describe(self.errcode)
            # "It is tried again by itself" is true only of a message that still waits.
            instead = self.LAST_STEPS.get(self.Status(self.status)) if info.passes else None
            return info.in_words(instead)
        if self.errcode == 0:
            return ""
        return gettext(self.errmsg) if self.errmsg else ""

    @property
    def card(self) -> template_fields.Card:
        """The card as this recipient sees it."""
        return self.notification.template.render(self.merged_data)

"""Delivery receipts, before and after they are matched to rows of the send log."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..wechat.masking import mask_openid
from ..wechat.openids import OPENID_LENGTH
from .exact import ExactCharField
from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager
from .sendlog import SendLog


class Receipt(models.Model):
    """One delivery receipt as WeChat sent it, matched to its row or not yet.

    Receipts may come twice, before our own row has its msgid, or with MsgID 0
    (docs/wechat-api.md, 4, 5). So a callback only stores them, and they are matched to their rows
    in batches.
    """

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    openid = ExactCharField("openid", max_length=OPENID_LENGTH)
    msgid = models.BigIntegerField("msgid", help_text=_("0 where WeChat told none."))
    status = models.CharField(_("receipt"), max_length=64)
    event_at = models.DateTimeField(_("sent by WeChat at"))
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)
    settled_at = models.DateTimeField(
        _("settled at"),
        null=True,
        blank=True,
        db_index=True,
        help_text=_("When it found its row, or was given up."),
    )
    log = models.ForeignKey(
        SendLog,
        verbose_name=_("send log"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="receipts",
    )

    objects = WrittenManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [
            # FromUserName and CreateTime alone collide when one person gets two receipts in one
            # second (docs/wechat-api.md, 5).
            models.UniqueConstraint(
                fields=["account", "openid", "event_at", "msgid"],
                name="wechat_notify_receipt_once",
            )
        ]

    def __str__(self) -> str:
        return f"{mask_openid(self.openid)} · {self.status}"

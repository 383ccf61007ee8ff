"""What WeChat said became of messages, until it has found its rows and after."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..wechat.masking import mask_openid
from .bindings import ALIAS_LENGTH, OPENID_LENGTH
from .exact import ExactCharField
from .sendlog import SendLog


class Receipt(models.Model):
    """One delivery receipt as WeChat sent it, until it has found its row and after.

    Receipts come twice, before our own row has its msgid, or with MsgID 0 (WECHAT.md 4). So a
    callback only writes one of these, and they are joined to their rows in batches.
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

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [
            # FromUserName and CreateTime alone collide when one person gets two receipts in one
            # second (WECHAT.md 5).
            models.UniqueConstraint(
                fields=["account", "openid", "event_at", "msgid"],
                name="wechat_notify_receipt_once",
            )
        ]

    def __str__(self) -> str:
        return f"{mask_openid(self.openid)} · {self.status}"

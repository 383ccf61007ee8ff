"""What was asked for, once for all recipients."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .exact import ExactCharField
from .templates import MessageTemplate


class Notification(models.Model):
    """One ``notify()`` call: what was asked, for all its recipients together."""

    class Source(models.TextChoices):
        CODE = "code", _("code")
        SIGNAL = "signal", _("model signal")
        ADMIN = "admin", _("admin")
        COMMAND = "command", _("command line")
        RESEND = "resend", _("resend")

    template = models.ForeignKey(
        MessageTemplate,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        related_name="notifications",
    )
    data = models.JSONField(
        _("data"), default=dict, blank=True, help_text=_("Shared by all recipients.")
    )
    url = models.CharField(_("link"), max_length=2048, blank=True, default="")
    miniprogram = models.JSONField(_("mini program"), null=True, blank=True)
    # NULL where no key was given: every database lets NULLs repeat under a unique constraint,
    # while conditional constraints are silently left out on MariaDB and MySQL.
    key = ExactCharField(
        _("key"),
        max_length=200,
        null=True,
        blank=True,
        help_text=_("A second call with the same key and template sends nothing new."),
    )
    source = models.CharField(
        _("source"), max_length=16, choices=Source.choices, default=Source.CODE
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    send_at = models.DateTimeField(_("send at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["template", "key"], name="wechat_notify_notification_key"
            )
        ]
        permissions = [("send_notification", "Can send template messages")]

    def __str__(self) -> str:
        return f"{self.template} #{self.pk}"

    @property
    def counts(self) -> dict[str, int]:
        """How many messages are in each status right now, zeros included."""
        return self.logs.counts()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

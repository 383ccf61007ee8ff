"""Alerts: what somebody must know of, and the e-mails that tell them."""

from datetime import datetime
from typing import ClassVar, cast

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..types import Endpoint
from ..wechat.errors import ErrorInfo, describe
from .exact import ExactCharField
from .message_template import MessageTemplate
from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager

SUBJECT_LENGTH = 255
DETAIL_LENGTH = 500


class AlertQuerySet(models.QuerySet["Alert"]):
    def still_open(self) -> "AlertQuerySet":
        """Those that are not over."""
        return self.filter(open_key__isnull=False)


class Alert(models.Model):
    """One event that somebody is told about: one row from its beginning to its end.

    ``subject`` is the server of a ``WAY``, and the name of the template of a ``TEMPLATE``.
    ``detail``: WeChat's own words or the transport's, with nothing in them that must not be shown.
    ``until``: when it ends or is tried again, if that is known. ``failed`` of ``decided`` messages
    failed, for ``FAILURES``.
    """

    class Kind(models.TextChoices):
        REST = "rest", pgettext_lazy("alert", "Account at rest")
        WAY = "way", _("Nothing gets through")
        TEMPLATE = "template", _("Template stopped")
        NO_SENDER = "sender", _("No sender is running")
        FAILURES = "failures", _("Many messages fail")

    kind = models.CharField(_("what"), max_length=16, choices=Kind.choices)
    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    subject = models.CharField(_("about"), max_length=SUBJECT_LENGTH, blank=True, default="")
    template = models.ForeignKey(
        MessageTemplate,
        verbose_name=_("template"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    errcode = models.IntegerField(_("error code"), null=True, blank=True)
    endpoint = models.CharField(max_length=8, default="send", editable=False)
    detail = models.CharField(_("details"), max_length=DETAIL_LENGTH, blank=True, default="")
    failed = models.PositiveIntegerField(null=True, blank=True, editable=False)
    decided = models.PositiveIntegerField(null=True, blank=True, editable=False)
    began_at = models.DateTimeField(_("began at"))
    until = models.DateTimeField(_("until"), null=True, blank=True)
    opened_at = models.DateTimeField(_("alert given at"), default=timezone.now)
    seen_at = models.DateTimeField(_("last seen at"), default=timezone.now)
    closed_at = models.DateTimeField(_("over since"), null=True, blank=True)
    # What it is about, while it is open; NULL afterwards. So two processes that find the same event
    # write one row. Every database allows several NULLs under a unique constraint.
    open_key = ExactCharField(max_length=400, null=True, unique=True, editable=False)

    objects = WrittenManager.from_queryset(AlertQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        ordering = ["-pk"]
        default_permissions = ("view",)
        permissions = [("receive_alerts", "Can receive alerts by e-mail")]

    def __str__(self) -> str:
        about = f" · {self.subject}" if self.subject else ""
        return f"{self.get_kind_display()}{about}"

    @property
    def is_open(self) -> bool:
        return self.closed_at is None

    @property
    def info(self) -> ErrorInfo | None:
        """Cause and next step of its errcode in plain words; None where it has none."""
        if self.errcode is None:
            return None
        return describe(self.errcode, endpoint=cast("Endpoint", self.endpoint))

    @classmethod
    def older_than(cls, moment: datetime) -> models.QuerySet["Alert"]:
        """Those that were over by then, which are deleted with the send log."""
        return cls.objects.filter(closed_at__lt=moment)


class AlertMail(models.Model):
    """One e-mail to one person: that an alert was given, or (``is_end``) that it is over.

    ``due_at``: when it is to be sent or tried again; while a process sends it, when another one may
    take it over. Empty when it is done: with ``sent_at``, it was sent, and without, given up.
    """

    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, related_name="mails")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    is_end = models.BooleanField(default=False)
    due_at = models.DateTimeField(null=True, default=timezone.now, db_index=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=DETAIL_LENGTH, blank=True, default="")

    objects: ClassVar[WrittenManager["AlertMail"]] = WrittenManager()  # type: ignore[assignment]

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        verbose_name = _("e-mail about an alert")
        verbose_name_plural = _("e-mails about alerts")
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "user", "is_end"], name="wechat_notify_alertmail_person"
            )
        ]

    def __str__(self) -> str:
        return f"{self.alert}: {self.user_id}"

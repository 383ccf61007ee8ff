"""One time that a rule did something."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ...models import Notification
from ...models.exact import ExactCharField
from ...models.reading import WrittenManager
from .rule import NAME_LENGTH, Rule

ID_LENGTH = 255
TEXT_LENGTH = 100
REASON_LENGTH = 500


class Firing(models.Model):
    """One time that an object met a rule, and what came of it. It outlives both.

    ``people``: how many it told, or would have told. ``would``, of a dry run: up to 100 of
    ``{"user": primary key, "name", "data": {…}, "problem": ""}``. ``reason``: why nothing was sent.
    """

    rule = models.ForeignKey(
        Rule,
        verbose_name=_("rule"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="firings",
    )
    rule_name = models.CharField(_("name of the rule"), max_length=NAME_LENGTH)
    object_id = models.CharField(_("key of the object"), max_length=ID_LENGTH)
    object_text = models.CharField(_("object"), max_length=TEXT_LENGTH)
    # NULL where the same may happen to an object again, as with a change.
    key = ExactCharField(_("key"), max_length=200, null=True, editable=False)
    fired_at = models.DateTimeField(_("time"), default=timezone.now, db_index=True)
    is_dry_run = models.BooleanField(_("dry run"), default=False)
    notification = models.ForeignKey(
        Notification,
        verbose_name=_("notification"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="rule_firings",
    )
    people = models.PositiveIntegerField(_("people"), default=0)
    would = models.JSONField(_("would have been sent"), default=list)
    reason = models.CharField(
        _("why nothing was sent"), max_length=REASON_LENGTH, blank=True, default=""
    )

    objects: ClassVar[WrittenManager["Firing"]] = WrittenManager()  # type: ignore[assignment]

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("firing of a rule")
        verbose_name_plural = _("firings of rules")
        ordering = ["-fired_at", "-pk"]
        indexes = [models.Index(fields=["rule", "fired_at"], name="wechat_notify_firing_rule_time")]
        constraints = [
            models.UniqueConstraint(fields=["rule", "key"], name="wechat_notify_firing_rule_key")
        ]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.object_text}"

    @classmethod
    def older_than(cls, moment: datetime) -> models.QuerySet["Firing"]:
        """Those that are deleted with the send log."""
        return cls.objects.filter(fired_at__lt=moment)

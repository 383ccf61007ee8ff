"""A rule, as a person writes it in the admin."""

from datetime import timedelta
from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ...models import MessageTemplate, Notification
from ...models.reading import WrittenManager
from .. import event
from ..ready import make_ready

NAME_LENGTH = 100
PATH_LENGTH = 200
VALUE_LENGTH = 500
GRACE = timedelta(minutes=15)


def no_conditions() -> dict[str, Any]:
    """The conditions of a rule that has none."""
    return {"match": "all", "tests": []}


class Rule(models.Model):
    """When something happens to an object of ``model``, tell people by a template.

    What a rule may see is declared by ``allow()``. ``conditions``: ``{"match": "all" | "any",
    "tests": [{"field", "op", "value"}]}``. ``recipients``: a list of ``{"path": "buyer"}``,
    ``{"group": 3}`` and ``{"saved": 7}`` (primary keys of groups and saved recipients). ``texts``:
    a text for each of the template's fields, by its key or the site's name, with placeholders such
    as ``{{ object.number }}`` and ``{{ user.get_full_name }}``.

    A rule that something is wrong with is not run; ``stopped_because`` says what.
    """

    Event = event.Event

    name = models.CharField(_("name"), max_length=NAME_LENGTH, unique=True)
    model = models.CharField(_("object"), max_length=PATH_LENGTH)
    event = models.CharField(_("event"), max_length=8, choices=event.Event.choices)
    field = models.CharField(_("field"), max_length=PATH_LENGTH, blank=True, default="")
    value = models.CharField(
        _("new value"),
        max_length=VALUE_LENGTH,
        blank=True,
        default="",
        help_text=_("Empty: any change."),
    )
    offset = models.DurationField(_("how long before or after"), default=timedelta(0), blank=True)
    clock = models.TimeField(_("time of day"), null=True, blank=True)
    grace = models.DurationField(
        _("send late by at most"),
        default=GRACE,
        help_text=_("A reminder that was missed by more than this is not sent."),
    )
    conditions = models.JSONField(_("conditions"), default=no_conditions, blank=True)
    recipients = models.JSONField(_("recipients"), default=list)
    template = models.ForeignKey(
        MessageTemplate,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        related_name="rules",
    )
    texts = models.JSONField(_("texts"), default=dict, blank=True)
    link = models.BooleanField(
        _("link to the object"),
        default=True,
        help_text=_("Otherwise the template's own link is used."),
    )
    delay = models.DurationField(_("send later by"), default=timedelta(0), blank=True)
    priority = models.SmallIntegerField(
        _("priority"),
        choices=Notification.Priority.choices,
        default=Notification.Priority.NORMAL,
    )
    most_a_day = models.PositiveIntegerField(
        _("at most a day"),
        null=True,
        blank=True,
        help_text=_("To one person by this rule. Empty: any number."),
    )
    is_active = models.BooleanField(_("switched on"), default=False)
    dry_run = models.BooleanField(
        _("dry run"),
        default=False,
        help_text=_("Record what would be sent to whom, and send nothing."),
    )
    stopped_because = models.TextField(_("stopped because"), blank=True, default="", editable=False)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects: ClassVar[WrittenManager["Rule"]] = WrittenManager()  # type: ignore[assignment]

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("rule")
        verbose_name_plural = _("rules")
        ordering = ["name"]
        permissions = [("switch_rule", "Can switch rules on and off")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it. Whether something is wrong with it is found out anew."""
        if kwargs.get("update_fields") is None:
            self.stopped_because = ""
        super().save(*args, **kwargs)

    def clean(self) -> None:
        """Raise ``ValidationError`` with everything that is wrong with it, by field."""
        super().clean()
        make_ready(self)

"""What ``notify()`` was called with, stored once for all recipients."""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..wechat import fields as template_fields
from ..wechat import naming
from .exact import ExactCharField
from .message_template import NAME_LENGTH, MessageTemplate
from .notification_title import TITLE_LENGTH, searchable, title_of
from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager
from .template_revision import TemplateRevision


class Notification(models.Model):
    """One ``notify()`` call: template, data, link and times, for all its recipients."""

    class Source(models.TextChoices):
        CODE = "code", _("code")
        SIGNAL = "signal", _("model signal")
        ADMIN = "admin", _("admin")
        COMMAND = "command", _("command line")
        RESEND = "resend", _("resend")
        REMINDER = "reminder", _("reminder")

    class Priority(models.IntegerChoices):
        """Which messages go first. The smaller number is the more urgent one."""

        URGENT = 10, _("urgent")
        NORMAL = 20, _("normal")
        BULK = 30, _("bulk")

    template = models.ForeignKey(
        MessageTemplate,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        related_name="notifications",
    )
    # Account and name of the template when it was called: a key belongs to them, because another
    # template may get the name. NULL in rows that an older version of the app wrote.
    account = ExactCharField(
        _("account"), max_length=ALIAS_LENGTH, null=True, blank=True, editable=False
    )
    template_name = ExactCharField(
        _("template name"), max_length=NAME_LENGTH, null=True, blank=True, editable=False
    )
    # The template as it was when the data was checked. No constraint and no index in the database:
    # revisions are never deleted, and nobody looks for rows by them.
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
    # The default is the database's too: workers of the version before write rows without it.
    title = models.CharField(
        _("title"),
        max_length=TITLE_LENGTH,
        blank=True,
        default="",
        db_default="",
        help_text=_("For lists and links of this site. Recipients do not see it."),
    )
    # Title and shared values, as ``notification_title`` makes it. NULL in rows of an older version.
    search_text = models.TextField(null=True, blank=True, editable=False)  # noqa: DJ001
    data = models.JSONField(
        _("data"), default=dict, blank=True, help_text=_("Shared by all recipients.")
    )
    url = models.CharField(_("link"), max_length=2048, blank=True, default="")
    miniprogram = models.JSONField(_("mini program"), null=True, blank=True)
    # NULL if no key was given: every database allows several NULLs under a unique constraint, but
    # Django creates no conditional constraints on MariaDB and MySQL.
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
    # The default is the database's too: workers of the version before write rows without it.
    priority = models.SmallIntegerField(
        _("priority"),
        choices=Priority.choices,
        default=Priority.NORMAL,
        db_default=Priority.NORMAL,
        help_text=_("What is more urgent is sent first."),
    )
    # The default is the database's too: workers of the version before write rows without it.
    is_test = models.BooleanField(
        _("test message"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("Statistics do not count it."),
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
    # While it waits for a second person (``Approval``); stays where it was refused or cancelled.
    held_at = models.DateTimeField(
        _("held for approval since"), null=True, blank=True, editable=False
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True, db_index=True)
    # No constraint in the database: to add it, MariaDB would copy the table.
    replaces = models.ForeignKey(
        "self",
        verbose_name=_("replaces"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        db_constraint=False,
        related_name="replaced_by",
        help_text=_("What had not left of that one was cancelled, and its people got this one."),
    )

    is_new: bool | None = None
    """True: made by the call that returned it. False: an earlier call with the same key made it.
    None: read from the database."""

    objects = WrittenManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "template_name", "key"],
                name="wechat_notify_notification_account_name_key",
            )
        ]
        permissions = [
            ("send_notification", "Can send template messages"),
            ("approve_notification", "Can approve messages to many people"),
        ]

    def __str__(self) -> str:
        return f"{self.shown_title} #{self.pk}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it; a new one with its template's account and name."""
        if self._state.adding and self.template_name is None:
            self.account, self.template_name = self.template.account, self.template.name
        only = kwargs.get("update_fields")
        if only is None or {"title", "data"}.intersection(only):
            self.search_text = searchable(self.title, self.data)
            if only is not None:
                kwargs["update_fields"] = {*only, "search_text"}
        super().save(*args, **kwargs)

    @property
    def shown_title(self) -> str:
        """Its title; without one the first values that all share, or else the template's title."""
        return self.title or (title_of(self.card) if self.data else "") or str(self.template)

    @property
    def card(self) -> template_fields.Card:
        """The card of the data that all recipients share, as it was written."""
        written = self.revision
        if written is None:
            return self.template.render(self.data)
        wire = naming.to_keys(self.data, written.field_names)
        return template_fields.card(written.title, written.content, wire)

    @property
    def leaves_with(self) -> "MessageTemplate":
        """The template with which what waits would leave now: its own, or that one's stand-in."""
        return self.template.sends_with() or self.template

    @property
    def card_now(self) -> template_fields.Card:
        """The card of the data that all recipients share, as it would leave now."""
        now = self.leaves_with
        wire = naming.to_keys(self.data, naming.keys_of(self.data, self.revision, now))
        return template_fields.card(now.title, now.content, wire)

    @property
    def counts(self) -> dict[str, int]:
        """The number of messages in each status, including 0. Runs a query."""
        return self.logs.counts()

    @property
    def total(self) -> int:
        return sum(self.counts.values())

"""Templates as they are registered with WeChat."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..conf import DEFAULT_ACCOUNT
from ..exceptions import Problem
from ..types import MiniProgram
from ..wechat import fields as template_fields
from ..wechat import naming
from .exact import ExactCharField
from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager
from .template_revision import TemplateRevision

NAME_LENGTH = 100

REVISED = ("template_id", "title", "content", "field_names")
"""What a revision keeps."""


class MessageTemplateQuerySet(models.QuerySet["MessageTemplate"]):
    def active(self) -> "MessageTemplateQuerySet":
        return self.filter(is_active=True)

    def resting(self) -> "MessageTemplateQuerySet":
        """Those whose messages wait: banned without a usable stand-in, or switched off."""
        switched_off = models.Q(is_active=False, missing_since__isnull=True)
        stood_in = models.Q(stand_in__is_active=True, stand_in__paused_at__isnull=True)
        banned = models.Q(paused_at__isnull=False)
        return self.filter(switched_off | (banned & ~stood_in))

    def revise(self) -> int:
        """Make a revision of each template that has changed since its last. Returns how many."""
        stale = [one for one in self.select_related("revision") if not one.is_revised]
        for template in stale:
            template.save(update_fields=["revision"])
        return len(stale)


class MessageTemplate(models.Model):
    """A template registered with one account.

    ``name`` is the slug that code uses; ``template_id`` is WeChat's. Synchronising never deletes:
    a template that WeChat no longer lists becomes inactive and its log stays.
    """

    class Listing(models.TextChoices):
        """Which of WeChat's lists has the template ID (docs/wechat-api.md, 12.6)."""

        TEMPLATE = "template", _("template message")
        SUBSCRIPTION = "subscription", _("subscription notice")
        NOWHERE = "nowhere", _("in no list")

    LISTINGS = {
        Listing.TEMPLATE: _("WeChat’s list of template messages has this ID."),
        Listing.SUBSCRIPTION: _(
            "The ID is that of a subscription notice (订阅通知), not of a template message."
        ),
        Listing.NOWHERE: _(
            "Neither WeChat’s template messages nor its subscription notices have it."
        ),
    }

    account = models.CharField(
        _("account"),
        max_length=ALIAS_LENGTH,
        default=DEFAULT_ACCOUNT,
        help_text=_("The alias in the ACCOUNTS setting."),
    )
    name = models.SlugField(
        _("name"), max_length=NAME_LENGTH, db_index=False, help_text=_("The name used in code.")
    )
    # 43 characters in every sample seen; a column too short for it gave 40037 (docs/wechat-api.md,
    # 2.1).
    template_id = ExactCharField(_("template ID"), max_length=128)
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    content = models.TextField(
        pgettext_lazy("template", "content"),
        blank=True,
        default="",
        help_text=_("As in the console: 姓名:{{name1.DATA}}"),
    )
    example = models.TextField(_("example"), blank=True, default="")
    field_names = models.JSONField(
        _("field names"),
        default=dict,
        blank=True,
        help_text=_("The site’s own word for each of WeChat’s keys: {word: key}."),
    )
    revision = models.ForeignKey(
        TemplateRevision,
        verbose_name=_("revision"),
        null=True,
        blank=True,
        editable=False,
        on_delete=models.PROTECT,
        related_name="+",
    )
    stand_in = models.ForeignKey(
        "self",
        verbose_name=_("stand-in"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="stands_in_for",
        help_text=_(
            "Used while this template is banned or gone from WeChat. Its own stand-in is not used."
        ),
    )
    url = models.CharField(_("link"), max_length=2048, blank=True, default="")
    miniprogram_appid = models.CharField(
        _("mini program appid"), max_length=64, blank=True, default=""
    )
    miniprogram_pagepath = models.CharField(
        _("mini program page"), max_length=1024, blank=True, default=""
    )
    notes = models.TextField(_("notes"), blank=True, default="")
    is_active = models.BooleanField(pgettext_lazy("template", "active"), default=True)
    synced_at = models.DateTimeField(_("last seen on WeChat"), null=True, blank=True)
    missing_since = models.DateTimeField(
        _("missing on WeChat since"),
        null=True,
        blank=True,
        help_text=_("Set by the sync that no longer found it and switched it off."),
    )
    listed_as = models.CharField(
        _("listed as"), max_length=16, blank=True, default="", editable=False, choices=Listing
    )
    content_changed_at = models.DateTimeField(
        _("content changed on WeChat"),
        null=True,
        blank=True,
        help_text=_("Set by a sync that found other content; cleared when somebody has looked."),
    )
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    pause_errcode = models.IntegerField(_("paused by errcode"), null=True, blank=True)

    objects = WrittenManager.from_queryset(MessageTemplateQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"], name="wechat_notify_template_account_name"
            ),
            models.UniqueConstraint(
                fields=["account", "template_id"], name="wechat_notify_template_account_id"
            ),
        ]
        permissions = [("sync_messagetemplate", "Can sync templates with WeChat")]

    def __str__(self) -> str:
        return self.title or self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save it, with a new revision if what a revision keeps has changed."""
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        only = kwargs.get("update_fields")
        if only is not None and not {*REVISED, "revision"}.intersection(only):
            super().save(*args, **kwargs)
            return
        with transaction.atomic(using=using):
            if not self.is_revised:
                kept = {name: getattr(self, name) for name in REVISED}
                self.revision = TemplateRevision.objects.using(using).create(**kept)
                kwargs["update_fields"] = only if only is None else {*only, "revision"}
            super().save(*args, **kwargs)

    @property
    def fields(self) -> tuple[template_fields.Field, ...]:
        """The placeholders of ``content``, in order: name, label, type and rule of each."""
        return template_fields.parse(self.content)

    @property
    def miniprogram(self) -> MiniProgram | None:
        if not self.miniprogram_appid:
            return None
        return {"appid": self.miniprogram_appid, "pagepath": self.miniprogram_pagepath}

    @property
    def is_revised(self) -> bool:
        """Whether ``revision`` says what the template is now."""
        kept = self.revision
        return kept is not None and all(
            getattr(kept, name) == getattr(self, name) for name in REVISED
        )

    def clean(self) -> None:
        super().clean()
        if self.stand_in is not None and self.stand_in.account != self.account:
            raise ValidationError({"stand_in": _("It belongs to another account.")})
        if self.stand_in_id is not None and self.stand_in_id == self.pk:
            raise ValidationError({"stand_in": _("A template cannot stand in for itself.")})
        if problems := self.name_problems():
            raise ValidationError({"field_names": [str(problem) for problem in problems]})

    @property
    def listed_in_words(self) -> str:
        """What was found about its ID when WeChat refused it; empty if nobody has looked."""
        return str(self.LISTINGS[self.Listing(self.listed_as)]) if self.listed_as else ""

    @property
    def is_switched_off(self) -> bool:
        """Whether a person has switched it off; not WeChat, and not the sync."""
        return not self.is_active and self.missing_since is None

    @property
    def rests(self) -> bool:
        """Whether its messages wait. ``resting()`` says the same of rows."""
        stopped = self.paused_at is not None or self.is_switched_off
        return stopped and self.sends_with() is None

    @property
    def is_usable(self) -> bool:
        """Whether WeChat takes messages of it, as far as is known."""
        return self.is_active and self.paused_at is None

    def sends_with(self) -> "MessageTemplate | None":
        """The template that its messages leave with: itself, or its stand-in. None: they wait.

        The stand-in is used while this one is banned or gone from WeChat, not while a person has
        switched it off. Its own stand-in is not used.
        """
        if self.is_usable:
            return self
        stand_in = None if self.is_switched_off else self.stand_in
        return stand_in if stand_in is not None and stand_in.is_usable else None

    def name_problems(self, names: Any = None) -> list[Problem]:
        """What is wrong with ``names``, by default the template's own ``field_names``."""
        names = self.field_names if names is None else names
        return naming.mapping_problems(names, self.fields)

    def check_data(self, data: Any) -> list[Problem]:
        """Every reason why WeChat would refuse this data; empty if there is none."""
        return naming.normalise_named(self.fields, self.field_names, data)[1]

    def render(self, data: Any) -> template_fields.Card:
        """The card as people will see it: title and one row for each field that WeChat shows."""
        named, _problems = naming.normalise_named(self.fields, self.field_names, data)
        return template_fields.card(
            self.title, self.content, naming.to_keys(named, self.field_names)
        )

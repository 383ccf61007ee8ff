"""Templates as they are registered with WeChat."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..conf import DEFAULT_ACCOUNT
from ..exceptions import Problem
from ..types import MiniProgram
from ..wechat import fields as template_fields
from ..wechat import values
from .bindings import ALIAS_LENGTH
from .exact import ExactCharField


class MessageTemplateQuerySet(models.QuerySet["MessageTemplate"]):
    def active(self) -> "MessageTemplateQuerySet":
        return self.filter(is_active=True)


class MessageTemplate(models.Model):
    """A template registered with one account.

    ``name`` is the slug that code uses; ``template_id`` is WeChat's. Synchronising never deletes:
    a template that WeChat no longer lists becomes inactive and its log stays.
    """

    account = models.CharField(
        _("account"),
        max_length=ALIAS_LENGTH,
        default=DEFAULT_ACCOUNT,
        help_text=_("The alias in the ACCOUNTS setting."),
    )
    name = models.SlugField(
        _("name"), max_length=100, db_index=False, help_text=_("The name used in code.")
    )
    # 43 characters in every sample seen; a column too short for it gave 40037 (WECHAT.md 2.1).
    template_id = ExactCharField(_("template ID"), max_length=128)
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    content = models.TextField(
        _("content"), blank=True, default="", help_text=_("As in the console: 姓名:{{name1.DATA}}")
    )
    example = models.TextField(_("example"), blank=True, default="")
    url = models.CharField(_("link"), max_length=2048, blank=True, default="")
    miniprogram_appid = models.CharField(
        _("mini program appid"), max_length=64, blank=True, default=""
    )
    miniprogram_pagepath = models.CharField(
        _("mini program page"), max_length=1024, blank=True, default=""
    )
    notes = models.TextField(_("notes"), blank=True, default="")
    is_active = models.BooleanField(_("active"), default=True)
    synced_at = models.DateTimeField(_("last seen on WeChat"), null=True, blank=True)
    missing_since = models.DateTimeField(
        _("missing on WeChat since"),
        null=True,
        blank=True,
        help_text=_("Set by the sync that no longer found it and switched it off."),
    )
    content_changed_at = models.DateTimeField(
        _("content changed on WeChat"),
        null=True,
        blank=True,
        help_text=_("Set by a sync that found other content; cleared when somebody has looked."),
    )
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    pause_errcode = models.IntegerField(_("paused by errcode"), null=True, blank=True)

    objects = MessageTemplateQuerySet.as_manager()

    class Meta:
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

    @property
    def fields(self) -> tuple[template_fields.Field, ...]:
        """The placeholders of ``content``, in order: name, label, type and rule of each."""
        return template_fields.parse(self.content)

    @property
    def miniprogram(self) -> MiniProgram | None:
        if not self.miniprogram_appid:
            return None
        return {"appid": self.miniprogram_appid, "pagepath": self.miniprogram_pagepath}

    def check_data(self, data: Any) -> list[Problem]:
        """Every reason why WeChat would refuse this data; an empty list is good news."""
        return values.normalise(self.fields, data)[1]

    def render(self, data: Any) -> template_fields.Card:
        """The card as people will see it: title and one row for each field that WeChat shows."""
        wire, _problems = values.normalise(self.fields, data)
        return template_fields.card(self.title, self.content, wire)

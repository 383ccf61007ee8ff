"""Templates: whether each can be used and why not, its fields, and bringing them up to date."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from .. import services
from ..delivery.content import link_problems
from ..models import MessageTemplate
from .accounts import AccountChoicesMixin, NameOnAccountForm
from .badges import badge
from .compose.links import ComposeLinkMixin
from .explanations import why_paused
from .filters import AccountFilter, StateFilter
from .gallery import GalleryMixin
from .previews import template_card
from .rests import RestsMixin
from .syncing import SyncMixin
from .verbs import Verb, VerbsMixin


class TemplateForm(NameOnAccountForm):
    """``content_seen`` is offered only while the content is marked as changed on WeChat."""

    name_taken = _("Another template of this account has this name.")

    content_seen = forms.BooleanField(
        label=_("I have looked at the changed content"),
        required=False,
        help_text=_("Takes the mark off. The code that sends it may need other fields now."),
    )

    def clean_url(self) -> str:
        """With a bad one nothing could be sent that has no link of its own."""
        url: str = self.cleaned_data["url"]
        if problems := link_problems(url, None):
            raise ValidationError([capfirst(problem.message) for problem in problems])
        return url

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        if given.get("miniprogram_pagepath") and not given.get("miniprogram_appid"):
            self.add_error("miniprogram_appid", _("A page needs the mini program it is in."))
        return given


def _resume(template: MessageTemplate) -> str:
    count = services.resume_template(template)
    message = ngettext(
        "The template is in use again: %d waiting message goes on.",
        "The template is in use again: %d waiting messages go on.",
        count,
    )
    return message % count


VERBS = (
    Verb(
        "resume",
        "wechat_notify.send_notification",
        label=_("Resume"),
        question=_("The template is used again, and messages that wait for it go out."),
        applies=lambda row: row.paused_at is not None,
        carry_out=_resume,
    ),
)

# What WeChat decides; a sync would overwrite it.
REMOTE_FIELDS = ("title", "content", "example")


@admin.register(MessageTemplate)
class MessageTemplateAdmin(
    ComposeLinkMixin, SyncMixin, GalleryMixin, RestsMixin, VerbsMixin, AccountChoicesMixin
):
    form = TemplateForm
    verbs = VERBS
    list_display = ("label", "name", "account", "state", "synced_at")
    list_filter = (AccountFilter, StateFilter)
    search_fields = ("name", "title", "=template_id")
    search_help_text = _("A name, a title, or a whole template ID")
    ordering = ("account", "name")

    OWN: ClassVar = ("url", "miniprogram_appid", "miniprogram_pagepath", "notes", "is_active")

    def get_fieldsets(self, request: HttpRequest, obj: MessageTemplate | None = None) -> Any:
        identity = ("account", "name", "template_id")
        if obj is None:
            return ((None, {"fields": (*identity, *REMOTE_FIELDS, *self.OWN)}),)
        changed = ("content_seen",) if self._asks_about_content(request, obj) else ()
        return (
            (None, {"fields": (*identity, "state", *changed)}),
            (_("Message"), {"fields": ("field_table", "card")}),
            (_("As registered with WeChat"), {"fields": (*REMOTE_FIELDS, "synced_at")}),
            (_("Use"), {"fields": self.OWN}),
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: MessageTemplate | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        always = ("account", "template_id", "state", "field_table", "card", "synced_at")
        return (*always, *REMOTE_FIELDS) if obj.synced_at is not None else always

    def _asks_about_content(self, request: HttpRequest, obj: MessageTemplate) -> bool:
        return obj.content_changed_at is not None and self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if form.cleaned_data.get("content_seen"):
            obj.content_changed_at = None
        super().save_model(request, obj, form, change)

    @admin.display(description=_("title"), ordering="title")
    def label(self, obj: MessageTemplate) -> str:
        return str(obj)

    @admin.display(description=_("state"))
    def state(self, obj: MessageTemplate) -> SafeString:
        return render_to_string(
            "wechat_notify/admin/template_state.html",
            {
                "usable": obj.is_active and obj.paused_at is None,
                "usable_badge": badge(_("Usable"), "good"),
                "inactive_badge": "" if obj.is_active else badge(_("Inactive"), "quiet"),
                "paused_badge": badge(_("Paused"), "bad") if obj.paused_at else "",
                "changed_badge": badge(_("Content changed"), "doubt"),
                "why_paused": why_paused(obj),
                "template": obj,
            },
        )

    @admin.display(description=_("fields"))
    def field_table(self, obj: MessageTemplate) -> SafeString:
        if not obj.fields:
            return format_html("{}", _("The content is not known. Sync the templates to fetch it."))
        return render_to_string("wechat_notify/admin/fields.html", {"fields": obj.fields})

    @admin.display(description=_("card"))
    def card(self, obj: MessageTemplate) -> SafeString:
        return template_card(obj)

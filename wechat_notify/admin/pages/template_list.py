"""Templates: whether each can be used and why not, its fields, and the sync with WeChat."""

import re
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ... import services
from ...dry_run import link_problems, with_scheme
from ...exceptions import ConfigurationError
from ...models import MessageTemplate
from ...template_replacement import names_in_use
from ...wechat.fields import parse
from ...wechat.naming import words_of
from ..compose.button import ComposeLinkMixin
from ..parts.account_choices import AccountChoicesMixin, NameOnAccountForm
from ..parts.badges import badge
from ..parts.cards import template_card
from ..parts.explanations import stand_in_used, why_paused
from ..parts.field_names import FieldNamesField
from ..parts.filters import AccountFilter, StateFilter
from ..parts.remedies import resume_template
from ..parts.verbs import Verb, VerbsMixin
from ..permissions import may_send
from .syncing import SyncMixin
from .template_gallery import GalleryMixin
from .template_replacing import ReplaceMixin
from .trying_again import RestsMixin


class TemplateForm(NameOnAccountForm):
    """``content_seen`` is offered only while the content is marked as changed on WeChat."""

    name_taken = _("Another template of this account has this name.")

    content_seen = forms.BooleanField(
        label=_("I have looked at the changed content"),
        required=False,
        help_text=_("Takes the mark off. The code that sends it may need other fields now."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "field_names" in self.fields:
            self.fields["field_names"] = FieldNamesField(self.instance)
        if "stand_in" in self.fields:
            stand_in: Any = self.fields["stand_in"]
            others = MessageTemplate.objects.filter(account=self.instance.account)
            stand_in.queryset = others.exclude(pk=self.instance.pk).order_by("title", "name")

    def clean_field_names(self) -> dict[str, str]:
        """A name that waiting messages use cannot lose its field, or get another one, here."""
        names: dict[str, str] = self.cleaned_data["field_names"]
        before = self.instance.field_names
        changed = [name for name in before if names.get(name) != before[name]]
        if used := names_in_use(self.instance, changed):
            text = _(
                "Waiting messages use %(names)s. Let them leave first, or use “Replace by another "
                "template”, which shows what becomes of them."
            )
            raise ValidationError(text % {"names": ", ".join(used)})
        return names

    def clean_template_id(self) -> str:
        """A blank or a character too many would make every message fail with 40037."""
        template_id: str = self.cleaned_data["template_id"]
        if not ID_CHARACTERS.fullmatch(template_id):
            raise ValidationError(_("A template ID has only letters, digits, “-” and “_”."))
        if len(template_id) != ID_LENGTH:
            text = _("A template ID has %(length)d characters; this has %(count)d.")
            raise ValidationError(text % {"length": ID_LENGTH, "count": len(template_id)})
        return template_id

    def clean_content(self) -> str:
        """Content without placeholders is something else than the content of a template."""
        content: str = self.cleaned_data["content"]
        if content and not parse(content):
            text = _(
                "It has no placeholder such as {{thing1.DATA}}: copy the 详细内容 of the template."
            )
            raise ValidationError(text)
        return content

    def clean_url(self) -> str:
        """A bad link would make every message fail that has no link of its own."""
        url: str = with_scheme(self.cleaned_data["url"])
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
        may_send,
        label=_("Resume"),
        question=_("The template is used again, and messages that wait for it go out."),
        applies=lambda row: row.paused_at is not None or services.has_parked(row),
        carry_out=_resume,
    ),
)

# As in every sample that was seen (docs/wechat-api.md, 2.1).
ID_CHARACTERS = re.compile(r"[A-Za-z0-9_-]+")
ID_LENGTH = 43

# WeChat decides these; a sync would overwrite them.
REMOTE_FIELDS = ("title", "content", "example")


class TemplateChangeList(ChangeList):
    """Each paused template with the button that resumes it, for those who may."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list: Any = list(self.result_list)
        for row in self.result_list:
            row.listed_ways = list(resume_template(self.model_admin.admin_site, request, row))


class MessageTemplateAdmin(
    ComposeLinkMixin,
    SyncMixin,
    GalleryMixin,
    RestsMixin,
    VerbsMixin,
    ReplaceMixin,
    AccountChoicesMixin,
):
    form = TemplateForm
    verbs = VERBS
    empty_text = _("There are no templates yet. Fetch them from WeChat.")
    list_display = ("label", "name", "account_name", "state", "synced_at")
    list_filter = (AccountFilter, StateFilter)
    list_select_related = ("stand_in",)
    search_fields = ("name", "title", "=template_id")
    search_help_text = _("A name, a title, or a whole template ID")
    ordering = ("account", "name")

    OWN: ClassVar = ("url", "miniprogram_appid", "miniprogram_pagepath", "notes", "is_active")
    # A change of these can let waiting messages go.
    RELEASING = frozenset({"is_active", "stand_in"})

    def get_fieldsets(self, request: HttpRequest, obj: MessageTemplate | None = None) -> Any:
        if obj is None:
            identity = ("account", "name", "template_id")
            return ((None, {"fields": (*identity, *REMOTE_FIELDS, *self.OWN)}),)
        identity = ("account_name", "name", "template_id")
        changed = ("content_seen",) if self._asks_about_content(request, obj) else ()
        return (
            (None, {"fields": (*identity, "state", *changed)}),
            (_("Message"), {"fields": (self._fields_shown(request, obj), "card")}),
            (_("As registered with WeChat"), {"fields": (*REMOTE_FIELDS, "synced_at")}),
            (_("Use"), {"fields": (*self.OWN, "stand_in")}),
        )

    def get_readonly_fields(
        self, request: HttpRequest, obj: MessageTemplate | None = None
    ) -> tuple[str, ...]:
        if obj is None:
            return ()
        always = ("account_name", "template_id", "state", "field_table", "card", "synced_at")
        return (*always, *REMOTE_FIELDS) if obj.synced_at is not None else always

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return TemplateChangeList

    def _fields_shown(self, request: HttpRequest, obj: MessageTemplate) -> str:
        may_name = obj.fields and self.has_change_permission(request, obj)
        return "field_names" if may_name else "field_table"

    def _asks_about_content(self, request: HttpRequest, obj: MessageTemplate) -> bool:
        return obj.content_changed_at is not None and self.has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if form.cleaned_data.get("content_seen"):
            obj.content_changed_at = None
        super().save_model(request, obj, form, change)
        if not obj.content:
            text = _("Without its content, values cannot be checked before they are sent.")
            self.message_user(request, text, messages.WARNING)
        if change and self.RELEASING.intersection(form.changed_data):
            self._release(request, obj)

    def _release(self, request: HttpRequest, obj: MessageTemplate) -> None:
        """Let what waited for this change go; only somebody who may send lets messages go."""
        if not may_send(request):
            return
        try:
            count = services.release_template(obj)
        except ConfigurationError as error:
            self.message_user(request, str(error), messages.ERROR)
            return
        if count:
            text = ngettext("%d waiting message goes on.", "%d waiting messages go on.", count)
            self.message_user(request, text % count, messages.SUCCESS)

    @admin.display(description=_("title"), ordering="title")
    def label(self, obj: MessageTemplate) -> str:
        return str(obj)

    @admin.display(description=_("state"))
    def state(self, obj: MessageTemplate) -> SafeString:
        return render_to_string(
            "wechat_notify/admin/template_state.html",
            {
                "usable": obj.is_active and obj.paused_at is None,
                "usable_badge": badge(_("Active"), "good"),
                "inactive_badge": "" if obj.is_active else badge(_("Inactive"), "quiet"),
                "paused_badge": badge(_("Paused"), "bad") if obj.paused_at else "",
                "changed_badge": badge(_("Content changed"), "doubt"),
                "why_paused": why_paused(obj),
                "instead": stand_in_used(obj),
                "template": obj,
                "ways": getattr(obj, "listed_ways", ()),
            },
        )

    @admin.display(description=_("fields"))
    def field_table(self, obj: MessageTemplate) -> SafeString:
        if not obj.fields:
            return format_html("{}", _("The content is not known. Sync the templates to fetch it."))
        words = words_of(obj.field_names)
        fields = [(field, words.get(field.name, "")) for field in obj.fields]
        return render_to_string(
            "wechat_notify/admin/template_fields.html", {"fields": fields, "named": bool(words)}
        )

    @admin.display(description=_("card"))
    def card(self, obj: MessageTemplate) -> SafeString:
        return template_card(obj)

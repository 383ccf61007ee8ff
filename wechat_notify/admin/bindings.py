"""Bindings: who has which openid, and whether they can be reached."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from .. import services
from ..delivery.recipients import is_openid
from ..models import OpenIDBinding, SendLog
from ..wechat.errors import describe
from .accounts import AccountChoicesMixin
from .base import may_see_openids
from .filters import AccountFilter, ReachFilter
from .links import link, list_url
from .paging import CappedPaginator
from .people import about, shown_openid, who
from .rechecking import RecheckMixin


class BindingForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    class Meta:
        model = OpenIDBinding
        fields = ("user", "account", "openid", "unionid", "subscribed")

    def clean_openid(self) -> str:
        openid: str = self.cleaned_data["openid"]
        if not is_openid(openid):
            raise ValidationError(_("This is not an openid."))
        return openid


@admin.register(OpenIDBinding)
class OpenIDBindingAdmin(RecheckMixin, AccountChoicesMixin):
    """Added and deleted here, never edited: an openid is not moved from one user to another, and
    whether its person follows the account is WeChat's to say.
    """

    form = BindingForm
    raw_id_fields = ("user",)
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    actions = ("recheck",)
    list_filter = (ReachFilter, "source", AccountFilter, "created_at")
    list_select_related = ("user",)
    search_fields = ("openid",)
    search_help_text = _("A name, or a whole openid")
    ordering = ("-pk",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        person = "who_with_openid" if may_see_openids(request) else "who_masked"
        return (person, "account", "follows", "reason", "source", "created_at", "send_log")

    def get_fields(self, request: HttpRequest, obj: OpenIDBinding | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("user", "account", "openid", "unionid", "subscribed")
        whole = may_see_openids(request)
        openids = ("openid", "unionid") if whole else ("masked_openid", "masked_unionid")
        follows = ("follows", "reason", "follow_changed_at")
        return ("user", "account", *openids, *follows, "source", "created_at", "send_log")

    def get_readonly_fields(
        self, request: HttpRequest, obj: OpenIDBinding | None = None
    ) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return (queryset.filter(about(search_term)) if search_term else queryset), False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        bound = services.bind(
            obj.user,
            obj.openid,
            account=obj.account,
            unionid=obj.unionid,
            source=OpenIDBinding.Source.MANUAL,
            subscribed=obj.subscribed,
        )
        obj.pk = bound.pk

    def delete_model(self, request: HttpRequest, obj: OpenIDBinding) -> None:
        services.unbind(obj.user, obj.openid, account=obj.account)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[OpenIDBinding]) -> None:
        for binding in queryset:
            self.delete_model(request, binding)

    @admin.display(description=_("user"), ordering="user")
    def who_with_openid(self, obj: OpenIDBinding) -> SafeString:
        return who(obj, whole=True)

    @admin.display(description=_("user"), ordering="user")
    def who_masked(self, obj: OpenIDBinding) -> SafeString:
        return who(obj, whole=False)

    @admin.display(description="openid")
    def masked_openid(self, obj: OpenIDBinding) -> str:
        return shown_openid(obj.openid, whole=False)

    @admin.display(description="unionid")
    def masked_unionid(self, obj: OpenIDBinding) -> str:
        return shown_openid(obj.unionid, whole=False)

    @admin.display(description=_("follows"), boolean=True, ordering="subscribed")
    def follows(self, obj: OpenIDBinding) -> bool:
        return obj.subscribed

    @admin.display(description=_("reason"))
    def reason(self, obj: OpenIDBinding) -> str:
        if not obj.unreachable_errcode:
            return ""
        return describe(obj.unreachable_errcode).cause_in_words()

    @admin.display(description=_("messages"))
    def send_log(self, obj: OpenIDBinding) -> SafeString:
        url = list_url(self.admin_site, SendLog, binding=obj.pk)
        return link(url, _("Send log") if url else "-")

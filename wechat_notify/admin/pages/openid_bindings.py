"""Bindings: who has which openid, and whether they can be reached."""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import NoReverseMatch, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ... import services
from ...exceptions import BindingConflict
from ...models import OpenIDBinding, SendLog
from ...names import account_name
from ...wechat.errors import describe
from ...wechat.openids import is_openid
from ..base import Button, page
from ..compose.choosable import People, search_term
from ..parts.account_choices import AccountChoicesMixin
from ..parts.filters import AccountFilter, ReachFilter
from ..parts.links import link, list_url
from ..parts.paging import CappedPaginator
from ..parts.people import about, shown_name, shown_openid, who
from ..parts.person_select import PersonField, PersonSelect, found_people
from ..parts.remedies import to_poster
from ..permissions import allowed_accounts, may_see_openids, may_see_users
from .inviting import InvitingMixin
from .rechecking import RecheckMixin


class BindingForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in its stubs only
    def clean_openid(self) -> str:
        openid: str = self.cleaned_data["openid"]
        if not is_openid(openid):
            raise ValidationError(_("This is not an openid."))
        return openid

    def clean_unionid(self) -> str:
        unionid: str = self.cleaned_data["unionid"]
        if unionid and not is_openid(unionid):
            raise ValidationError(_("This is not a unionid."))
        return unionid


class TakenForm(BindingForm):
    """Once the openid was bound to somebody else, after ``BindingForm`` had been checked."""

    def clean_openid(self) -> str:
        raise ValidationError(_("This WeChat belongs to another user of this site."))


class OpenIDBindingAdmin(RecheckMixin, InvitingMixin, AccountChoicesMixin):
    """Bindings are added and deleted here, never edited: an openid does not move from one user to
    another, and only WeChat knows whether its person follows the account.
    """

    form = BindingForm
    empty_text = _(
        "Nobody has bound WeChat yet. People do it themselves, on the page that binds WeChat; "
        "bindings of another system are imported by manage.py wechat_import_bindings."
    )
    raw_id_fields = ("user",)
    paginator = CappedPaginator
    show_facets = admin.ShowFacets.NEVER
    actions = ("recheck", "invite")
    list_filter = (ReachFilter, "source", AccountFilter, "created_at")
    list_select_related = ("user",)
    search_fields = ("openid",)
    search_help_text = _("A name, or a whole openid")
    ordering = ("-pk",)

    def first_steps(self, request: HttpRequest) -> list[Button]:
        """The page that binds, for each account; nothing where the site has not included it."""
        aliases = allowed_accounts(self.admin_site, request)
        try:
            pages = [(alias, reverse("wechat_notify:bind", args=[alias])) for alias in aliases]
        except NoReverseMatch:
            return []
        text = gettext("The page that binds WeChat: %(account)s")
        own = [Button(text % {"account": account_name(alias)}, url) for alias, url in pages]
        return own + to_poster(self.admin_site, request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        person = "who_with_openid" if may_see_openids(request) else "who_masked"
        return (person, "account_name", "follows", "reason", "source", "created_at", "send_log")

    def get_fields(self, request: HttpRequest, obj: OpenIDBinding | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("user", "account", "openid", "unionid", "subscribed")
        whole = may_see_openids(request)
        openids = ("openid", "unionid") if whole else ("masked_openid", "masked_unionid")
        follows = ("follows", "reason", "follow_changed_at")
        return ("person", "account_name", *openids, *follows, "source", "created_at", "send_log")

    def get_readonly_fields(
        self, request: HttpRequest, obj: OpenIDBinding | None = None
    ) -> tuple[str, ...]:
        return () if obj is None else self.get_fields(request, obj)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        return queryset.filter(about(search_term, self.admin_site, request)), False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Users are found by typing; who may not see users gives the key of one."""
        if db_field.name == "user" and may_see_users(self.admin_site, request):
            kwargs["form_class"] = PersonField
            kwargs["queryset"] = People(self.admin_site, request).all()
            kwargs["widget"] = PersonSelect(db_field, self.admin_site, "openidbinding_people")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    @page("people/", "people")
    def _people_view(self, request: HttpRequest) -> HttpResponse:
        """What ``PersonSelect`` fetches. It changes nothing."""
        if not (self.has_add_permission(request) and may_see_users(self.admin_site, request)):
            raise PermissionDenied
        people, term = People(self.admin_site, request), search_term(request.GET, "term")
        return JsonResponse(found_people(people.search(term) if term else people.all(), request))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        try:
            return super().add_view(request, form_url, extra_context)
        except BindingConflict:
            vars(request)["wechat_taken"] = True
            return super().add_view(request, form_url, extra_context)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if "wechat_taken" in vars(request):
            kwargs["form"] = TakenForm
        return super().get_form(request, obj, change, **kwargs)

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

    @admin.display(description=_("user"))
    def person(self, obj: OpenIDBinding) -> str:
        return shown_name(obj.user)

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

"""For a site's own admin: lists of users from which a WeChat message can be sent."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from ..models import Notification
from .compose.list_selection import UserList
from .parts.actions import list_action
from .permissions import can_compose_here

ACTION = "send_wechat_message"


class SendWeChatMessageMixin(UserList):
    """Adds the action "Send a WeChat message". The ticked rows, or all rows that the filters leave,
    become the recipients of a message that is composed on the next page.

    ::

        @admin.register(Guardian)
        class GuardianAdmin(SendWeChatMessageMixin, admin.ModelAdmin):
            wechat_user_field = "user"      # lookup from a row to its user; "user" by default

    A list of users themselves needs no ``wechat_user_field``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.actions is not None and ACTION not in self.actions:
            self.actions = [*self.actions, ACTION]

    def has_send_wechat_message_permission(self, request: HttpRequest) -> bool:
        """Called by Django for the action."""
        return can_compose_here(self.admin_site, request)

    @list_action(_("Send a WeChat message"), permission=ACTION)
    def send_wechat_message(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        """The first page of composing, with these recipients already chosen."""
        composer: Any = self.admin_site.get_model_admin(Notification)
        response: HttpResponse = composer.choose(request, self._chosen(request, queryset))
        return response

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[tuple[str, str]]:
        """The recipients as inputs of the composing form."""
        if request.POST.get("select_across", "0") != "0":
            query = request.GET.urlencode()
            return [("list_label", self.opts.label_lower), ("list_query", query)]
        pks = [str(pk) for pk in queryset.order_by().values_list("pk", flat=True)]
        if issubclass(self.model, get_user_model()):
            return [("users", pk) for pk in pks]
        return [("list_label", self.opts.label_lower), ("list_ids", ",".join(pks))]

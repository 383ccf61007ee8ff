"""For a site's own admin: lists of users from which a WeChat message can be sent."""

from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

from ..models import Notification
from .actions import list_action
from .compose.links import can_compose_here
from .compose.lists import UserList

ACTION = "send_wechat_message"


class SendWeChatMessageMixin(UserList):
    """Adds the action "Send a WeChat message": whoever is ticked, or every row that the filters
    leave, becomes the recipients of a message that is composed on the next page.

    ::

        @admin.register(Guardian)
        class GuardianAdmin(SendWeChatMessageMixin, admin.ModelAdmin):
            wechat_user_field = "user"      # how a row leads to its user; "user" anyhow

    On a list of users themselves nothing needs to be said.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.actions is not None and ACTION not in self.actions:
            self.actions = [*self.actions, ACTION]

    def has_send_wechat_message_permission(self, request: HttpRequest) -> bool:
        """Asked by Django for the action."""
        return can_compose_here(self.admin_site, request)

    @list_action(_("Send a WeChat message"), permission=ACTION)
    def send_wechat_message(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        """The first page of composing, with the recipients chosen already."""
        composer: Any = self.admin_site.get_model_admin(Notification)
        response: HttpResponse = composer.choose(request, self._chosen(request, queryset))
        return response

    def _chosen(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[tuple[str, str]]:
        """The recipients as the form's own inputs."""
        if request.POST.get("select_across", "0") != "0":
            query = request.GET.urlencode()
            return [("list_label", self.opts.label_lower), ("list_query", query)]
        pks = [str(pk) for pk in queryset.order_by().values_list("pk", flat=True)]
        if issubclass(self.model, get_user_model()):
            return [("users", pk) for pk in pks]
        return [("list_label", self.opts.label_lower), ("list_ids", ",".join(pks))]

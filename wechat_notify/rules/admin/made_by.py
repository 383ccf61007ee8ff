"""On a notification's page: which rule made it."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from ...admin.parts.links import link, object_link, object_url
from ...admin.parts.origins import origin
from ...models import Notification
from ..models import Firing


@origin
def made_by_rule(
    site: AdminSite, request: HttpRequest, notification: Notification
) -> SafeString | None:
    """The rule, and the firing that made the notification; links for those who may follow them."""
    firing = Firing.objects.filter(notification=notification).select_related("rule").first()
    if firing is None:
        return None
    name = format_html("{}", firing.rule_name)
    if firing.rule is not None and request.user.has_perm("wechat_notify_rules.view_rule"):
        name = object_link(site, firing.rule)
    about = format_html("{}", firing.object_text)
    if request.user.has_perm("wechat_notify_rules.view_firing"):
        about = link(object_url(site, firing), firing.object_text)
    return format_html(_("the rule {rule}, for {object}"), rule=name, object=about)

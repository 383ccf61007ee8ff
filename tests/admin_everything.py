"""Something of every kind for the admin to show, and every page that shows it."""

from tests import factories
from wechat_notify.delivery.breaker import Breaker
from wechat_notify.models import MessageTemplate, OpenIDBinding, RecipientFilter, SendLog
from wechat_notify.services import notify

TEXTS = {"character_string1": "2026112301", "thing2": "手工羊毛围巾"}


def make(template: MessageTemplate) -> dict[str, str]:
    """The addresses of the pages, by name. ``template`` is one of factories' own."""
    bindings = factories.make_bindings(12)
    notification = notify(bindings, template, TEXTS)
    logs = list(notification.logs.order_by("pk"))
    for log, status in zip(logs, SendLog.Status.values, strict=False):
        SendLog.objects.filter(pk=log.pk).update(status=status, errcode=43004, rid="1-2-3")
    SendLog.objects.filter(pk=logs[-1].pk).update(status="failed", errcode=-1)
    OpenIDBinding.objects.filter(pk=bindings[0].pk).update(subscribed=False)
    factories.make_template("gone", is_active=False)
    saved = RecipientFilter.objects.create(
        name="家长们", account="default", criteria={"everyone": True}
    )
    Breaker("default").trip(40164, "invalid ip 10.0.0.1")
    pages = {
        "app": "",
        "logs": "sendlog/",
        "log": f"sendlog/{logs[0].pk}/change/",
        "explain": f"sendlog/{logs[0].pk}/explain/",
        "dashboard": "sendlog/dashboard/",
        "notifications": "notification/",
        "choose": "notification/compose/",
        "compose": f"notification/compose/?template={template.pk}",
        "notification": f"notification/{notification.pk}/change/",
        "resend": f"notification/{notification.pk}/resend/",
        "cancel": f"notification/{notification.pk}/cancel/",
        "templates": "messagetemplate/",
        "template": f"messagetemplate/{template.pk}/change/",
        "gallery": "messagetemplate/gallery/",
        "sync": "messagetemplate/sync/",
        "bindings": "openidbinding/",
        "binding": f"openidbinding/{bindings[0].pk}/change/",
        "recipients": "recipientfilter/",
        "saved": f"recipientfilter/{saved.pk}/change/",
    }
    return {name: f"/admin/wechat_notify/{page}" for name, page in pages.items()}

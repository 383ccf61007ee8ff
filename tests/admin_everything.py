"""Something of every kind for the admin to show, and every page that shows it."""

from copy import deepcopy

from django.conf import settings
from django.test import override_settings

from tests import factories
from tests.library.models import Loan
from wechat_notify.alerts.comparing import look
from wechat_notify.models import (
    Alert,
    Draft,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    RecipientFilter,
    SendLog,
)
from wechat_notify.rules import second_person
from wechat_notify.rules.models import Firing, Rule
from wechat_notify.sending.breaker import Breaker
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
    held = hold(bindings, template)
    Draft.objects.create(
        account="default", template=template, title="冬季校服", inputs={"value_thing2": ["校服"]}
    )
    Breaker("default").trip(50007, "account frozen rid: 1-2-3")
    look()
    alert = Alert.objects.get()
    pages = {
        "app": "",
        "logs": "sendlog/",
        "log": f"sendlog/{logs[0].pk}/change/",
        "explain": f"sendlog/{logs[0].pk}/explain/",
        "dashboard": "sendlog/dashboard/",
        "notifications": "notification/",
        "choose": "notification/compose/",
        "compose": f"notification/compose/?template={template.pk}",
        "duplicate": f"notification/compose/?earlier={notification.pk}&outcome=all",
        "again": f"notification/compose/?earlier={notification.pk}&outcome=failed",
        "drafts": "draft/",
        "notification": f"notification/{notification.pk}/change/",
        "not reached": f"notification/{notification.pk}/not-reached/",
        "reschedule": f"notification/{notification.pk}/reschedule/",
        "resend": f"notification/{notification.pk}/resend/",
        "resend a cause": f"notification/{notification.pk}/resend/?status=failed&errcode=-1",
        "cancel": f"notification/{notification.pk}/cancel/",
        "held": f"notification/{held.pk}/change/",
        "to approve": "notification/to-approve/",
        "approve": f"notification/{held.pk}/approve/",
        "refuse": f"notification/{held.pk}/refuse/",
        "templates": "messagetemplate/",
        "template": f"messagetemplate/{template.pk}/change/",
        "gallery": "messagetemplate/gallery/",
        "sync": "messagetemplate/sync/",
        "bindings": "openidbinding/",
        "add binding": "openidbinding/add/",
        "binding": f"openidbinding/{bindings[0].pk}/change/",
        "poster": "openidbinding/poster/",
        "invite": f"openidbinding/invite/default/?user={bindings[0].user_id}",
        "recipients": "recipientfilter/",
        "saved": f"recipientfilter/{saved.pk}/change/",
        "alerts": "alert/",
        "alert": f"alert/{alert.pk}/change/",
    }
    own = {name: f"/admin/wechat_notify/{page}" for name, page in pages.items()}
    return {"index": "/admin/"} | own | make_rules(template, bindings[1])


def hold(bindings: list[OpenIDBinding], template: MessageTemplate) -> Notification:
    """A notification that waits for approval; asked for by nobody who looks at it."""
    wanted = {**deepcopy(settings.WECHAT_NOTIFY), "APPROVAL_ABOVE": 2}
    with override_settings(WECHAT_NOTIFY=wanted):
        return notify(bindings, template, TEXTS, _source=Notification.Source.ADMIN)


def make_rules(template: MessageTemplate, binding: OpenIDBinding) -> dict[str, str]:
    """A rule that is off, one that has stopped, what the first did, and their pages."""
    loan = Loan.objects.create(
        pk=template.pk, borrower=binding.user, title="昆虫记", status="ready", copies=2
    )
    columns = {
        "model": "library.loan",
        "event": "changed",
        "field": "status",
        "value": "ready",
        "recipients": [{"path": "borrower"}, {"path": "watchers"}],
        "template": template,
        "texts": {"character_string1": "{{ object.number }}", "thing2": "{{ object.title }}"},
    }
    tests = [{"field": "copies", "op": "more", "value": "1"}, {"field": "note", "op": "empty"}]
    conditions = {"match": "all", "tests": tests}
    rule = Rule.objects.create(pk=template.pk, name="到书提醒", conditions=conditions, **columns)
    broken = {**columns, "field": "state"}
    stopped = Rule.objects.create(name="逾期提醒", is_active=True, **broken)
    Rule.objects.filter(pk=stopped.pk).update(stopped_because="Rules may not see “state”.")
    would = [{"user": 1, "name": "王小明", "data": {"thing2": loan.title}, "problem": ""}]
    firing = Firing.objects.create(
        pk=template.pk,
        rule=rule,
        rule_name=rule.name,
        object_id=str(loan.pk),
        object_text=str(loan),
        is_dry_run=True,
        people=3,
        would=would,
    )
    asked = Rule.objects.create(name="催还通知", conditions=conditions, **columns)
    second_person.ask(asked, None)
    pages = {
        "rules": "rule/",
        "rule_add": "rule/add/",
        "rule": f"rule/{rule.pk}/change/",
        "rule_try": f"rule/{rule.pk}/try/",
        "rule_switch": f"rule/{rule.pk}/switch/on/",
        "rule_asked": f"rule/{asked.pk}/try/",
        "rule_approve": f"rule/{asked.pk}/approve/",
        "rule_refuse": f"rule/{asked.pk}/refuse/",
        "rule_withdraw": f"rule/{asked.pk}/withdraw/",
        "rule_stopped": f"rule/{stopped.pk}/switch/dry_run/",
        "firings": "firing/",
        "firing": f"firing/{firing.pk}/change/",
    }
    return {name: f"/admin/wechat_notify_rules/{page}" for name, page in pages.items()}

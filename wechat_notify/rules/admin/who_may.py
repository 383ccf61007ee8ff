"""Who may do what with rules. Every page of rules asks here.

Beside Django's own permissions for rules and ``switch_rule``: a rule sends messages, so nobody who
may not send may switch one on, and nobody writes a rule who may not see users. A rule of an account
that somebody may not use does not exist for them (``wechat_notify.admin.permissions``).
"""

from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from ...admin.permissions import may_see_users, may_send
from ..allowed import allowed_for


def may_write_rules(site: AdminSite, request: HttpRequest) -> bool:
    """Write rules, beside Django's permission to add or change them: texts and recipients are shown
    with real people's names."""
    return may_see_users(site, request)


def may_switch_rules(request: HttpRequest) -> bool:
    """Switch rules on and off, and to dry run."""
    return may_send(request) and request.user.has_perm("wechat_notify_rules.switch_rule")


def may_change_rule(site: AdminSite, request: HttpRequest, rule: Any) -> bool:
    """Change this rule. What is on sends as soon as it is saved, so that takes switching too; and
    nobody changes what is told of objects that they may not see."""
    if rule.is_active and not rule.dry_run and not may_switch_rules(request):
        return False
    try:
        return may_see_objects(site, request, allowed_for(rule.model).model)
    except LookupError:  # it can only be made a rule about something else
        return True


def may_see_objects(site: AdminSite, request: HttpRequest, model: type[Model]) -> bool:
    """See objects that a rule is about: as their own admin says, or by Django's permission."""
    if site.is_registered(model):
        return bool(site.get_model_admin(model).has_view_permission(request))
    return request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")


def visible_objects(site: AdminSite, request: HttpRequest, model: type[Model]) -> QuerySet[Any]:
    """The objects of ``model`` that this member of staff may see; those that the model's own admin
    hides by its ``get_queryset`` are hidden here too."""
    rows = model._default_manager.all()
    if not may_see_objects(site, request, model):
        return rows.none()
    if site.is_registered(model):
        shown: QuerySet[Any] = site.get_model_admin(model).get_queryset(request)
        return shown
    return rows

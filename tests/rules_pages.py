"""Rules in the admin as a browser sees them: who writes, what is filled in, what a page says."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from tests import factories
from tests.library.models import Loan
from wechat_notify.models import MessageTemplate
from wechat_notify.rules.models import Rule

SEE = ("view_rule", "view_firing")
WRITE = (*SEE, "add_rule", "change_rule", "view_user", "view_loan", "view_recipientfilter")
SWITCH = (*SEE, "switch_rule", "send_notification")

FILLED: dict[str, Any] = {
    "name": "Ready to be fetched",
    "model": "library.loan",
    "event": "changed",
    "field": "status",
    "value": "ready",
    "tests": "0",
    "match": "all",
    "paths": ["borrower"],
    "text_character_string1": "{{ object.number }}",
    "text_thing2": "{{ object.title }}",
    "link": "object",
    "priority": "20",
}


def address(name: str = "changelist", *args: Any, model: str = "rule") -> str:
    return reverse(f"admin:wechat_notify_rules_{model}_{name}", args=args)


def clerk(*codenames: str, name: str = "clerk") -> Any:
    """A member of staff with exactly these permissions, of whatever app."""
    user, _new = get_user_model().objects.get_or_create(username=name, is_staff=True)
    wanted = Permission.objects.filter(codename__in=codenames)
    assert {one.codename for one in wanted} == set(codenames)
    user.user_permissions.set(wanted)
    return user


def browser(*codenames: str, name: str = "clerk") -> Client:
    """A browser in which such a member of staff is logged in."""
    client = Client()
    client.force_login(clerk(*codenames, name=name))
    return client


def filled(template: MessageTemplate, **more: Any) -> dict[str, Any]:
    """The form, filled in well: whoever has borrowed something is told when it is ready."""
    return {**FILLED, "template": template.pk, **more}


def make_rule(template: MessageTemplate, **more: Any) -> Rule:
    """The same rule as a row."""
    row = {
        "name": "Ready to be fetched",
        "model": "library.loan",
        "event": "changed",
        "field": "status",
        "value": "ready",
        "recipients": [{"path": "borrower"}],
        "template": template,
        "texts": {
            "character_string1": "{{ object.number }}",
            "thing2": "{{ object.title }}",
        },
    }
    return Rule.objects.create(**{**row, **more})


def make_loan(person: int = 1, **more: Any) -> Loan:
    """A loan that is ready, of somebody who has bound WeChat: user1, or another ``person``."""
    borrower = more.pop("borrower", None) or factories.make_binding(number=person).user
    return Loan.objects.create(**{"borrower": borrower, "title": "围巾", "status": "ready", **more})


def errors(response: Any) -> dict[str, str]:
    """What the form says is wrong, by input and by row of conditions."""
    said: dict[str, str] = response.context["form"].problems()
    return said

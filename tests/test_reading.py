"""A site that reads from a replica which never catches up: what was just written is found."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from tests.factories import ORDER, ORDER_CONTENT, make_user, openid
from wechat_notify.models import MessageTemplate, OpenIDBinding, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import (
    bind,
    cancel,
    notify,
    pause,
    resend,
    resume,
    sync_templates,
    unbind,
)

User = get_user_model()
# The replica's connection is not allowed: whoever asks it fails.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def replica(template: MessageTemplate, settings: Any) -> None:
    settings.DATABASE_ROUTERS = ["tests.routers.ReadsElsewhere"]


def statuses(logs: Any) -> list[str]:
    return list(logs.using("default").order_by("pk").values_list("status", flat=True))


@pytest.mark.parametrize(
    "recipients",
    [
        lambda user, binding: user,
        lambda user, binding: [user],
        lambda user, binding: User.objects.filter(pk=user.pk),
        lambda user, binding: User.objects.filter(pk=user.pk)[:1],
        lambda user, binding: binding,
        lambda user, binding: binding.openid,
        lambda user, binding: OpenIDBinding.objects.filter(pk=binding.pk),
    ],
    ids=["user", "list", "users", "sliced", "binding", "openid", "bindings"],
)
@pytest.mark.parametrize("data", [ORDER, lambda person: ORDER], ids=["shared", "own data"])
def test_bound_and_notified_in_one_request(recipients: Callable[..., Any], data: Any) -> None:
    """Whoever was bound a moment ago is found."""
    user = make_user("li")
    binding = bind(user, openid(1))
    notification = notify(recipients(user, binding), "order_paid", data)
    assert statuses(notification.logs) == ["sent"]
    assert notification.logs.using("default").get().user_id == user.pk


def test_the_verbs(configure: Callable[..., None]) -> None:
    """notify with a key, pause, resume, cancel, resend, unbind."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    user = make_user("li")
    bind(user, openid(1))
    first = notify(user, "order_paid", ORDER, key="1")
    assert notify(user, "order_paid", ORDER, key="1") == first
    assert (pause(first), resume(first), cancel(first)) == (1, 1, 1)
    assert len(resend(SendLog.objects.using("default").filter(notification=first))) == 1
    unbind(user)
    assert statuses(notify(user, "order_paid", ORDER).logs) == ["skipped"]


def test_templates_synchronised_and_used_at_once(wechat: Sandbox) -> None:
    """The sync's own rows, and a command that sends by a name it has just given."""
    wechat.add_template({"template_id": "x" * 43, "title": "新模板", "content": ORDER_CONTENT})
    assert sync_templates().created
    assert not sync_templates().created
    made = MessageTemplate.objects.using("default").get(title="新模板")
    fields = [f"{name}={value}" for name, value in ORDER.items()]
    call_command("wechat_send", made.name, *fields, f"--openid={openid(1)}", verbosity=0)
    assert list(wechat.counts) == [openid(1)]


def test_the_admin_shows_what_was_just_saved(client: Client) -> None:
    """The list and the page of an object, right after the redirect."""
    client.force_login(User.objects.create_superuser("admin"))
    binding = bind(make_user("li"), openid(1))
    notification = notify(binding, "order_paid", ORDER)
    for model, pk in (
        ("openidbinding", binding.pk),
        ("notification", notification.pk),
        ("sendlog", notification.logs.using("default").get().pk),
        ("messagetemplate", notification.template_id),
    ):
        assert client.get(reverse(f"admin:wechat_notify_{model}_changelist")).status_code == 200
        page = reverse(f"admin:wechat_notify_{model}_change", args=[pk])
        assert client.get(page).status_code == 200

"""What migrations make of rows that are there."""

from collections.abc import Iterator

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from tests.factories import make_binding
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sending import engine
from wechat_notify.services import notify

APP = "wechat_notify"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def executor() -> Iterator[MigrationExecutor]:
    """Afterwards the schema is the newest again, whatever has failed; other apps' too, whose
    migrations depend on this app's and are undone with them.
    """
    yield MigrationExecutor(connection)
    again = MigrationExecutor(connection)
    again.migrate(again.loader.graph.leaf_nodes())


def test_rows_from_before_field_names(executor: MigrationExecutor) -> None:
    """A key finds what it made, and what waited leaves, with a first revision of its template."""
    nodes = executor.loader.graph.nodes
    [target] = (node for node in nodes if node[0] == APP and node[1].endswith("_field_names"))
    parents = executor.loader.graph.node_map[target].parents
    before = [node.key for node in parents if node.key[0] == APP]
    executor.migrate(before)
    old = executor.loader.project_state(before).apps
    template = old.get_model(APP, "MessageTemplate").objects.create(
        name="order_paid", template_id="A" * 43, content="单号：{{character_string1.DATA}}"
    )
    keyed = old.get_model(APP, "Notification").objects.create(
        template=template, key="order-7", data={"character_string1": {"value": "7"}}
    )
    old.get_model(APP, "SendLog").objects.create(
        notification=keyed, account="default", openid="oTest-somebody-000000000001"
    )
    newest = MigrationExecutor(connection)
    newest.migrate(newest.loader.graph.leaf_nodes(APP))

    now = MessageTemplate.objects.get()
    assert now.is_revised
    found = notify(make_binding(), "order_paid", {"character_string1": "7"}, key="order-7")
    assert (found.pk, found.is_new) == (keyed.pk, False)
    assert Notification.objects.count() == 1
    SendLog.objects.update(due_at=now.revision.created_at)
    engine.deliver()
    row = SendLog.objects.get()
    assert (row.status, row.revision) == ("sent", now.revision)


def test_rows_from_before_titles(executor: MigrationExecutor) -> None:
    """They are named by their first values, found by their number, and sent; nothing is rewritten.

    What a worker of the version before writes meanwhile has no title either.
    """
    [target] = (
        node for node in executor.loader.graph.nodes if node[0] == APP and "_titles_" in node[1]
    )
    parents = executor.loader.graph.node_map[target].parents
    before = [node.key for node in parents if node.key[0] == APP]
    executor.migrate(before)
    old = executor.loader.project_state(before).apps
    template = old.get_model(APP, "MessageTemplate").objects.create(
        name="order_paid", template_id="A" * 43, content="单号：{{character_string1.DATA}}"
    )
    made = old.get_model(APP, "Notification").objects.create(
        template=template, data={"character_string1": {"value": "7"}}
    )
    newest = MigrationExecutor(connection)
    newest.migrate(newest.loader.graph.leaf_nodes(APP))

    now = Notification.objects.get()
    assert (now.title, now.search_text) == ("", None)
    assert str(now) == f"7 #{made.pk}"
    late = old.get_model(APP, "Notification")(template=template, data={})
    late.save()  # the model of the version before names no new column
    assert Notification.objects.get(pk=late.pk).title == ""
    assert not Notification.objects.filter(is_test=True).exists()
    row = SendLog.objects.create(
        notification=now,
        account="default",
        openid="oTest-somebody-000000000001",
        due_at=now.created_at,
    )
    engine.deliver()
    row.refresh_from_db()
    assert row.status == "sent"
    assert row.finished_at is not None

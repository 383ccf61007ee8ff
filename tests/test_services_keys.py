"""Idempotency keys: the second call with the same account, template and key sends nothing."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction

from tests.databases import sqlite_url
from tests.factories import ORDER, make_binding, make_template
from wechat_notify.backends import locmem
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.services import notify

ROOT = Path(__file__).parent.parent


@pytest.mark.django_db
def test_the_second_call_returns_the_firsts_notification(template: MessageTemplate) -> None:
    """Whatever else the second call says, nothing new is written."""
    first = notify(make_binding(number=1), template, ORDER, key="order-1")
    second = notify(make_binding(number=2), "order_paid", {"nothing": "good"}, key="order-1")
    assert second == first
    assert SendLog.objects.count() == 1


@pytest.mark.django_db
def test_the_notification_says_which_call_made_it(template: MessageTemplate) -> None:
    """is_new: True where it was made, False where the key found it, None from the database."""
    first = notify([], template, ORDER, key="order-1")
    second = notify([], template, ORDER, key="order-1")
    without_key = notify([], template, ORDER)
    assert (first.is_new, second.is_new, without_key.is_new) == (True, False, True)
    assert Notification.objects.get(pk=first.pk).is_new is None


@pytest.mark.django_db
def test_keys_belong_to_their_template_and_account(template: MessageTemplate) -> None:
    """Other templates and other accounts may use the same key."""
    others = [make_template("refunded"), make_template(account="other", template_id="T2")]
    pks = {notify([], one, ORDER, key="1").pk for one in [template, *others]}
    assert len(pks) == 3


@pytest.mark.django_db
def test_no_key_is_no_promise(template: MessageTemplate) -> None:
    """Calls without a key are messages of their own."""
    assert notify([], template, ORDER).pk != notify([], template, ORDER).pk


@pytest.mark.django_db(transaction=True)
def test_a_key_is_free_again_after_a_rollback(template: MessageTemplate) -> None:
    """What was rolled back was never asked for, so the next call sends."""
    binding = make_binding()
    with transaction.atomic():
        notify(binding, template, ORDER, key="order-1")
        transaction.set_rollback(True)
    assert locmem.outbox == []
    notify(binding, template, ORDER, key="order-1")
    assert len(locmem.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_the_second_call_in_a_transaction_leaves_it_usable(template: MessageTemplate) -> None:
    """Twice inside one atomic() is one message, and the transaction goes on to commit."""
    binding = make_binding()
    with transaction.atomic():
        first = notify(binding, template, ORDER, key="order-1")
        assert notify(binding, template, ORDER, key="order-1") == first
    assert len(locmem.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_a_lost_race_returns_the_winners_notification(template: MessageTemplate) -> None:
    """A key that is used between our look and our write is found to be used by the database."""

    class SlowData(dict[str, str]):
        """Somebody else is done before its values are read."""

        def __getitem__(self, name: str) -> str:
            Notification.objects.get_or_create(template=template, key="order-1")
            return super().__getitem__(name)

    binding = make_binding()
    lost = notify(binding, template, SlowData(ORDER), key="order-1")
    assert lost == Notification.objects.get()
    assert lost.is_new is False
    assert SendLog.objects.count() == 0


@pytest.mark.django_db
def test_another_integrity_error_is_not_swallowed(template: MessageTemplate) -> None:
    """Only a used key means "already sent"; anything else that the database refuses is raised."""
    with pytest.raises(IntegrityError), transaction.atomic():
        notify([], template, ORDER, key="order-1", _source=None)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_racing_threads_send_one_message(tmp_path: Path) -> None:
    """Eight threads with the same key at the same moment: one notification, one message."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.key_race"],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "DATABASE_URL": sqlite_url(tmp_path),
            "CACHE_URL": "locmemcache://",
        },
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert answer.returncode == 0, answer.stderr.decode()
    found = json.loads(answer.stdout)
    assert found == {"errors": [], "notifications": 1, "returned": 1, "rows": 1, "sent": 1}


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_racing_threads_on_a_database_server(template: MessageTemplate) -> None:
    """The same where writers do not wait for each other at BEGIN."""
    if connection.vendor == "sqlite":
        pytest.skip("DATABASE_URL names no server")
    binding = make_binding()
    barrier = threading.Barrier(8)
    found: set[int] = set()

    def call() -> None:
        barrier.wait()
        with transaction.atomic():
            found.add(notify(binding, template, ORDER, key="order-1").pk)
        connection.close()

    threads = [threading.Thread(target=call) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == Notification.objects.count() == 1
    assert len(locmem.outbox) == 1

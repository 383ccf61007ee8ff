"""Many at once: what the database refuses for the others' sake reaches no caller."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.utils import timezone

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from tests.sizes import sized
from wechat_notify.approving import approve
from wechat_notify.binding.following import note
from wechat_notify.exceptions import BindingConflict
from wechat_notify.models import (
    BindingChange,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    Receipt,
    SendLog,
)
from wechat_notify.receipts.settling import settle
from wechat_notify.retention import prune
from wechat_notify.sending import engine
from wechat_notify.services import (
    bind,
    cancel,
    notify,
    pause,
    resend,
    resume,
    resume_template,
    unbind,
)

pytestmark = [pytest.mark.services, pytest.mark.django_db(transaction=True)]

Status = SendLog.Status
Configure = Callable[..., None]


@pytest.fixture(autouse=True, params=["read committed", "repeatable read"])
def isolation(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Connections at this level, where the server is MariaDB; Django's default is the first."""
    level = str(request.param)
    if connection.vendor == "sqlite":
        pytest.skip("needs DATABASE_URL to name a PostgreSQL or MariaDB server")
    if connection.vendor == "mysql":
        connection.close()
        options = connection.settings_dict.setdefault("OPTIONS", {})
        monkeypatch.setitem(options, "isolation_level", level)
    elif level != "read committed":
        pytest.skip("MariaDB's own default")
    yield level
    connection.close()


@pytest.fixture(autouse=True)
def only_workers_send(configure: Configure) -> None:
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


def together(*calls: Callable[[], Any]) -> list[BaseException]:
    """Run each in a thread of its own, all at the same moment. Returns what they raised."""
    barrier = threading.Barrier(len(calls))
    errors: list[BaseException] = []

    def run(call: Callable[[], Any]) -> None:
        try:
            with connections["default"].cursor():  # so that connecting is over
                barrier.wait(timeout=300)
            call()
        except BaseException as error:  # noqa: BLE001 - told by the test
            errors.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[call]) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


def test_twelve_bind_one_openid(isolation: str) -> None:
    """Of one user: one binding, one change on record, and nobody hears of the race."""
    user = make_user()
    for number in range(sized(4)):
        errors = together(*[lambda number=number: bind(user, openid(number))] * 12)
        assert errors == []
        assert OpenIDBinding.objects.filter(openid=openid(number)).count() == 1
        assert BindingChange.objects.filter(openid=openid(number)).count() == 1


def test_twelve_users_bind_one_openid(isolation: str) -> None:
    """One gets it, each other one hears who may not, and each attempt is on record."""
    users = [make_user(f"user{number}") for number in range(12)]
    for number in range(sized(4)):
        calls = [lambda user=user, number=number: bind(user, openid(number)) for user in users]
        errors = together(*calls)
        assert [type(error) for error in errors] == [BindingConflict] * 11, errors
        assert OpenIDBinding.objects.filter(openid=openid(number)).count() == 1
        assert BindingChange.objects.filter(openid=openid(number)).count() == 12


def test_binding_and_unbinding_at_once(isolation: str) -> None:
    """Whoever comes last decides; nobody gets an error."""
    user = make_user()
    turns = sized(10)

    def come_and_go() -> None:
        for number in range(turns):
            bind(user, openid(number % 3))
            unbind(user, openid(number % 3))

    assert together(*[come_and_go] * 6) == []


def test_openids_that_move_and_go_at_once(isolation: str, configure: Configure) -> None:
    """Nor where an openid moves to whoever shows it, and news of its person comes in."""
    configure(BINDING_CONFLICT="move")
    users = [make_user(f"user{number}") for number in range(4)]
    three, turns = [openid(number) for number in range(3)], sized(10)

    def come_and_go(user: Any) -> None:
        for number in range(turns):
            bind(user, openid(number % 3), source="qr", unionid=f"u{user.pk}")
            unbind(user, openid((number + 1) % 3))

    def news(openids: list[str]) -> None:
        for number in range(turns):
            now = timezone.now()
            note("default", openids, subscribed=number % 2 == 0, known_at=now, source="event")

    goers = [lambda user=user: come_and_go(user) for user in users]
    assert together(*goers, lambda: news(three), lambda: news(three[::-1])) == []


def test_one_key_in_the_callers_own_transactions(isolation: str) -> None:
    """Eight transactions that notify() with one key: one notification, and each gets it."""
    template, binding = make_template(), make_binding()
    found: list[int] = []

    def order(number: int) -> None:
        with transaction.atomic():
            Notification.objects.count()  # as a site reads before: the snapshot is taken
            found.append(notify(binding, template, ORDER, key=f"order-{number}").pk)

    for number in range(sized(8)):
        found.clear()
        assert together(*[lambda number=number: order(number)] * 8) == []
        assert len(found) == 8
        assert len(set(found)) == 1
    assert Notification.objects.count() == SendLog.objects.count() == sized(8)


def test_several_keys_in_the_callers_own_transactions(isolation: str) -> None:
    """Neighbouring keys, too: what locks the place of one must not lock out the next one's."""
    template, binding = make_template(), make_binding()
    people = itertools.count()

    def orders() -> None:
        first = next(people)
        for number in range(sized(12)):
            with transaction.atomic():
                notify(binding, template, ORDER, key=f"order-{(first + number) % sized(12)}")

    assert together(*[orders] * 6) == []
    assert Notification.objects.count() == sized(12)


def test_one_key_without_a_transaction(isolation: str) -> None:
    """Nor does a call that owns its transaction fail."""
    template, binding = make_template(), make_binding()
    for number in range(sized(8)):
        calls = [lambda number=number: notify(binding, template, ORDER, key=f"order-{number}")] * 8
        assert together(*calls) == []
    assert Notification.objects.count() == SendLog.objects.count() == sized(8)


def test_verbs_under_a_running_worker(isolation: str, configure: Configure) -> None:
    """Paused, resumed and cancelled while two workers send: no verb and no worker fails."""
    configure(CONCURRENCY=4, BATCH_SIZE=20)
    template = make_template()
    notifications = [
        notify([openid(1_000 * n + m) for m in range(sized(150))], template, ORDER)
        for n in range(3)
    ]
    ends = time.monotonic() + sized(4, 40)

    def work() -> None:
        while time.monotonic() < ends:
            engine.deliver()
            resend(SendLog.objects.filter(status=Status.SENT).order_by("pk")[:20])
            time.sleep(0.01)

    def play(verb: Callable[[Notification], Any], other: Callable[[Notification], Any]) -> None:
        for notification in itertools.cycle(list(Notification.objects.order_by("pk"))):
            if time.monotonic() > ends:
                return
            verb(notification)
            other(notification)

    def resume_the_template() -> None:
        while time.monotonic() < ends:
            resume_template(MessageTemplate.objects.get(pk=template.pk))

    verbs = [lambda: play(pause, resume), lambda: play(resume, pause), resume_the_template]
    last = [lambda: [time.sleep(sized(3, 30)), cancel(notifications[0])]]
    assert together(work, work, *verbs, *verbs[:2], *last) == []
    for notification in Notification.objects.all():
        resume(notification)
    engine.deliver()
    assert {s for s, n in SendLog.objects.all().counts().items() if n} <= {"sent", "cancelled"}


@pytest.mark.parametrize("verb", ["approve", "resume"])
def test_let_go_while_its_template_is_resumed(
    isolation: str, configure: Configure, verb: str
) -> None:
    """Whoever comes second frees the rows: none of them waits for nothing, and for ever."""
    configure(APPROVAL_ABOVE=2)
    template, second = make_template(), make_user("second")
    asked: dict[str, Any] = {}
    if verb == "approve":
        asked = {"created_by": make_user("asker"), "_source": Notification.Source.ADMIN}
    notification = notify(make_bindings(3), template, ORDER, **asked)
    if verb == "resume":
        pause(notification)
    MessageTemplate.objects.update(paused_at=timezone.now())
    looked, freed = threading.Event(), threading.Event()

    def hold(execute: Any, sql: str, *more: Any) -> Any:
        result = execute(sql, *more)
        if sql.startswith("UPDATE") and "sendlog" in sql:
            looked.set()
            freed.wait(2)  # not before its end, where the other verb waits for this one
        return result

    def resume_slowly() -> None:
        with connection.execute_wrapper(hold):
            resume_template(MessageTemplate.objects.get())

    def free() -> None:
        assert looked.wait(300)
        this = Notification.objects.get()
        if verb == "approve":
            approve(this, second)
        else:
            resume(this)
        freed.set()

    assert together(resume_slowly, free) == []
    assert not notification.logs.filter(due_at=None).exists()


def test_retention_runs_into_receipts(isolation: str) -> None:
    """Rows are deleted while their receipts come, settle and are deleted: nobody gets an error."""
    messages = sized(300)
    notification = Notification.objects.create(template=make_template(), data={})
    now = timezone.now()
    SendLog.objects.bulk_create(
        SendLog(
            notification=notification,
            account="default",
            openid=openid(number % 40),
            msgid=number,
            status=Status.SENT,
            sent_at=now,
        )
        for number in range(1, messages + 1)
    )
    Receipt.objects.bulk_create(
        Receipt(
            account="default",
            openid=openid(number % 40),
            msgid=number,
            status="success",
            event_at=now + timedelta(seconds=repeat),
        )
        for number in range(1, messages + 1)
        for repeat in range(3)
    )

    def settle_all() -> None:
        for _ in range(10):
            settle(limit=messages)

    def prune_all() -> None:
        for _ in range(3):
            prune(timezone.now() + timedelta(hours=1))

    assert together(settle_all, settle_all, prune_all, prune_all) == []
    assert SendLog.objects.count() == Notification.objects.count() == Receipt.objects.count() == 0

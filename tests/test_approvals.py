"""Messages to many people: what is held, what never frees it, and who decides."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone, translation

from tests.databases import sqlite_url
from tests.factories import ORDER, make_bindings, make_template, make_user
from wechat_notify import duties, services
from wechat_notify.approving import approve, expire_held, fingerprint, refuse
from wechat_notify.backends import locmem
from wechat_notify.exceptions import CannotDecide
from wechat_notify.models import (
    Approval,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    SendLog,
)
from wechat_notify.sending import engine, outbox
from wechat_notify.services import cancel, notify, pause, resend, resume
from wechat_notify.template_sync import name_fields

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).parent.parent
Status = SendLog.Status
ADMIN = Notification.Source.ADMIN


@pytest.fixture(autouse=True)
def limit(configure: Callable[..., None]) -> None:
    """Above two recipients a second person approves."""
    configure(APPROVAL_ABOVE=2)


@pytest.fixture
def asker() -> Any:
    return make_user("wang", last_name="王", first_name="芳")


@pytest.fixture
def second() -> Any:
    return make_user("li", last_name="李", first_name="四")


@pytest.fixture
def held(template: MessageTemplate, asker: Any) -> Notification:
    """Three messages that somebody has asked for in the admin, and that are held."""
    return notify(make_bindings(3), template, ORDER, created_by=asker, _source=ADMIN)


def statuses(notification: Notification) -> dict[str, int]:
    return {status: n for status, n in notification.counts.items() if n}


def due(notification: Notification) -> int:
    """How many of its rows a worker may take, now or later."""
    return notification.logs.filter(status="pending", due_at__isnull=False).count()


def decision(notification: Notification) -> tuple[str, str, str]:
    found = Approval.objects.get(notification=notification)
    return found.decision, found.decided_by_name, found.reason


# -- what is held -----------------------------------------------------------------------------


def test_above_the_limit_it_is_held(held: Notification, asker: Any) -> None:
    """The rows are written and none is due; who asked, and for how many, is kept."""
    assert held.held_at is not None
    assert (statuses(held), due(held)) == ({"pending": 3}, 0)
    found = Approval.objects.get(notification=held)
    assert (found.asked_by, found.asked_by_name, found.messages) == (asker, "王芳", 3)
    assert found.is_open


@pytest.mark.parametrize("people", ["two", "three of whom one is skipped"])
def test_up_to_the_limit_it_goes(template: MessageTemplate, asker: Any, people: str) -> None:
    """Those count who would get it."""
    bindings = make_bindings(2 if people == "two" else 3)
    if len(bindings) == 3:
        OpenIDBinding.objects.filter(pk=bindings[0].pk).update(subscribed=False)
        bindings = list(OpenIDBinding.objects.all())
    made = notify(bindings, template, ORDER, created_by=asker, _source=ADMIN)
    assert (made.held_at, due(made)) == (None, 2)
    assert not Approval.objects.exists()


def test_without_the_setting_nothing_is_held(
    template: MessageTemplate, asker: Any, configure: Callable[..., None]
) -> None:
    """The default."""
    configure(APPROVAL_ABOVE=None)
    made = notify(make_bindings(3), template, ORDER, created_by=asker, _source=ADMIN)
    assert (made.held_at, due(made)) == (None, 3)


@pytest.mark.parametrize("way", ["a list", "a QuerySet", "a function"])
def test_every_way_of_writing_is_held(template: MessageTemplate, asker: Any, way: str) -> None:
    """Also where the database copies the rows, and where each recipient has data of its own."""
    bindings = make_bindings(3)
    users: Any = bindings if way == "a list" else OpenIDBinding.objects.all()
    data: Any = (lambda _user: ORDER) if way == "a function" else ORDER
    made = notify(users, template, data, created_by=asker, _source=ADMIN)
    assert (made.held_at is not None, due(made)) == (True, 0)


@pytest.mark.parametrize("source", [one for one in Notification.Source if one != ADMIN])
def test_code_is_not_held(template: MessageTemplate, source: str) -> None:
    """notify() in code, triggers and commands are reviewed otherwise."""
    made = notify(make_bindings(3), template, ORDER, _source=source)
    assert (made.held_at, due(made)) == (None, 3)


def test_a_resend_by_hand_is_held_as_a_whole(template: MessageTemplate, asker: Any) -> None:
    """Three messages of two notifications, each below the limit, are one act above it. What code
    resends is not held."""
    first, second, third = make_bindings(3)
    olds = [notify([first, second], template, ORDER), notify(third, template, ORDER)]
    SendLog.objects.update(status="failed", due_at=None)
    logs = SendLog.objects.filter(notification__in=olds)
    made = services.resend_notifications(logs, created_by=asker, needs_approval=True)
    assert [one.held_at is not None for one in made] == [True, True]
    assert [due(one) for one in made] == [0, 0]
    assert list(Approval.objects.order_by("pk").values_list("messages", flat=True)) == [2, 1]
    assert resend(logs).filter(due_at__isnull=False).count() == 3


def test_a_resend_that_is_asked_for_twice_is_held_once(
    template: MessageTemplate, asker: Any
) -> None:
    """The second answer to the same page makes no second request."""
    old = notify(make_bindings(3), template, ORDER)
    SendLog.objects.update(status="failed", due_at=None)
    ask = {"created_by": asker, "token": "a" * 32, "needs_approval": True}
    [first] = services.resend_notifications(old.logs.all(), **ask)
    [second] = services.resend_notifications(old.logs.all(), **ask)
    assert (first.pk, second.is_new) == (second.pk, False)
    assert Approval.objects.count() == 1


# -- nothing but an approval frees it ---------------------------------------------------------


def _resume_after_pause(held: Notification) -> None:
    pause(held)
    resume(held)


def _ban_and_resume(held: Notification) -> None:
    MessageTemplate.objects.update(paused_at=timezone.now())
    services.resume_template(MessageTemplate.objects.get(pk=held.template_id))


def _release_with_stand_in(held: Notification) -> None:
    stand_in = make_template("again")
    MessageTemplate.objects.filter(pk=held.template_id).update(
        paused_at=timezone.now(), stand_in=stand_in
    )
    services.release_template(MessageTemplate.objects.get(pk=held.template_id))
    services.release_template(stand_in)


def _replace(held: Notification) -> None:
    services.replace_template(held.template, make_template("again"))


def _name_fields(held: Notification) -> None:
    name_fields(held.template.name, {"order_no": "character_string1"})


def _resend(held: Notification) -> None:
    assert not resend(held.logs.all()).exists()


def _free_parked(held: Notification) -> None:
    outbox.free_parked(list(held.logs.values_list("pk", flat=True)))


def _requeue(held: Notification) -> None:
    now = timezone.now()
    outbox.requeue_abandoned("default", now=now, due_at=now, lease=0, window=timedelta(minutes=5))


def _wait_for_long(held: Notification) -> None:
    Notification.objects.update(created_at=timezone.now() - timedelta(days=30))
    outbox.give_up("default", before=timezone.now(), errmsg="outage")


def _due_by_hand(held: Notification) -> None:
    """As another verb would do that knows nothing of approvals."""
    held.logs.update(due_at=timezone.now() - timedelta(minutes=1))


def _time_edited(held: Notification) -> None:
    Notification.objects.update(send_at=timezone.now() - timedelta(minutes=1))
    resume(held)


def _reschedule(held: Notification) -> None:
    services.reschedule(held, send_at=timezone.now() + timedelta(hours=1))
    services.reschedule(held, send_at=None)


VERBS: list[Callable[[Notification], Any]] = [
    resume,
    _resume_after_pause,
    lambda _held: services.resume_account("default"),
    _ban_and_resume,
    _release_with_stand_in,
    _replace,
    _name_fields,
    _resend,
    _free_parked,
    _requeue,
    _wait_for_long,
    _due_by_hand,
    _time_edited,
    _reschedule,
    lambda held: services.dispatch([held]),
    lambda _held: duties.run_due(),
    lambda _held: expire_held(),
]


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.__name__.strip("_"))
def test_no_other_verb_frees_what_is_held(
    held: Notification,
    second: Any,
    verb: Callable[[Notification], Any],
    django_capture_on_commit_callbacks: Any,
) -> None:
    """Nothing leaves, by a worker or in the process that calls; and an approval still works."""
    with django_capture_on_commit_callbacks(execute=True):
        verb(held)
    engine.deliver()
    call_command("wechat_deliver", stdout=StringIO())
    assert locmem.outbox == []
    assert (statuses(held), due(held)) == ({"pending": 3}, 0)
    if held.template.rests:
        return
    with django_capture_on_commit_callbacks(execute=True):
        approve(held, second)
    held.refresh_from_db()
    assert held.held_at is None
    assert len(locmem.outbox) == (0 if held.paused_at else 3)


@pytest.mark.django_db(transaction=True)
def test_a_template_that_is_resumed_before_the_commit_frees_nothing(
    template: MessageTemplate, asker: Any
) -> None:
    """Rows of a template at rest look again after the commit whether they may go."""
    MessageTemplate.objects.update(paused_at=timezone.now())
    template.refresh_from_db()
    bindings = make_bindings(3)
    with transaction.atomic():
        made = notify(bindings, template, ORDER, created_by=asker, _source=ADMIN)
        MessageTemplate.objects.update(paused_at=None)
    assert (statuses(made), due(made)) == ({"pending": 3}, 0)
    assert locmem.outbox == []


# -- the decision -----------------------------------------------------------------------------


def test_approval_frees_exactly_these_rows(
    held: Notification, second: Any, template: MessageTemplate, asker: Any
) -> None:
    """Another notification that is held stays so."""
    people = list(OpenIDBinding.objects.all())
    other = notify(people, template, ORDER, created_by=asker, _source=ADMIN)
    assert approve(held, second, seen=fingerprint(held)) == 3
    assert (due(held), due(other)) == (3, 0)
    assert decision(held) == ("approved", "李四", "")
    assert Approval.objects.get(notification=held).decided_at is not None


def test_a_time_that_has_passed_means_now(
    template: MessageTemplate, asker: Any, second: Any
) -> None:
    """A time that is still to come is kept."""
    later = timezone.now() + timedelta(hours=2)
    bindings = make_bindings(3)
    made = notify(bindings, template, ORDER, send_at=later, created_by=asker, _source=ADMIN)
    approve(made, second)
    assert set(made.logs.values_list("due_at", flat=True)) == {later}
    late = notify(bindings, template, ORDER, send_at=later, created_by=asker, _source=ADMIN)
    Notification.objects.filter(pk=late.pk).update(send_at=timezone.now() - timedelta(hours=1))
    approve(late, second)
    assert late.logs.filter(due_at__lte=timezone.now()).count() == 3


def test_who_asked_cannot_approve_nor_refuse(held: Notification, asker: Any) -> None:
    """A superuser neither."""
    asker.is_superuser = asker.is_staff = True
    asker.save()
    for decide in (approve, lambda row, by: refuse(row, by, "no")):
        with pytest.raises(CannotDecide, match="You have asked for it yourself"):
            decide(held, asker)
    assert (due(held), decision(held)[0]) == (0, "")


def test_refused_is_cancelled_with_the_reason(held: Notification, second: Any) -> None:
    """And cannot be approved or resumed any more."""
    assert refuse(held, second, "The date is wrong.") == 3
    assert statuses(held) == {"cancelled": 3}
    assert decision(held) == ("refused", "李四", "The date is wrong.")
    held.refresh_from_db()
    assert held.cancelled_at is not None
    with pytest.raises(CannotDecide, match="李四 has refused it already"):
        approve(held, make_user("zhao"))
    resume(held)
    assert statuses(held) == {"cancelled": 3}


def test_a_second_decision_is_told_of_the_first(held: Notification, second: Any) -> None:
    """Approved twice, or refused after that: nothing more happens."""
    approve(held, second)
    SendLog.objects.update(status="sent", due_at=None)
    for decide in (approve, lambda row, by: refuse(row, by, "no")):
        with pytest.raises(CannotDecide, match="李四 has approved it already"):
            decide(held, make_user("zhao" + str(id(decide))))
    assert (statuses(held), decision(held)[:2]) == ({"sent": 3}, ("approved", "李四"))


def test_what_was_withdrawn_cannot_be_approved(held: Notification, second: Any) -> None:
    """Cancelling withdraws the request."""
    assert cancel(held) == 3
    assert decision(held)[0] == "withdrawn"
    with pytest.raises(CannotDecide, match="It was withdrawn"):
        approve(held, second)
    assert statuses(held) == {"cancelled": 3}


def test_what_was_replaced_by_another_cannot_be_approved(
    held: Notification, asker: Any, second: Any
) -> None:
    """Its request is withdrawn, and the other one waits for an approval of its own."""

    def write(cancelled: Any) -> Notification:
        people = [log.binding for log in cancelled]
        return notify(people, held.template, ORDER, created_by=asker, _source=ADMIN)

    new = services.send_instead(held, write)
    assert decision(held)[0] == "withdrawn"
    with pytest.raises(CannotDecide, match="It was withdrawn"):
        approve(held, second)
    assert (new.replaces, statuses(new)) == (held, {"pending": 3})
    assert approve(new, second) == 3


def test_cancelling_after_an_approval_leaves_the_record(held: Notification, second: Any) -> None:
    """Who approved stays written; what had not left is cancelled."""
    approve(held, second)
    assert cancel(held) == 3
    assert decision(held)[:2] == ("approved", "李四")


@pytest.mark.parametrize("by", ["the duty", "the approval that comes too late"])
def test_what_expires_while_it_waits_expires(held: Notification, second: Any, by: str) -> None:
    """Its messages say so, and it cannot be approved."""
    Notification.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    if by == "the duty":
        expire_held()
        expire_held()
    with pytest.raises(CannotDecide, match="It expired before somebody approved it"):
        approve(held, second)
    assert statuses(held) == {"expired": 3}
    assert not held.logs.filter(finished_at=None).exists()
    assert decision(held)[0] == "expired"


def test_it_expires_where_nothing_is_held_any_more(held: Notification, configure: Any) -> None:
    """Also after the site has taken the setting back."""
    configure(APPROVAL_ABOVE=None)
    Notification.objects.update(expires_at=timezone.now() - timedelta(minutes=1))
    expire_held()
    assert statuses(held) == {"expired": 3}


def test_a_wrong_setting_does_not_keep_the_site_from_starting(configure: Any) -> None:
    """The system checks say what is wrong: nothing is read while apps are made ready."""
    configure(APPROVAL_ABOVE="many")
    apps.get_app_config("wechat_notify").ready()
    duties.forget("alerts")  # as in every test


def test_the_duty_leaves_alone_what_has_time(held: Notification) -> None:
    """Without an end, or with one to come."""
    expire_held()
    Notification.objects.update(expires_at=timezone.now() + timedelta(hours=1))
    expire_held()
    assert (statuses(held), decision(held)[0]) == ({"pending": 3}, "")


CHANGES: list[Callable[[Notification], Any]] = [
    lambda held: Notification.objects.filter(pk=held.pk).update(url="https://evil.example/"),
    lambda held: Notification.objects.filter(pk=held.pk).update(data={"thing2": {"value": "x"}}),
    lambda held: Notification.objects.filter(pk=held.pk).update(
        send_at=timezone.now() + timedelta(days=1)
    ),
    lambda held: SendLog.objects.filter(pk=held.logs.first().pk).update(status="cancelled"),
    lambda held: services.replace_template(held.template, make_template("again")),
]


@pytest.mark.parametrize(
    "change", CHANGES, ids=["link", "values", "time", "recipients", "template"]
)
def test_what_has_changed_is_looked_at_again(
    held: Notification, second: Any, change: Callable[[Notification], Any]
) -> None:
    """An approval is of what was seen. Seen again, it can be approved."""
    seen = fingerprint(held)
    change(held)
    with pytest.raises(CannotDecide, match="It has changed since you looked"):
        approve(held, second, seen=seen)
    assert (due(held), decision(held)[0]) == (0, "")
    assert approve(held, second, seen=fingerprint(Notification.objects.get(pk=held.pk))) in (2, 3)


def test_what_was_never_held_cannot_be_approved(template: MessageTemplate, second: Any) -> None:
    made = notify(make_bindings(1), template, ORDER)
    with pytest.raises(CannotDecide, match="It does not wait for approval"):
        approve(made, second)


def test_what_was_called_off_row_by_row_cannot_be_approved(held: Notification, second: Any) -> None:
    """By code that knows nothing of approvals: the request ends with it."""
    held.logs.update(status="cancelled", due_at=None)
    with pytest.raises(CannotDecide, match="No message waits any more"):
        approve(held, second, seen=fingerprint(held))
    assert decision(held)[0] == "withdrawn"


def test_the_record_outlives_the_people(held: Notification, asker: Any, second: Any) -> None:
    """Their names stay when they are deleted."""
    approve(held, second)
    for user in (asker, second):
        user.delete()
    found = Approval.objects.get(notification=held)
    assert (found.asked_by, found.decided_by) == (None, None)
    assert (found.asked_by_name, found.decided_by_name) == ("王芳", "李四")


def test_the_words_are_in_the_language_of_whoever_decides(held: Notification, asker: Any) -> None:
    with translation.override("zh-hans"), pytest.raises(CannotDecide) as caught:
        approve(held, asker)
    assert "另一位" in str(caught.value)


def test_racing_decisions_have_one_effect(tmp_path: Path) -> None:
    """Two approve, one refuses and one cancels at the same moment, many times over: one decision
    is recorded, and the messages are all due or all cancelled."""
    answer = subprocess.run(
        [sys.executable, "-m", "tests.approval_race"],
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
    assert json.loads(answer.stdout) == []

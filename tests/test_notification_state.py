"""The state of a notification: one word, the same on its page, in the list and in the filter."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest_django import DjangoAssertNumQueries

from tests.admin_pages import SEE, browser, page, text
from tests.factories import ORDER, make_bindings, make_template
from wechat_notify.conf import settings as app_settings
from wechat_notify.dispatchers.signs_of_life import WORKER, SignOfLife
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.notification_state import Situation, State, in_state, states_of
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import cancel, notify, pause

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 27, 2, tzinfo=timezone.get_default_timezone())


@pytest.fixture(autouse=True)
def shared_cache(settings: Any, configure: Callable[..., None], tmp_path: Path) -> None:
    """A cache in which other processes' signs of life would be seen, and a worker's duty."""
    path = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {**settings.CACHES, "shared": {"BACKEND": path, "LOCATION": str(tmp_path)}}
    configure(CACHE="shared", DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")


@pytest.fixture
def notification(template: MessageTemplate) -> Notification:
    """Three messages that are due now."""
    return notify(make_bindings(3), template, ORDER)


def state(notification: Notification) -> State:
    """What the list says, which the filter and the progress page must say, too."""
    client = browser(*SEE)
    [listed] = client.get(page("notification")).context["cl"].result_list
    found: State = listed.listed_state
    for one in State:
        chosen = client.get(page("notification"), {"state": one.value})
        assert chosen.context["cl"].result_count == (one is found)
    answer = client.get(page("notification", "progress", notification.pk)).json()
    assert f">{found.label}</span>" in answer["html"]
    return found


def test_being_sent(notification: Notification) -> None:
    """Rows are due, or in flight, and nothing keeps them."""
    assert state(notification) is State.SENDING
    notification.logs.update(status="sending")
    assert state(notification) is State.SENDING


def test_scheduled(template: MessageTemplate) -> None:
    """Until its time; the list says when that is."""
    when = timezone.now() + timedelta(days=400)
    made = notify(make_bindings(1), template, ORDER, send_at=when)
    assert state(made) is State.SCHEDULED
    shown = text(browser(*SEE).get(page("notification")))
    assert str(timezone.localtime(when).year) in shown


def test_paused(notification: Notification) -> None:
    """By somebody, whatever else would keep it."""
    Notification.objects.update(send_at=timezone.now() + timedelta(days=1))
    pause(notification)
    assert state(notification) is State.PAUSED


def test_waiting_for_approval(notification: Notification) -> None:
    """Whatever else would keep it, a pause too; until it is called off."""
    Notification.objects.update(held_at=timezone.now())
    pause(notification)
    assert state(notification) is State.AWAITS_APPROVAL
    cancel(notification)
    assert state(notification) is State.CANCELLED


def test_waiting_for_a_template(notification: Notification) -> None:
    """Its template is banned; with a stand-in that can be used, it goes on."""
    MessageTemplate.objects.update(paused_at=timezone.now(), pause_errcode=43116)
    assert state(notification) is State.WAITS_FOR_TEMPLATE
    stand_in = make_template("again")
    MessageTemplate.objects.filter(pk=notification.template_id).update(stand_in=stand_in)
    assert state(notification) is State.SENDING


def test_account_at_rest(notification: Notification) -> None:
    """WeChat refuses everything of the account. What is done or scheduled does not mind."""
    Breaker("default").trip(45009, "reach max api daily quota limit")
    assert state(notification) is State.AT_REST
    Notification.objects.update(send_at=timezone.now() + timedelta(days=1))
    assert state(notification) is State.SCHEDULED
    notification.logs.update(status="delivered", due_at=None)
    assert state(notification) is State.DONE


def test_overdue(notification: Notification) -> None:
    """Due for long, and nobody was seen to send."""
    notification.logs.update(due_at=timezone.now() - timedelta(minutes=10))
    assert state(notification) is State.OVERDUE
    SignOfLife(WORKER, ["default"]).give()
    assert state(notification) is State.SENDING


def test_cancelled_is_not_done(notification: Notification) -> None:
    """Nor does the page say that all were dealt with."""
    first = notification.logs.order_by("pk")[0]
    SendLog.objects.filter(pk=first.pk).update(status="delivered", due_at=None)
    cancel(notification)
    assert state(notification) is State.CANCELLED
    answer = browser(*SEE).get(page("notification", "progress", notification.pk)).json()
    assert "2 of 3 messages were cancelled." in answer["html"]
    assert "are done" not in answer["html"]
    assert answer["again"] is None


def test_done(notification: Notification) -> None:
    """Nothing waits any more, however it ended; a notification to nobody is done at once."""
    notification.logs.update(status="failed", due_at=None)
    assert state(notification) is State.DONE
    SendLog.objects.all().delete()
    assert state(notification) is State.DONE


def test_an_account_that_is_gone(notification: Notification) -> None:
    """An alias that was taken from the settings is not asked about, and breaks no page."""
    MessageTemplate.objects.update(account="gone")
    SendLog.objects.update(account="gone")
    client = browser(*SEE)
    [listed] = client.get(page("notification")).context["cl"].result_list
    assert listed.listed_state is State.SENDING


def test_the_states_of_a_page_cost_one_query(
    template: MessageTemplate, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    """However many notifications, and only where nobody sends for an account."""
    people = make_bindings(1)
    made = [notify(people, template, ORDER) for _ in range(20)]
    read = list(Notification.objects.select_related("template__stand_in").order_by("pk"))
    counts = {one.pk: {"pending": 1} for one in made}
    assert app_settings.aliases
    with django_assert_num_queries(1):
        assert set(states_of(read, counts).values()) == {State.SENDING}
    SignOfLife(WORKER, ["default"]).give()
    with django_assert_num_queries(0):
        states_of(read, counts)


FACTS = st.fixed_dictionaries(
    {
        "cancelled_at": st.sampled_from([None, NOW]),
        "paused_at": st.sampled_from([None, NOW]),
        "held_at": st.sampled_from([None, NOW]),
        "send_at": st.sampled_from([None, timedelta(hours=-1), timedelta(hours=1)]),
        "template": st.integers(0, 5),
        "rows": st.lists(
            st.tuples(
                st.sampled_from(["pending", "sending", "sent", "cancelled"]),
                st.sampled_from([None, timedelta(minutes=-10), timedelta(0), timedelta(hours=1)]),
            ),
            max_size=2,
        ),
    }
)


@given(
    cases=st.lists(FACTS, min_size=1, max_size=8),
    at_rest=st.sets(st.sampled_from(["default", "other"])),
    unattended=st.sets(st.sampled_from(["default", "other"])),
)
@settings(max_examples=25)
def test_the_filter_says_what_the_list_says(
    cases: list[dict[str, Any]], at_rest: set[str], unattended: set[str], monkeypatch: Any
) -> None:
    """Whatever is true of notifications: each is in one state, for the database as for Python."""
    now = timezone.now()
    situation = Situation(frozenset(at_rest), frozenset(unattended), now)
    monkeypatch.setattr(Situation, "of", lambda accounts: situation)
    for model in (SendLog, Notification, MessageTemplate):
        model.objects.all().delete()
    templates = _templates(now)
    for case in cases:
        _write(case, templates, now)
    read = list(Notification.objects.select_related("template__stand_in"))
    expected = states_of(read, {one.pk: one.counts for one in read})
    every = Notification.objects.all()
    found = {one.pk: label for label in State for one in in_state(every, label, situation)}
    assert found == expected
    assert sum(in_state(every, one, situation).count() for one in State) == len(cases)


def _templates(now: datetime) -> list[MessageTemplate]:
    """Usable, banned, banned with a stand-in, banned with a useless one, switched off, gone."""
    usable = make_template("usable", account="other")
    banned = make_template("banned", paused_at=now)
    stood_in = make_template("stood_in", paused_at=now, stand_in=make_template("stands_in"))
    useless = make_template("useless", paused_at=now, stand_in=banned)
    off = make_template("off", is_active=False)
    gone = make_template("gone", is_active=False, missing_since=now)
    return [usable, banned, stood_in, useless, off, gone]


def _write(case: dict[str, Any], templates: list[MessageTemplate], now: datetime) -> None:
    template = templates[case["template"]]
    times = {name: case[name] for name in ("cancelled_at", "paused_at", "held_at")}
    send_at = None if case["send_at"] is None else now + case["send_at"]
    made = Notification.objects.create(template=template, send_at=send_at, **times)
    for status, due in case["rows"]:
        due_at = None if due is None else now + due
        SendLog.objects.create(
            notification=made, account=template.account, status=status, due_at=due_at
        )

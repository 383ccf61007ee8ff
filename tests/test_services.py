"""notify(): what is written, what leaves, and what is refused."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone as django_timezone
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext_lazy

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.dispatchers.base import BaseDispatcher
from wechat_notify.exceptions import (
    AccountNotConfigured,
    ConfigurationError,
    InvalidData,
    InvalidSettings,
    Problem,
    TemplateNotFound,
)
from wechat_notify.models import MessageTemplate, Notification, SendLog
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.services import anotify, notify, resume_account
from wechat_notify.types import MiniProgram
from wechat_notify.writing import recipients

Status = SendLog.Status
INLINE = "wechat_notify.dispatchers.inline.InlineDispatcher"
LONG = "二十一个字才是超出限度的那一个商品名称呀呀"


class BrokenDispatcher(BaseDispatcher):
    def dispatch(self, notification: Notification) -> None:
        raise ConnectionError("the broker is down")


def statuses(notification: Notification) -> dict[str, int]:
    """Counts without the zeros."""
    return {status: n for status, n in notification.counts.items() if n}


# -- the transaction --------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_before_the_commit(wechat: Sandbox, known_template: Any) -> None:
    """Inside atomic() rows are written and nothing leaves the machine until it ends."""
    binding = make_binding()
    with transaction.atomic():
        notification = notify(binding, "order_paid", ORDER)
        assert statuses(notification) == {"pending": 1}
        assert not wechat.calls
    assert statuses(notification) == {"sent": 1}
    assert [message.openid for message in wechat.messages] == [binding.openid]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_sent_after_a_rollback(wechat: Sandbox, known_template: Any) -> None:
    """A transaction that rolls back takes the rows with it, and WeChat never hears of them."""
    binding = make_binding()
    with transaction.atomic():
        notify(binding, "order_paid", ORDER)
        transaction.set_rollback(True)
    assert not wechat.calls
    assert not Notification.objects.exists()
    assert not SendLog.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_fifty_bound_and_five_unbound_users(wechat: Sandbox, known_template: Any) -> None:
    """50 messages, 5 skipped rows that say why, and one token fetch."""
    users = [binding.user for binding in make_bindings(50)]
    users += [make_user(f"unbound{number}") for number in range(5)]
    notification = notify(users, "order_paid", ORDER)
    assert statuses(notification) == {"sent": 50, "skipped": 5}
    assert wechat.counts == {openid(number): 1 for number in range(1, 51)}
    assert wechat.token_fetches == 1
    skipped = notification.logs.filter(status=Status.SKIPPED).order_by("pk")
    assert {log.errmsg for log in skipped} == {recipients.NOT_BOUND}
    assert all(log.msgid and log.sent_at for log in notification.logs.filter(status=Status.SENT))


@pytest.mark.django_db(transaction=True)
def test_a_broken_dispatcher_does_not_fail_the_caller(
    template: MessageTemplate, configure: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """When the queue is down the rows are safe already, so the request that wrote them goes on."""
    configure(DISPATCHER="tests.test_services.BrokenDispatcher")
    with caplog.at_level(logging.ERROR, "django.db.backends.base"):
        notification = notify(make_binding(), template, ORDER)
    assert statuses(notification) == {"pending": 1}
    assert "the broker is down" in caplog.text


# -- what is stored ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_shared_data_is_stored_once_in_wire_form(template: MessageTemplate) -> None:
    """Values are formatted and stand on the notification; rows hold nothing of their own."""
    data = {"character_string1": 2026112301, "thing2": {"value": gettext_lazy("Yes")}}
    notification = notify(make_bindings(3), template, data)
    assert notification.data == {
        "character_string1": {"value": "2026112301"},
        "thing2": {"value": "Yes"},
    }
    assert {log.data for log in notification.logs.all()} == {None}


@pytest.mark.django_db
def test_a_function_gives_each_recipient_data_of_its_own(template: MessageTemplate) -> None:
    """The function gets the user, or the openid where there is no user."""
    binding = make_binding(make_user("alice"))

    def data(recipient: Any) -> dict[str, Any]:
        name = recipient if isinstance(recipient, str) else recipient.username
        return {"character_string1": name, "thing2": "围巾"}

    notification = notify([binding.user, openid(99)], template, data)
    assert notification.data == {}
    assert [log.merged_data["character_string1"]["value"] for log in notification.logs.all()] == [
        "alice",
        openid(99),
    ]


@pytest.mark.django_db
def test_a_function_is_not_called_for_who_gets_nothing(template: MessageTemplate) -> None:
    """Nobody has to make up data for a person without a binding, or who unfollowed."""
    users = [make_user("unbound"), make_binding(number=2, subscribed=False).user]
    asked: list[Any] = []

    def data(recipient: Any) -> dict[str, Any]:
        asked.append(recipient)
        return ORDER

    assert statuses(notify(users, template, data)) == {"skipped": 2}
    assert asked == []


@pytest.mark.django_db
def test_everything_the_caller_said_is_kept(template: MessageTemplate) -> None:
    """Key, times, author and source can be read off the notification later."""
    author = make_user("author")
    soon = django_timezone.now() + timedelta(hours=1)
    later = soon + timedelta(hours=1)
    notification = notify(
        make_binding(),
        template,
        ORDER,
        key="order-1",
        send_at=soon,
        expires_at=later,
        created_by=author,
    )
    notification.refresh_from_db()
    assert (notification.key, notification.source) == ("order-1", "code")
    assert (notification.send_at, notification.expires_at) == (soon, later)
    assert notification.created_by == author
    assert notification.logs.get().due_at == soon


OWN: MiniProgram = {"appid": "wx0", "pagepath": "own"}
THEIRS: MiniProgram = {"appid": "wx1", "pagepath": "theirs"}
OWN_URL, THEIR_URL = "https://school.example/own", "https://school.example/theirs"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "url", "miniprogram"),
    [
        ({}, THEIR_URL, THEIRS),
        ({"url": OWN_URL}, OWN_URL, None),
        ({"miniprogram": OWN}, THEIR_URL, OWN),
        ({"url": OWN_URL, "miniprogram": OWN}, OWN_URL, OWN),
    ],
)
def test_where_a_tap_leads(given: Any, url: str, miniprogram: MiniProgram | None) -> None:
    """The template's mini program, which WeChat prefers, never hides the caller's own url."""
    template = make_template(url=THEIR_URL, miniprogram_appid="wx1", miniprogram_pagepath="theirs")
    notification = notify([], template, ORDER, **given)
    assert (notification.url, notification.miniprogram) == (url, miniprogram)


@pytest.mark.django_db
def test_an_empty_list_is_a_notification_without_rows(template: MessageTemplate) -> None:
    """Nobody to write to is no error."""
    notification = notify([], template, ORDER)
    assert notification.pk
    assert notification.total == 0


@pytest.mark.django_db
def test_a_paused_template_parks_its_rows(template: MessageTemplate) -> None:
    """Rows of a paused template wait without a due date until somebody resumes it."""
    template.paused_at = django_timezone.now()
    template.save()
    log = notify(make_binding(), "order_paid", ORDER).logs.get()
    assert (log.status, log.due_at) == (Status.PENDING, None)


@pytest.mark.django_db
def test_a_lazy_request_user_is_a_user(template: MessageTemplate) -> None:
    """request.user, which is a lazy object, can be a recipient and the author."""
    user = make_binding().user
    lazy = SimpleLazyObject(lambda: user)
    notification = notify(lazy, template, ORDER, created_by=lazy)
    assert notification.logs.get().user == user
    assert notification.created_by == user


def test_anotify_is_its_twin(template: MessageTemplate) -> None:
    """``await anotify(…)`` takes the same arguments and gives the same result."""
    notification = async_to_sync(_notify_in_a_loop)(make_binding(), template)
    assert statuses(notification) == {"pending": 1}
    assert notification.key == "k"


async def _notify_in_a_loop(binding: Any, template: MessageTemplate) -> Notification:
    return await anotify(binding, template, ORDER, key="k")


# -- the template and the account -------------------------------------------------------------


@pytest.mark.django_db
def test_a_template_is_found_by_name_on_the_default_account(template: MessageTemplate) -> None:
    """A name means the default account's template unless another account is given."""
    elsewhere = make_template(account="other", template_id="T2")
    assert notify([], "order_paid", ORDER).template == template
    assert notify([], "order_paid", ORDER, account="other").template == elsewhere
    assert notify([], elsewhere, ORDER).template == elsewhere


@pytest.mark.django_db
def test_an_unknown_template_is_named(db: None) -> None:
    """The error names the template and the account, and says what to do."""
    with pytest.raises(TemplateNotFound, match=r"'order_piad' on account 'default'.*wechat_sync"):
        notify([], "order_piad", ORDER)


@pytest.mark.django_db
def test_an_inactive_template_is_refused(template: MessageTemplate) -> None:
    """A template that WeChat dropped is a clear error, for name and object alike."""
    template.is_active = False
    template.save()
    for wanted in ("order_paid", template):
        with pytest.raises(TemplateNotFound, match=r"'order_paid'.*not active"):
            notify(make_binding(number=1 + (wanted is template)), wanted, ORDER)
    assert not Notification.objects.exists()


@pytest.mark.django_db
def test_a_template_of_another_account_is_refused(template: MessageTemplate) -> None:
    """A template id means something on its own account only."""
    with pytest.raises(TemplateNotFound, match="belongs to account 'default', not to 'other'"):
        notify([], template, ORDER, account="other")


@pytest.mark.django_db
@pytest.mark.parametrize("by_name", [True, False])
def test_an_unknown_account_is_named(template: MessageTemplate, by_name: bool) -> None:
    """The error names the alias and those there are."""
    with pytest.raises(AccountNotConfigured, match=r"'nowhere'.*'default', 'other'"):
        notify([], "order_paid" if by_name else template, ORDER, account="nowhere")


@pytest.mark.django_db
def test_unusable_settings_are_told_to_the_caller(
    template: MessageTemplate, configure: Any
) -> None:
    """A backend or dispatcher that cannot work fails the call and not a worker in the night."""
    configure(DISPATCHER="nowhere.Dispatcher")
    with pytest.raises(InvalidSettings, match=r"nowhere\.Dispatcher"):
        notify([], template, ORDER)
    configure(default={"BACKEND": "nowhere.Backend"})
    with pytest.raises(ConfigurationError, match=r'"default".*nowhere\.Backend'):
        notify([], template, ORDER)
    assert not Notification.objects.exists()


@pytest.mark.django_db
def test_a_site_without_time_zones_is_told(template: MessageTemplate, settings: Any) -> None:
    """With USE_TZ = False every row would end "uncertain", so nothing is written."""
    settings.USE_TZ = False
    with pytest.raises(ConfigurationError, match="USE_TZ"):
        notify(make_binding(), template, ORDER)
    assert not Notification.objects.exists()


# -- data that cannot be sent -----------------------------------------------------------------


@pytest.mark.django_db
def test_all_problems_come_at_once(template: MessageTemplate) -> None:
    """One error names every bad field, option and rule, and nothing is written."""
    with pytest.raises(InvalidData) as caught:
        notify(
            make_binding(),
            template,
            {"thing2": LONG, "thing9": "x"},
            url="javascript:alert(1)",
            miniprogram={"pagepath": "x"},  # type: ignore[typeddict-item]
            key="k" * 201,
            send_at=datetime(2026, 1, 1),  # noqa: DTZ001
        )
    assert caught.value.as_dict().keys() == {
        "character_string1",
        "thing2",
        "thing9",
        "url",
        "miniprogram",
        "key",
        "send_at",
    }
    assert "order_paid" in str(caught.value)
    assert not Notification.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["send_at", "expires_at"])
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (datetime(2027, 1, 1), "time zone"),  # noqa: DTZ001
        ("tomorrow", "must be a datetime"),
    ],
)
def test_times_must_be_aware(template: MessageTemplate, name: str, value: Any, says: str) -> None:
    """A naive or wrong time is refused, not guessed at."""
    with pytest.raises(InvalidData, match=f"{name}: .*{says}"):
        notify([], template, ORDER, **{name: value})


@pytest.mark.django_db
def test_expiry_before_sending_is_refused(template: MessageTemplate) -> None:
    """What would be expired before it is due is a mistake of the caller."""
    moment = datetime(2027, 1, 1, tzinfo=timezone.utc)
    with pytest.raises(InvalidData, match="later than send_at"):
        notify([], template, ORDER, send_at=moment, expires_at=moment)


@pytest.mark.django_db
def test_a_key_must_be_text(template: MessageTemplate) -> None:
    """A number as key would find nothing on a second call on some databases."""
    with pytest.raises(InvalidData, match="key: must be a text of at most 200 characters"):
        notify([], template, ORDER, key=5)  # type: ignore[arg-type]


@pytest.mark.django_db
def test_three_bad_recipients_of_a_thousand(template: MessageTemplate) -> None:
    """One error names the three and their fields and nobody else, and nothing is written."""
    users = [binding.user for binding in make_bindings(1_000)]
    with pytest.raises(InvalidData) as caught:
        notify(users, template, _bad_for({3, 500, 999}))
    assert [(problem.recipient, problem.field) for problem in caught.value.problems] == [
        ("user3", "thing2"),
        ("user500", "thing2"),
        ("user999", "thing2"),
    ]
    assert str(caught.value).count("(user") == 3
    assert not Notification.objects.exists()
    assert not SendLog.objects.exists()


@pytest.mark.django_db
def test_three_bad_recipients_of_a_thousand_skipped(
    template: MessageTemplate, configure: Any, django_capture_on_commit_callbacks: Any
) -> None:
    """With INVALID_DATA="skip" 997 are sent, and 3 skipped rows name field and rule."""
    configure(INVALID_DATA="skip", DISPATCHER={"BACKEND": INLINE, "OPTIONS": {"limit": None}})
    users = [binding.user for binding in make_bindings(1_000)]
    with django_capture_on_commit_callbacks(execute=True):
        notification = notify(users, template, _bad_for({3, 500, 999}))
    assert statuses(notification) == {"sent": 997, "skipped": 3}
    assert len(locmem.outbox) == 997
    for log in notification.logs.filter(status=Status.SKIPPED):
        assert log.user.username in {"user3", "user500", "user999"}
        assert "thing2" in log.errmsg
        assert "20" in log.errmsg
        assert log.due_at is None


def _bad_for(numbers: set[int]) -> Any:
    bad = {f"user{number}" for number in numbers}

    def data(user: Any) -> dict[str, Any]:
        return {**ORDER, "thing2": LONG if user.username in bad else "围巾"}

    return data


def _refuse_for(names: set[str]) -> Any:
    def data(user: Any) -> dict[str, Any]:
        if user.username in names:
            raise InvalidData([Problem("thing2", "is not known yet")])
        return ORDER

    return data


@pytest.mark.django_db
def test_a_function_may_say_itself_that_data_is_bad(
    template: MessageTemplate, configure: Any
) -> None:
    """InvalidData of the site's own function is that person's: the others go on being asked."""
    users = [binding.user for binding in make_bindings(3)]
    data = _refuse_for({"user1", "user3"})
    with pytest.raises(InvalidData) as caught:
        notify(users, template, data)
    assert [problem.recipient for problem in caught.value.problems] == ["user1", "user3"]
    assert not Notification.objects.exists()
    configure(INVALID_DATA="skip")
    notification = notify(users, template, data)
    assert statuses(notification) == {"pending": 1, "skipped": 2}
    skipped = notification.logs.filter(status=Status.SKIPPED)
    assert {log.errmsg for log in skipped} == {"商品名称 (thing2): is not known yet"}


@pytest.mark.django_db
def test_bad_data_without_a_problem_is_raised(template: MessageTemplate, configure: Any) -> None:
    """It does not say what is wrong, and is not taken for nothing wrong."""
    configure(INVALID_DATA="skip")

    def data(user: Any) -> dict[str, Any]:
        raise InvalidData([])

    with pytest.raises(InvalidData):
        notify(make_binding().user, template, data)


@pytest.mark.django_db
@pytest.mark.parametrize("as_queryset", [True, False])
def test_bad_shared_data_skipped_for_everybody(
    template: MessageTemplate, configure: Any, as_queryset: bool
) -> None:
    """With INVALID_DATA="skip" shared data that is wrong makes every row a skipped one."""
    configure(INVALID_DATA="skip")
    users = [make_binding().user, make_user("unbound")]
    whom = type(users[0])._default_manager.all() if as_queryset else users
    notification = notify(whom, template, {**ORDER, "thing2": LONG})
    assert statuses(notification) == {"skipped": 2}
    assert all("thing2" in log.errmsg for log in notification.logs.all())


@pytest.mark.django_db
@pytest.mark.parametrize("broken", ["\x00", "\ud800"])
@pytest.mark.parametrize("shared", [True, False])
def test_what_no_database_takes_is_skipped_too(
    template: MessageTemplate, configure: Any, broken: str, shared: bool
) -> None:
    """Half a character in a value or a name leaves a row that says so, and the rest is kept."""
    configure(INVALID_DATA="skip")
    data = {**ORDER, "thing2": f"a{broken}", f"thing{broken}": "b"}
    log = notify(make_binding(), template, data if shared else lambda _: data).logs.get()
    assert (log.status, "thing2" in log.errmsg) == (Status.SKIPPED, True)
    assert list(log.merged_data) == (["character_string1"] if shared else [])


@pytest.mark.django_db
def test_misuse_is_no_data_to_skip(template: MessageTemplate, configure: Any) -> None:
    """INVALID_DATA="skip" is for values: a wrong option, or data that is none, still raises."""
    configure(INVALID_DATA="skip")
    with pytest.raises(InvalidData, match="url"):
        notify([], template, {**ORDER, "thing2": LONG}, url="ftp://x")
    with pytest.raises(InvalidData, match="mapping"):
        notify([], template, ["thing2"])  # type: ignore[arg-type]


@pytest.mark.django_db
@pytest.mark.parametrize("shared", [True, False])
def test_trim_shortens_a_thing(template: MessageTemplate, configure: Any, shared: bool) -> None:
    """With INVALID_DATA="trim" a long thing ends in "…" and fits."""
    configure(INVALID_DATA="trim")
    data = {**ORDER, "thing2": LONG}
    notification = notify(make_binding(), template, data if shared else lambda _: data)
    value = notification.logs.get().merged_data["thing2"]["value"]
    assert value == LONG[:19] + "…"


@pytest.mark.django_db
def test_trim_never_cuts_what_would_be_another_value(configure: Any) -> None:
    """A phone number or an order number that is too long is refused all the same."""
    configure(INVALID_DATA="trim")
    template = make_template(content="电话：{{phone_number1.DATA}}\n{{character_string2.DATA}}")
    with pytest.raises(InvalidData) as caught:
        notify([], template, {"phone_number1": "1" * 18, "character_string2": "x" * 33})
    assert caught.value.as_dict().keys() == {"phone_number1", "character_string2"}


@pytest.mark.django_db
def test_what_a_function_raises_undoes_everything(template: MessageTemplate) -> None:
    """An error in the site's own function reaches the caller, and no half of the rows stays."""

    def data(user: Any) -> dict[str, Any]:
        if user.username == "user2":
            raise ZeroDivisionError
        return ORDER

    with pytest.raises(ZeroDivisionError):
        notify([binding.user for binding in make_bindings(3)], template, data)
    assert not Notification.objects.exists()


@pytest.mark.django_db
def test_values_are_formatted_for_the_phone(django_capture_on_commit_callbacks: Any) -> None:
    """Decimals and moments reach WeChat in the form their fields want."""
    template = make_template(content="{{amount1.DATA}}\n{{time2.DATA}}")
    moment = datetime(2026, 11, 23, 7, 1, tzinfo=timezone.utc)
    with django_capture_on_commit_callbacks(execute=True):
        notify(make_binding(), template, {"amount1": Decimal("39.8"), "time2": moment})
    assert locmem.outbox[0].data == {
        "amount1": {"value": "39.80元"},
        "time2": {"value": "2026年11月23日 15:01"},
    }


@pytest.mark.django_db
def test_resume_account_ends_a_rest(
    template: MessageTemplate, django_capture_on_commit_callbacks: Any
) -> None:
    """After 45009 nothing is tried until somebody says so; then everything goes out."""
    locmem.results.add(45009)
    with django_capture_on_commit_callbacks(execute=True):
        first = notify(make_binding(number=1), template, ORDER)
        second = notify(make_binding(number=2), template, ORDER)
    assert (statuses(first), statuses(second)) == ({"pending": 1}, {"pending": 1})
    with django_capture_on_commit_callbacks(execute=True):
        resume_account("default")
    assert (statuses(first), statuses(second)) == ({"sent": 1}, {"sent": 1})


# -- how many queries -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "called", ["by name", "with the template", "an openid", "a list", "own data", "with a key"]
)
def test_one_person_costs_few_queries(
    known_template: MessageTemplate, configure: Callable[..., None], called: str
) -> None:
    """Inside the caller's transaction, savepoints included. A key must be looked for, and guarded.

    After the commit a worker costs the request nothing but PostgreSQL's NOTIFY, which wakes it.
    """
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    user = make_user()
    make_binding(user)
    whom: Any = {"an openid": openid(7), "a list": [user]}.get(called, user)
    template = known_template if called == "with the template" else known_template.name
    data: Any = (lambda person: ORDER) if called == "own data" else ORDER
    key = "order-1" if called == "with a key" else ""
    inside, committed = CaptureQueriesContext(connection), CaptureQueriesContext(connection)
    with committed, transaction.atomic(), inside:
        notification = notify(whom, template, data, key=key)
    statements = [query["sql"] for query in inside]
    assert len(statements) <= (7 if key else 4), "\n".join(statements)
    allowed = ("BEGIN", "COMMIT", "NOTIFY wechat_notify")
    assert [query["sql"] for query in committed if query["sql"] not in allowed] == statements
    assert notification.logs.get().status == SendLog.Status.PENDING


def test_a_crowd_is_undone_by_a_savepoint(
    template: MessageTemplate, transactional_db: None
) -> None:
    """Bad data of the last of thousands leaves nothing, and the caller's transaction goes on."""

    def data(person: str) -> dict[str, str]:
        return {} if person == openid(2_500) else ORDER

    with transaction.atomic():
        with pytest.raises(InvalidData):
            notify((openid(number) for number in range(2_501)), template, data)
        notify(openid(1), template, ORDER)
    assert SendLog.objects.count() == Notification.objects.count() == 1

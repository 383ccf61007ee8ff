"""Writing a notification's rows: one for each openid, in a constant number of statements."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.factories import ORDER, make_bindings, make_template, make_user, openid
from wechat_notify.exceptions import InvalidData
from wechat_notify.models import (
    ERRMSG_LENGTH,
    MessageTemplate,
    Notification,
    OpenIDBinding,
    SendLog,
)
from wechat_notify.services import notify
from wechat_notify.writing.enqueue import Row, insert
from wechat_notify.writing.recipients import CHUNK, Target

pytestmark = pytest.mark.django_db

User = get_user_model()
Status = SendLog.Status


def queries(users: Any, template: MessageTemplate, data: Any = ORDER) -> int:
    with CaptureQueriesContext(connection) as captured:
        notify(users, template, data)
    return len(captured)


@pytest.mark.parametrize("model", [User, OpenIDBinding])
def test_a_queryset_costs_the_same_for_one_and_for_many(
    template: MessageTemplate, model: Any
) -> None:
    """The database writes a QuerySet's rows by itself: no object, no query more."""
    make_bindings(1)
    few = queries(model.objects.all(), template)
    make_bindings(300, first=2)
    assert queries(model.objects.all(), template) == few
    assert SendLog.objects.count() == 302


def test_a_list_is_written_in_bulk(template: MessageTemplate) -> None:
    """Rows of anything but a QuerySet cost a few statements: as many as the database's limit on
    the values in one asks for, and at most one more for each chunk."""
    people = [openid(number) for number in range(CHUNK + 500)]
    with CaptureQueriesContext(connection) as captured:
        notify(people, template, ORDER)
    written = [q for q in captured if q["sql"].startswith("INSERT") and "sendlog" in q["sql"]]
    batch = connection.ops.bulk_batch_size(SendLog._meta.concrete_fields[1:], people)
    assert len(written) <= len(people) / batch + 2
    assert SendLog.objects.count() == len(people)


BINDINGS = st.lists(st.tuples(st.sampled_from(["default", "other"]), st.booleans()), max_size=3)


@given(people=st.lists(BINDINGS, max_size=6), of_bindings=st.booleans(), reason=st.booleans())
@settings(max_examples=25)
def test_both_ways_of_writing_agree(
    people: list[Any], of_bindings: bool, reason: bool, configure: Any
) -> None:
    """Whatever bindings people have, the database's own rows are those of the streamed way."""
    configure(INVALID_DATA="skip")
    _only_these(people)
    template = MessageTemplate.objects.first() or make_template()
    data = {**ORDER, "thing2": "长" * 30} if reason else ORDER
    everybody: Any = OpenIDBinding.objects.all() if of_bindings else User.objects.all()
    own, streamed = notify(everybody, template, data), notify(list(everybody), template, data)
    assert _rows(own) == _rows(streamed)


def _only_these(people: list[Any]) -> None:
    SendLog.objects.all().delete()
    Notification.objects.all().delete()
    User.objects.all().delete()
    number = 0
    for index, bindings in enumerate(people):
        user = make_user(f"person{index}")
        for account, subscribed in bindings:
            number += 1
            OpenIDBinding.objects.create(
                user=user, account=account, subscribed=subscribed, openid=openid(number)
            )


def _rows(notification: Notification) -> list[dict[str, Any]]:
    """All that stands in the rows, but for their own numbers and the moment they were made."""
    rows = notification.logs.order_by("openid", "user").values()
    ours, moments = ("id", "notification_id"), ("due_at", "finished_at")
    return [
        {k: v is not None if k in moments else v for k, v in row.items() if k not in ours}
        for row in rows
    ]


def test_every_column_has_what_save_would_write(template: MessageTemplate) -> None:
    """A column that is added to the model later gets its default on the database's way too."""
    binding = make_bindings(1)[0]
    copied = notify(OpenIDBinding.objects.all(), template, ORDER).logs.values().get()
    saved = SendLog.objects.create(
        notification_id=copied["notification_id"],
        account="default",
        binding=binding,
        user=binding.user,
        openid=binding.openid,
        due_at=copied["due_at"],
    )
    assert copied == {**SendLog.objects.values().get(pk=saved.pk), "id": copied["id"]}


def test_due_now_later_or_not_at_all(template: MessageTemplate) -> None:
    """A row is due now or at send_at, and parked while its template is paused."""
    now = timezone.now()
    later = now + timedelta(hours=1)

    def due(**options: Any) -> Any:
        return notify([openid(1)], template, ORDER, **options).logs.get().due_at

    assert now <= due() <= timezone.now()
    assert due(send_at=later) == later
    MessageTemplate.objects.update(paused_at=now)
    assert due() is None
    assert due(send_at=later) is None


@pytest.mark.parametrize("recipients", [User.objects.all(), [openid(9)]])
def test_an_old_template_does_not_say_whether_it_is_paused(
    template: MessageTemplate, recipients: Any
) -> None:
    """A module's own template object, read when the process began, may be wrong both ways."""
    make_bindings(1)
    now = timezone.now()
    MessageTemplate.objects.update(paused_at=now)
    assert notify(recipients, template, ORDER).logs.get().due_at is None
    MessageTemplate.objects.update(paused_at=None)
    template.paused_at = now
    assert notify(recipients, template, ORDER).logs.get().due_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_template_that_is_resumed_while_rows_are_written(template: MessageTemplate) -> None:
    """Whoever resumes it cannot see rows before their commit, and they go out all the same."""
    MessageTemplate.objects.update(paused_at=timezone.now())

    def data(person: Any) -> dict[str, str]:
        MessageTemplate.objects.update(paused_at=None)
        return ORDER

    assert notify(make_bindings(1), "order_paid", data).logs.get().status == Status.SENT


@pytest.mark.parametrize("paused", [True, False])
def test_rows_of_a_queryset_are_due_like_others(template: MessageTemplate, paused: bool) -> None:
    """send_at and a pause hold for the database's way of writing too."""
    make_bindings(1)
    later = timezone.now() + timedelta(hours=1)
    template.paused_at = timezone.now() if paused else None
    template.save()
    log = notify(User.objects.all(), template, ORDER, send_at=later).logs.get()
    assert log.due_at == (None if paused else later)


def test_a_long_reason_is_cut_to_its_column(template: MessageTemplate) -> None:
    """However much is wrong with the data, the row that says so can be written."""
    notification = Notification.objects.create(template=template)
    insert(notification, [Row(Target(openid(1)), reason="为什么" * 500)], None)
    log = notification.logs.get()
    assert len(log.errmsg) == ERRMSG_LENGTH
    assert log.status == Status.SKIPPED


def test_all_bad_recipients_are_found_in_one_go(template: MessageTemplate) -> None:
    """Problems beyond the first chunk are in the same error."""
    people = [openid(number) for number in range(CHUNK + 1)]
    with pytest.raises(InvalidData) as caught:
        notify(people, template, lambda user: {})
    assert len(caught.value.problems) == 2 * len(people)
    assert not SendLog.objects.exists()

"""resend(): new rows that point to the old ones."""

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import ORDER, make_binding, make_bindings, make_template, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.exceptions import TemplateNotFound
from wechat_notify.models import MessageTemplate, Notification, OpenIDBinding, SendLog
from wechat_notify.services import bind, notify, resend
from wechat_notify.writing import recipients

pytestmark = pytest.mark.django_db

Status = SendLog.Status


def finished(template: MessageTemplate, count: int = 1, status: str = Status.FAILED) -> Any:
    """The rows of a notification that is over."""
    notification = notify(make_bindings(count), template, ORDER, url="/view/1/", key="order-1")
    notification.logs.update(status=status, due_at=None, errcode=43101, errmsg="no")
    return notification.logs.all()


@pytest.mark.parametrize("status", Status.values)
def test_what_is_over_can_be_resent(template: MessageTemplate, status: str) -> None:
    """Every final status can be resent; what is waiting or being sent is left alone."""
    logs = finished(template, status=status)
    expected = 0 if status in SendLog.OPEN else 1
    assert resend(logs).count() == expected
    assert Notification.objects.count() == 1 + expected


def test_a_resend_says_the_same_to_the_same_person(template: MessageTemplate) -> None:
    """Data, link and openid are the old row's; key, expiry and author are not."""
    author = make_user("author")
    old = finished(template).get()
    new = resend(old, created_by=author).get()
    assert (new.resend_of, new.openid, new.user, new.binding) == (
        old,
        old.openid,
        old.user,
        old.binding,
    )
    assert new.merged_data == old.merged_data
    assert (new.status, new.errcode, new.errmsg, new.attempts) == (Status.PENDING, None, "", 0)
    assert new.due_at is not None
    notification = new.notification
    assert notification.url == old.notification.url
    assert (notification.source, notification.created_by) == ("resend", author)
    assert (notification.key, notification.expires_at) == (None, None)
    old.refresh_from_db()
    assert old.status == Status.FAILED


@pytest.mark.django_db(transaction=True)
def test_a_resent_message_is_delivered(template: MessageTemplate) -> None:
    """A resend goes out after the commit like any message."""
    locmem.results.add(43101)
    notification = notify(make_binding(), template, ORDER)
    assert notification.counts["failed"] == 1
    new = resend(notification.logs.all()).get()
    assert new.status == Status.SENT
    assert len(locmem.outbox) == 1


def test_recipients_keep_their_own_data(template: MessageTemplate) -> None:
    """What a function said to each of them is said again."""
    notification = notify(
        make_bindings(2), template, lambda user: {**ORDER, "thing2": user.username}
    )
    notification.logs.update(status=Status.FAILED)
    said = [log.merged_data["thing2"]["value"] for log in resend(notification.logs.all())]
    assert said == ["user1", "user2"]


def test_who_has_bound_since_gets_it_there(template: MessageTemplate) -> None:
    """A skipped user who has bound two openids since is written to on both."""
    user = make_user()
    notification = notify(user, template, ORDER)
    assert notification.counts["skipped"] == 1
    bind(user, openid(1))
    bind(user, openid(2))
    bind(user, openid(3), account="other")
    new = resend(notification.logs.all())
    assert [(log.openid, log.status) for log in new] == [
        (openid(1), Status.PENDING),
        (openid(2), Status.PENDING),
    ]


def test_who_still_cannot_be_reached_is_skipped_again(template: MessageTemplate) -> None:
    """Unbound users and people who do not follow get a row that says why."""
    gone = make_binding(subscribed=False)
    notification = notify([make_user("unbound"), gone], template, ORDER)
    reasons = {log.errmsg for log in resend(notification.logs.all())}
    assert reasons == {recipients.NOT_BOUND, recipients.NOT_FOLLOWING}


def test_a_row_outlives_its_user_and_binding(template: MessageTemplate) -> None:
    """The openid that it was sent to is enough; a row that has lost both is skipped."""
    sent, skipped = make_binding(number=1).user, make_user("unbound")
    notification = notify([sent, skipped], template, ORDER)
    notification.logs.filter(status=Status.PENDING).update(status=Status.FAILED)
    sent.delete()
    skipped.delete()
    new = {log.openid: (log.status, log.user) for log in resend(notification.logs.all())}
    assert new == {openid(1): (Status.PENDING, None), "": (Status.SKIPPED, None)}


def test_data_that_was_never_written_down_is_said_so(
    template: MessageTemplate, configure: Any
) -> None:
    """A row skipped for its bad data holds none, so a resend cannot say anything."""
    configure(INVALID_DATA="skip")
    notification = notify(make_binding(), template, lambda user: {})
    new = resend(notification.logs.all()).get()
    assert (new.status, new.errmsg) == (Status.SKIPPED, recipients.NO_DATA)


@pytest.mark.parametrize("shared", [True, False])
def test_what_the_template_no_longer_takes_is_skipped(
    template: MessageTemplate, shared: bool
) -> None:
    """After the content changed on WeChat, old data is not sent into a certain 47003."""
    data = ORDER if shared else lambda user: ORDER
    notification = notify(make_bindings(2), template, data)
    notification.logs.update(status=Status.FAILED)
    template.content += "\n金额：{{amount3.DATA}}"
    template.save()
    news = resend(notification.logs.all())
    assert len(news) == 2
    for log in news:
        assert log.status == Status.SKIPPED
        assert "amount3" in log.errmsg


def test_bad_shared_data_stays_unsent(template: MessageTemplate, configure: Any) -> None:
    """A row skipped for shared data that breaks a rule is skipped again for the same reason."""
    configure(INVALID_DATA="skip")
    notification = notify(make_binding(), template, {**ORDER, "thing2": "长" * 21})
    new = resend(notification.logs.all()).get()
    assert new.status == Status.SKIPPED
    assert "thing2" in new.errmsg


def test_a_template_without_known_content_can_be_resent() -> None:
    """A template registered by hand has no fields to compare with."""
    template = make_template(content="")
    notification = notify(make_binding(), template, {})
    notification.logs.update(status=Status.FAILED)
    assert resend(notification.logs.all()).get().status == Status.PENDING


def test_an_inactive_template_resends_nothing(template: MessageTemplate) -> None:
    """All or nothing: rows of other notifications are not resent either."""
    other = make_template("other_template")
    for number, one in enumerate((other, template), start=1):
        notify(make_binding(number=number), one, ORDER)
    SendLog.objects.update(status=Status.FAILED)
    template.is_active = False
    template.save()
    with pytest.raises(TemplateNotFound, match="order_paid"):
        resend(SendLog.objects.all())
    assert Notification.objects.count() == 2


@pytest.mark.parametrize("kind", ["queryset", "sliced", "list", "ordered"])
def test_rows_come_as_they_are(template: MessageTemplate, kind: str) -> None:
    """A QuerySet, sliced or not, and a list of rows say the same."""
    logs = finished(template, 3)
    chosen = {
        "queryset": logs.filter(openid__in=[openid(1), openid(2)]),
        "sliced": logs.order_by("pk")[:2],
        "list": list(logs.order_by("pk"))[:2],
        "ordered": logs.order_by("-openid").exclude(openid=openid(3)),
    }[kind]
    assert [log.openid for log in resend(chosen)] == [openid(1), openid(2)]


def test_nothing_to_resend_is_nothing(template: MessageTemplate) -> None:
    """An empty choice is no error."""
    assert list(resend([])) == []
    assert list(resend(SendLog.objects.none())) == []


def test_each_notification_becomes_a_new_one(template: MessageTemplate) -> None:
    """Rows of several notifications keep their own data and links, on their own accounts."""
    elsewhere = make_template(account="other", template_id="T2")
    user = make_binding(number=1).user
    OpenIDBinding.objects.create(user=user, account="other", openid=openid(2))
    for number, one in enumerate((template, elsewhere), start=1):
        notify(user, one, ORDER, url=f"/view/{number}/")
    SendLog.objects.update(status=Status.FAILED)
    new = resend(SendLog.objects.all())
    assert [(log.account, log.openid, log.notification.url) for log in new] == [
        ("default", openid(1), "https://school.example/view/1/"),
        ("other", openid(2), "https://school.example/view/2/"),
    ]


def queries(logs: Any) -> int:
    with CaptureQueriesContext(connection) as captured:
        resend(logs)
    return len(captured)


def test_queries_do_not_grow_with_the_rows(template: MessageTemplate) -> None:
    """One row and many of a notification cost the same, unbound users included."""
    unbound = [make_user(f"unbound{number}") for number in range(10)]
    few = notify([make_binding(number=1), unbound[0]], template, ORDER)
    many = notify([*make_bindings(20, first=10), *unbound], template, ORDER)
    SendLog.objects.filter(status=Status.PENDING).update(status=Status.FAILED)
    assert queries(many.logs.all()) == queries(few.logs.all())


@pytest.mark.slow
def test_a_big_resend_reads_its_rows_by_pages(template: MessageTemplate) -> None:
    """Every row once, and no statement reads them all: on MariaDB an iterator() would."""
    count = recipients.CHUNK + 1
    logs = finished(template, count)
    with CaptureQueriesContext(connection) as captured:
        new = resend(logs)
    read = [query["sql"] for query in captured if "openidbinding" in query["sql"]]
    named = [keys[1].split(",") for sql in read if (keys := re.search(r"IN \(([\d, ]+)\)", sql))]
    assert [len(keys) for keys in named] == [recipients.CHUNK, 1]
    assert len(read) == 2
    assert new.values("resend_of").distinct().count() == new.count() == count


@pytest.mark.parametrize("keeps", [True, False])
def test_what_was_to_be_said_to_those_out_of_reach(template: MessageTemplate, keeps: bool) -> None:
    """It is kept where the caller says so, and said once they can be reached; bad data is not."""
    users = [make_user(name) for name in ("early", "late", "silent")]
    bind(users[0], openid(1))

    def said(user: Any) -> dict[str, Any]:
        return {} if user.username == "silent" else {**ORDER, "thing2": f"给{user.username}"}

    notification = notify(users, template, said, _keeps_unsent=keeps)
    assert notification.counts["skipped"] == 2
    for number, user in enumerate(users[1:], 2):
        bind(user, openid(number))
    news = resend(notification.logs.filter(status=Status.SKIPPED)).order_by("pk")
    late, silent = news.select_related("user")
    assert (silent.user.username, silent.errmsg) == ("silent", recipients.NO_DATA)
    if keeps:
        assert late.status == Status.PENDING
        assert late.merged_data["thing2"]["value"] == "给late"
    else:
        assert late.errmsg == recipients.NO_DATA


def test_many_notifications_are_not_looked_for_one_by_one(template: MessageTemplate) -> None:
    """What chose the rows may read the whole log, and it is asked as often for ten as for two."""
    asked = []
    for count in (2, 10):
        for binding in make_bindings(count, first=count * 100):
            notify(binding, template, ORDER).logs.update(status=Status.FAILED, errmsg="lost")
        with CaptureQueriesContext(connection) as queries:
            assert resend(SendLog.objects.filter(errmsg="lost")).count() == count
        asked.append(sum("'lost'" in query["sql"] for query in queries))
        SendLog.objects.update(errmsg="")
    assert asked[0] == asked[1]

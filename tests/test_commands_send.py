"""manage.py wechat_send: one message from the shell, and what became of it."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.factories import make_binding, make_template, make_user, openid
from wechat_notify.backends import locmem
from wechat_notify.models import MessageTemplate, Notification

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = ["character_string1=2026112301", "thing2=围巾"]


def run(*arguments: str, **options: Any) -> str:
    """What the command prints, without colours."""
    out = options.setdefault("stdout", io.StringIO())
    call_command("wechat_send", *arguments, no_color=True, **options)
    return out.getvalue()


def test_a_user_by_name(template: MessageTemplate) -> None:
    """The fields are sent, and the msgid is shown with who got it."""
    make_binding(make_user("alice"))
    printed = run("order_paid", *FIELDS, "--user", "alice", "--url", "/view/1/")
    (message,) = locmem.outbox
    assert message.data["thing2"] == {"value": "围巾"}
    assert message.url == "https://school.example/view/1/"
    log = Notification.objects.get().logs.get()
    assert printed == f"alice  accepted by WeChat  msgid {log.msgid}\n"
    assert log.notification.source == "command"


def test_a_title(template: MessageTemplate) -> None:
    """What the notification is called; without one, its first values."""
    run("order_paid", *FIELDS, "--openid", openid(1), "--title", "秋游")
    run("order_paid", *FIELDS, "--openid", openid(1))
    titles = Notification.objects.order_by("pk").values_list("title", flat=True)
    assert list(titles) == ["秋游", "2026112301 · 围巾"]


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2, 1], [2, 0, 1]])
def test_fields_and_options_come_in_any_order(template: MessageTemplate, order: list[int]) -> None:
    """As in any command of a shell."""
    parts = [["order_paid"], FIELDS, ["--openid", openid(1)]]
    run(*(word for number in order for word in parts[number]))
    assert locmem.outbox[0].data["thing2"] == {"value": "围巾"}


def test_several_recipients(template: MessageTemplate) -> None:
    """--user and --openid repeat; an openid is shown masked."""
    for number, name in enumerate(("alice", "bob"), start=1):
        make_binding(make_user(name), number)
    who = ["--user", "alice", "--user", "bob", "--openid", openid(9)]
    printed = run("order_paid", *FIELDS, *who)
    assert [line.split()[0] for line in printed.splitlines()] == ["alice", "bob", "oTes…009"]
    assert len(locmem.outbox) == 3


def test_data_as_json(template: MessageTemplate) -> None:
    """For values that a shell makes hard to write."""
    run(
        "order_paid",
        "--openid",
        openid(1),
        "--json",
        '{"character_string1": 2026112301, "thing2": {"value": "a=b"}}',
    )
    assert locmem.outbox[0].data["thing2"] == {"value": "a=b"}


def test_a_value_may_hold_an_equals_sign(template: MessageTemplate) -> None:
    """Only the first "=" separates name and value."""
    run("order_paid", FIELDS[0], "thing2=a=b", "--openid", openid(1))
    assert locmem.outbox[0].data["thing2"] == {"value": "a=b"}


def test_another_account_and_a_key() -> None:
    """--account and --key are those of notify()."""
    make_template(account="other")
    for _ in range(2):
        run("order_paid", *FIELDS, "--openid", openid(1), "--account", "other", "--key", "once")
    assert len(locmem.outbox) == 1


def test_a_priority(template: MessageTemplate) -> None:
    """By its name; without it, by the number of recipients."""
    run("order_paid", *FIELDS, "--openid", openid(1), "--priority", "urgent")
    run("order_paid", *FIELDS, "--openid", openid(1))
    found = Notification.objects.order_by("pk").values_list("priority", flat=True)
    assert list(found) == [Notification.Priority.URGENT, Notification.Priority.NORMAL]


def test_who_did_not_get_it_and_why(template: MessageTemplate) -> None:
    """The reason is in the line, the exit code is an error, and the others still got theirs."""
    make_binding(make_user("alice"))
    make_user("bob")
    out = io.StringIO()
    with pytest.raises(CommandError, match=r"1 of 2 did not go out\."):
        run("order_paid", *FIELDS, "--user", "alice", "--user", "bob", stdout=out)
    assert "alice  accepted by WeChat" in out.getvalue()
    assert "bob  skipped  This user has not bound WeChat." in out.getvalue()


def test_wechats_refusal_is_explained(template: MessageTemplate) -> None:
    """Cause and next step in plain words, with the errcode."""
    locmem.results.add(43004)
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 1 did not go out"):
        run("order_paid", *FIELDS, "--openid", openid(1), stdout=out)
    assert "(errcode 43004)" in out.getvalue()


def test_what_waits_for_a_worker_is_no_error(template: MessageTemplate, configure: Any) -> None:
    """Where workers send, the message is on its way."""
    configure(DISPATCHER="wechat_notify.dispatchers.worker.WorkerDispatcher")
    assert "waiting" in run("order_paid", *FIELDS, "--openid", openid(1))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["order_paid", *FIELDS], "--user NAME or --openid"),
        (["order_paid", *FIELDS, "--user", "nobody"], "There is no user 'nobody'"),
        (["order_paid", "--openid", "oX", "--json", "{"], "--json is not JSON"),
        (["order_paid", "--openid", "oX", "--json", "[]"], "mapping"),
        (["order_paid", "thing2", "--openid", "oX"], "'thing2' is not of the form field=value"),
        (["order_paid", "=x", "--openid", "oX"], "field=value"),
        (["order_paid", FIELDS[0], "--openid", "oX"], "thing2: is missing"),
        (["order_paid", *FIELDS, "--openid", "o X"], "openid"),
        (["order_piad", *FIELDS, "--openid", "oX"], "'order_piad'"),
        (["order_paid", *FIELDS, "--openid", "oX", "--account", "nowhere"], "'nowhere'"),
        (["order_paid", *FIELDS, "--openid", "oX", "--url", "ftp://x"], "http"),
        (["order_paid", *FIELDS, "--openid", "oX", "--priority", "high"], "invalid choice: 'high'"),
    ],
)
def test_misuse_is_one_clear_line(
    template: MessageTemplate, arguments: list[str], says: str
) -> None:
    """A wrong argument is an error without a traceback, and nothing is written."""
    with pytest.raises(CommandError, match=says):
        run(*arguments)
    assert not Notification.objects.exists()

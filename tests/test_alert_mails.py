"""E-mails about alerts: to whom, what they say, and what a mail server that fails does to them."""

import logging
import smtplib
from collections.abc import Callable
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.contrib import admin
from django.contrib.auth.backends import BaseBackend, ModelBackend
from django.contrib.auth.models import Group, Permission
from django.core import mail
from django.core.mail.backends.base import BaseEmailBackend
from django.http import HttpRequest
from django.utils import timezone, translation

from tests.factories import make_template, make_user
from wechat_notify.alerts import staff
from wechat_notify.alerts.comparing import look
from wechat_notify.alerts.mailing import given_up, send_due
from wechat_notify.alerts.telling import begin
from wechat_notify.models import Alert, AlertMail, MessageTemplate
from wechat_notify.sending.breaker import Breaker
from wechat_notify.services import resume_template

pytestmark = pytest.mark.django_db

Configure = Callable[..., None]


def chosen(name: str, *, address: str | None = None, **fields: Any) -> Any:
    """A user who was given the permission."""
    user = make_user(name, email=f"{name}@school.example" if address is None else address, **fields)
    user.user_permissions.add(Permission.objects.get(codename="receive_alerts"))
    return user


def stopped(name: str = "order_paid", **fields: Any) -> MessageTemplate:
    """A template that WeChat has banned: an event that begins and ends at once."""
    return make_template(name, paused_at=timezone.now(), pause_errcode=43116, **fields)


def told() -> list[list[str]]:
    return [message.to for message in mail.outbox]


class Failing(BaseEmailBackend):
    """Raises each of ``errors`` once, and then takes what comes."""

    errors: ClassVar[list[Exception]] = []

    def send_messages(self, email_messages: Any) -> int:
        if self.errors:
            raise self.errors.pop(0)
        mail.outbox.extend(email_messages)
        return len(email_messages)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[Exception]:
    """The errors that the mail server answers with, from now on."""
    path = f"{__name__}.Failing"
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path
    errors: list[Exception] = []
    monkeypatch.setattr(Failing, "errors", errors)
    return errors


# -- who --------------------------------------------------------------------------------------


def test_each_of_the_chosen_gets_one_of_their_own() -> None:
    """Once when it begins and once when it is over, and nobody sees who else is told."""
    chosen("alice")
    by_group = make_user("bob", email="bob@school.example")
    group = Group.objects.create(name="office")
    group.permissions.add(Permission.objects.get(codename="receive_alerts"))
    by_group.groups.add(group)
    template = stopped()
    for _ in range(3):
        begin()
    assert told() == [["alice@school.example"], ["bob@school.example"]]
    resume_template(template)
    for _ in range(3):
        begin()
    assert told()[2:] == [["alice@school.example"], ["bob@school.example"]]
    assert [message.subject[:6] == "Over: " for message in mail.outbox] == [False] * 2 + [True] * 2
    assert not any(message.cc or message.bcc for message in mail.outbox)


def test_nobody_else_is_told() -> None:
    """Neither a superuser whom nobody chose, nor who is inactive or has no address."""
    make_user("boss", email="boss@school.example", is_superuser=True, is_staff=True)
    make_user("clerk", email="clerk@school.example", is_staff=True)
    chosen("gone", is_active=False)
    chosen("mute", address="")
    stopped()
    begin()
    assert not mail.outbox
    assert Alert.objects.exists()


def test_a_superuser_can_be_chosen() -> None:
    """By the permission itself."""
    chosen("boss", is_superuser=True)
    stopped()
    begin()
    assert told() == [["boss@school.example"]]


def test_who_may_not_know_of_the_account_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the site's admin says of pages, and without any request."""

    def allowed(request: HttpRequest, account: str) -> bool:
        return request.user.username == f"of-{account}"

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", allowed, raising=False)
    chosen("of-default")
    chosen("of-other")
    stopped()
    begin()
    assert told() == [["of-default@school.example"]]


def test_a_site_that_cannot_say_tells_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its own code failed: that is logged, and the alert is there nevertheless."""

    def fail(request: HttpRequest, account: str) -> bool:
        raise LookupError("no session")

    monkeypatch.setattr(admin.site, "has_wechat_account_permission", fail, raising=False)
    chosen("alice")
    stopped()
    begin()
    assert not mail.outbox
    assert Alert.objects.exists()
    assert "no session" in caplog.text


class Lists(ModelBackend):
    """A backend of a site's own that can say who has a permission."""

    def with_perm(self, perm: Any, *args: Any, **kwargs: Any) -> Any:
        return super().with_perm(perm, *args, **kwargs).filter(username="alice")


class Knows(BaseBackend):
    """One that cannot."""


def test_the_sites_own_backends_are_asked(settings: Any) -> None:
    """Not the manager of its users, which may lack with_perm()."""
    chosen("alice")
    chosen("bob")
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Knows"]
    assert staff.chosen("default") == []
    settings.AUTHENTICATION_BACKENDS = [f"{__name__}.Knows", f"{__name__}.Lists"]
    assert [user.username for user in staff.chosen("default")] == ["alice"]


def test_who_was_not_told_of_the_beginning_is_not_told_of_the_end() -> None:
    """Whoever is chosen meanwhile would not know what is over."""
    template = stopped()
    begin()
    chosen("late")
    resume_template(template)
    begin()
    assert not mail.outbox


def test_who_is_no_longer_chosen_by_then_is_left_out() -> None:
    """Such as somebody who has left between the beginning and the end."""
    template, leaver = stopped(), chosen("leaver")
    chosen("alice")
    begin()
    leaver.is_active = False
    leaver.save()
    resume_template(template)
    begin()
    assert told()[2:] == [["alice@school.example"]]
    begin()
    assert len(mail.outbox) == 3


# -- what -------------------------------------------------------------------------------------


def test_it_says_what_why_what_to_do_and_until_when(configure: Configure) -> None:
    """In plain text, with a link to the alert's page in the admin."""
    configure(default={"NAME": "阳光实验学校"})
    chosen("alice")
    Breaker("default").trip(45009, "reach max api daily quota limit rid: 1-2-3")
    begin()
    (message,) = mail.outbox
    assert message.subject == "Account 阳光实验学校 is at rest: its messages wait."
    assert "Today's quota for this call is used up." in message.body
    assert "Sending goes on by itself tomorrow." in message.body
    assert "it is tried again by itself." in message.body
    assert "“reach max api daily quota limit rid: 1-2-3”" in message.body
    address = f"/admin/wechat_notify/alert/{Alert.objects.get().pk}/change/"
    assert f"https://school.example{address}" in message.body
    assert message.content_subtype == "plain"


def test_it_is_in_the_sites_language(settings: Any) -> None:
    """Whoever's request or process has found it."""
    settings.LANGUAGE_CODE = "zh-hans"
    chosen("alice")
    stopped()
    with translation.override("en"):
        begin()
    assert "公众号 default：" in mail.outbox[0].subject
    assert "模板 order_paid" in mail.outbox[0].subject


def test_without_an_admin_it_has_no_link(settings: Any) -> None:
    """The rest of it is there."""
    settings.ROOT_URLCONF = "tests.services.urls"
    chosen("alice")
    stopped()
    begin()
    assert "In the admin" not in mail.outbox[0].body
    assert "order_paid" in mail.outbox[0].body


def test_a_stand_in_is_named() -> None:
    """Whoever reads it knows that messages go out nevertheless."""
    chosen("alice")
    stopped(stand_in=make_template("second", title="缴费提醒"))
    begin()
    assert "缴费提醒 (second)" in mail.outbox[0].body


# -- a mail server that fails -----------------------------------------------------------------


def pass_time(**span: float) -> None:
    """As if the next attempts had been planned so much earlier."""
    for row in AlertMail.objects.all():
        if row.due_at is not None:
            AlertMail.objects.filter(pk=row.pk).update(due_at=row.due_at - timedelta(**span))


def test_it_is_tried_again_and_then_given_up(
    failing: list[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    """After a minute, ten and an hour; the log says why, and names no address."""
    chosen("alice")
    failing += [smtplib.SMTPConnectError(421, b"busy") for _ in range(9)]
    stopped()
    with caplog.at_level(logging.WARNING):
        begin()
        begin()
        assert len(failing) == 8
        for minutes in (1, 10, 60, 600, 600):
            pass_time(minutes=minutes)
            begin()
    assert len(failing) == 5
    row = given_up(timezone.now() - timedelta(days=1)).get()
    assert row.attempts == 4
    assert "SMTPConnectError" in row.error
    assert "It is given up." in caplog.text
    assert "alice@school.example" not in caplog.text


def test_a_server_that_is_back_takes_it(failing: list[Exception]) -> None:
    """And the end of it afterwards, not before."""
    chosen("alice")
    failing.append(OSError("Connection refused"))
    template = stopped()
    begin()
    resume_template(template)
    begin()
    assert not mail.outbox
    pass_time(minutes=1)
    begin()
    assert ["Over" in message.subject for message in mail.outbox] == [False, True]
    assert not given_up(timezone.now() - timedelta(days=1)).exists()


def test_one_address_that_is_refused_keeps_no_other_waiting(failing: list[Exception]) -> None:
    """The next person's e-mail goes out at once."""
    for name in ("alice", "bob"):
        chosen(name)
    failing.append(smtplib.SMTPRecipientsRefused({}))
    stopped()
    begin()
    assert told() == [["bob@school.example"]]
    pass_time(minutes=1)
    begin()
    assert told() == [["bob@school.example"], ["alice@school.example"]]


def test_no_address_is_logged_or_kept(failing: list[Exception], caplog: Any) -> None:
    """A server that refuses an address repeats it, alone and in its sentence."""
    chosen("alice")
    said = b"5.1.1 <alice@school.example> unknown, ask postmaster@mail.example"
    failing.append(smtplib.SMTPRecipientsRefused({"alice@school.example": (550, said)}))
    stopped()
    begin()
    (row,) = AlertMail.objects.all()
    for text in (row.error, caplog.text):
        assert "5.1.1" in text
        assert "@" not in text


def test_the_end_of_what_nobody_could_be_told_is_not_told(failing: list[Exception]) -> None:
    """An e-mail that something is over means nothing to who never heard of it."""
    chosen("alice")
    failing += [OSError("Connection refused")] * 4
    template = stopped()
    begin()
    for minutes in (1, 10, 60):
        pass_time(minutes=minutes)
        begin()
    resume_template(template)
    begin()
    pass_time(hours=1)
    begin()
    assert not failing
    assert not mail.outbox


def test_what_a_killed_process_was_sending_is_sent_by_another() -> None:
    """Ten minutes later, once."""
    chosen("alice")
    stopped()
    look()
    AlertMail.objects.update(attempts=1, due_at=timezone.now() + timedelta(minutes=10))
    begin()
    assert not mail.outbox
    pass_time(minutes=11)
    begin()
    begin()
    assert told() == [["alice@school.example"]]


def test_no_connection_is_held_while_the_server_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, failing: list[Exception]
) -> None:
    """The database is used within the block that is given, and the mail server outside of it."""
    inside: list[bool] = []
    seen: list[bool] = []

    class Block(nullcontext[None]):
        def __enter__(self) -> None:
            inside.append(True)

        def __exit__(self, *error: object) -> None:
            inside.pop()

    def send(self: Any, email_messages: Any) -> int:
        seen.append(bool(inside))
        return 1

    monkeypatch.setattr(Failing, "send_messages", send)
    chosen("alice")
    stopped()
    look()
    assert send_due(Block()) == 1
    assert seen == [False]

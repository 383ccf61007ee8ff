"""E-mails about alerts, through Django's mail: one to each person, in the site's language.

Each is a row, written in the transaction that opens or closes the alert; so of two processes that
find the same event one has its e-mails sent. A process takes a row for ten minutes, and a row whose
process was killed meanwhile is taken again: no e-mail is lost, and a second one is sent only if the
process was killed in the moment after the server had taken the first.

The end of an alert is told to those who were told of its beginning.
"""

import logging
import re
import smtplib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings as django_settings
from django.core import mail
from django.db.models import Exists, F, OuterRef, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone, translation
from django.utils.translation import gettext as _

from ..diagnosis.finding import sentences
from ..models import Alert, AlertMail, repeats_on_conflict
from ..models.alert import DETAIL_LENGTH
from ..names import account_name
from ..wechat.masking import presentable
from ..writing.content import has_host, whole_url
from .staff import address_of, chosen, is_told
from .wording import heading, in_words, moment, since

logger = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
"""After the last of these attempts, and one more, an e-mail is given up."""
SMTP_SECONDS = 30
"""Django's mail waits for ever unless the site says for how long."""
MOST_AT_ONCE = 100
ADDRESS = re.compile(r"[^\s<>()\[\]{}'\",;:]+@[^\s<>()\[\]{}'\",;:]+")


def write_first(alert: Alert) -> None:
    """Have the chosen staff told that the alert was given. Called in its transaction."""
    mails = [AlertMail(alert=alert, user=user) for user in chosen(alert.account)]
    AlertMail.objects.bulk_create(mails)


def write_last(alert: Alert) -> None:
    """Have those who were told of the alert, or are about to be, told that it is over."""
    first = AlertMail.objects.filter(alert=alert, is_end=False)
    users = first.values_list("user", flat=True)
    mails = [AlertMail(alert=alert, user_id=user, is_end=True) for user in users]
    AlertMail.objects.bulk_create(mails)


def waiting() -> QuerySet[AlertMail]:
    """E-mails that are to be sent, now or later."""
    return AlertMail.objects.filter(due_at__isnull=False)


def given_up(since: datetime) -> QuerySet[AlertMail]:
    """E-mails that could not be sent, about alerts that were given since then."""
    failed = AlertMail.objects.filter(due_at__isnull=True, sent_at__isnull=True)
    return failed.exclude(error="").filter(alert__opened_at__gte=since)


def send_due(connected: AbstractContextManager[Any]) -> int:
    """Send what is due, each e-mail by itself. Returns how many were sent.

    ``connected``: a block within which the database may be used. While the mail server is waited
    for, no connection to the database is held.
    """
    sent = 0
    while True:
        with connected:
            taken = None if sent == MOST_AT_ONCE else _take()
        if taken is None:
            return sent
        row, message = taken
        error = _send(message)
        with connected:
            _note(row, error)
        if error is None:
            sent += 1
        elif not isinstance(error, smtplib.SMTPRecipientsRefused):
            return sent  # the server's trouble, and not this person's: the others wait


@repeats_on_conflict
def _take() -> tuple[AlertMail, mail.EmailMessage] | None:
    """The next e-mail, which is this process's for ten minutes; None: nothing is due."""
    now = timezone.now()
    first = AlertMail.objects.filter(
        alert=OuterRef("alert"), user=OuterRef("user"), is_end=False, due_at__isnull=False
    )
    due = waiting().filter(due_at__lte=now).exclude(Exists(first), is_end=True)
    for row in due.select_related("alert__template__stand_in", "user").order_by("pk"):
        this = AlertMail.objects.filter(pk=row.pk, due_at=row.due_at)
        if not this.update(due_at=now + LEASE, attempts=F("attempts") + 1):
            continue  # another process has it
        row.attempts += 1
        if _is_wanted(row):
            return row, _message(row)
        AlertMail.objects.filter(pk=row.pk).update(due_at=None)
    return None


def _is_wanted(row: AlertMail) -> bool:
    """Whether the person is still there to be told, and was told of the beginning."""
    told = AlertMail.objects.filter(alert=row.alert, user=row.user, sent_at__isnull=False)
    if row.is_end and not told.filter(is_end=False).exists():
        return False
    return is_told(row.user, row.alert.account)


def _send(message: mail.EmailMessage) -> Exception | None:
    """Have the mail server take it. Returns why it has not; raises nothing."""
    try:
        # Django 6.1 has mailers, and before it get_connection().
        mailer: Any = mail.mailers.default if hasattr(mail, "mailers") else mail.get_connection()
        if getattr(mailer, "timeout", SMTP_SECONDS) is None:
            mailer.timeout = SMTP_SECONDS
        mailer.send_messages([message])
    except Exception as error:  # noqa: BLE001 - each mail backend has exceptions of its own
        return error
    return None


@repeats_on_conflict
def _note(row: AlertMail, error: Exception | None) -> None:
    """Write down what became of it, unless another process has taken it over meanwhile."""
    this = AlertMail.objects.filter(pk=row.pk, attempts=row.attempts)
    if error is None:
        this.update(due_at=None, sent_at=timezone.now(), error="")
        return
    waits = RETRY_AFTER[row.attempts - 1 : row.attempts]
    again = "It is tried again." if waits else "It is given up."
    logger.warning(
        "An e-mail about alert %d could not be sent to user %s. %s %s: %s",
        row.alert_id,
        row.user_id,
        again,
        type(error).__name__,
        _presentable(error),
    )
    text = f"{type(error).__name__}: {_presentable(error)}"[:DETAIL_LENGTH]
    this.update(due_at=timezone.now() + waits[0] if waits else None, error=text)


def _presentable(error: Exception) -> str:
    """What the mail server has said, without addresses: they are somebody's, so in no log."""
    return ADDRESS.sub("…", presentable(str(error)))


# -- what it says -----------------------------------------------------------------------------


def _message(row: AlertMail) -> mail.EmailMessage:
    """The e-mail to one person. Nobody sees who else is told."""
    with translation.override(django_settings.LANGUAGE_CODE):
        said = heading(row.alert)
        if row.is_end:
            subject, lines = _("Over: %(what)s") % {"what": said}, _last_lines(row.alert)
        else:
            subject, lines = said, list(_first_lines(row.alert))
        lines += ["", _why_told(row.alert)]
        return mail.EmailMessage(
            presentable(subject), "\n".join(lines), None, [address_of(row.user)]
        )


def _first_lines(alert: Alert) -> Iterator[str]:
    words = in_words(alert)
    yield words.what
    yield since(alert)
    for text in (sentences(words.why, words.code), words.to_do, words.then):
        if text:
            yield ""
            yield text
    if words.quoted:
        yield ""
        yield _("In its own words: “%(words)s”") % {"words": words.quoted}
    if link := _link(alert):
        yield ""
        yield _("In the admin: %(link)s") % {"link": link}


def _last_lines(alert: Alert) -> list[str]:
    times = {"time": moment(alert.closed_at or alert.seen_at)}
    lines = [_("This is over since %(time)s:") % times, heading(alert), since(alert)]
    link = _link(alert)
    return [*lines, "", _("In the admin: %(link)s") % {"link": link}] if link else lines


def _why_told(alert: Alert) -> str:
    text = _(
        "You get this e-mail because you were chosen to be told about account %(account)s. There "
        "is one when something begins, and one when it is over."
    )
    return text % {"account": account_name(alert.account)}


def _link(alert: Alert) -> str:
    """The alert's page; "" where the site has none, or nobody knows the site's address."""
    try:
        link = whole_url(reverse("admin:wechat_notify_alert_change", args=[alert.pk]))
    except NoReverseMatch:
        return ""
    return link if has_host(link) else ""

"""The alerts that are open, and whether anybody is told of them."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..alerts.mailing import given_up
from ..alerts.staff import chosen
from ..alerts.wording import heading
from ..models import Alert
from .finding import Finding, Level, local, sentences

RECENT = timedelta(days=1)
"""Mail that could not be sent earlier has probably been mended; the alert's page still shows it."""


def look_at_alerts(alias: str) -> Iterator[Finding]:
    """The account's open alerts, e-mails that could not be sent, and who gets them."""
    # What is open is a problem that stands among the other findings; here it is not counted again.
    for alert in Alert.objects.still_open().filter(account=alias).select_related("template"):
        given = _("Alert given at %(time)s.") % {"time": local(alert.opened_at)}
        yield Finding(Level.NOTE, sentences(heading(alert), given))
    failed = given_up(timezone.now() - RECENT).filter(alert__account=alias)
    last = failed.order_by("-pk").first()
    if last is not None:
        count = failed.count()
        text = ngettext(
            "Alerts: %(count)d e-mail could not be sent. %(error)s",
            "Alerts: %(count)d e-mails could not be sent. %(error)s",
            count,
        )
        step = _("Look at the site's settings of e-mail, and try manage.py sendtestemail.")
        yield Finding(Level.PROBLEM, text % {"count": count, "error": last.error}, step)
    yield _who_is_told(alias)


def _who_is_told(alias: str) -> Finding:
    count = len(chosen(alias))
    if not count:
        step = _("Give somebody with an e-mail address the permission receive_alerts.")
        return Finding(Level.NOTE, _("Alerts: nobody is told by e-mail."), step)
    text = ngettext(
        "Alerts: %(count)d person is told by e-mail.",
        "Alerts: %(count)d people are told by e-mail.",
        count,
    )
    return Finding(Level.OK, text % {"count": count})

"""An alert in plain words: what has happened, why, what to do, and until when."""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..diagnosis.finding import sentences
from ..models import Alert
from ..names import account_name
from ..senders import how_to_start
from ..wechat.errors import refused_ip

Kind = Alert.Kind


@dataclass(frozen=True, slots=True)
class Words:
    """``quoted``: WeChat's own words, or those of the network. All but the first may be empty."""

    what: str
    why: str = ""
    to_do: str = ""
    until: str = ""
    quoted: str = ""

    @property
    def explanation(self) -> str:
        """All but the first and the last, as one text."""
        return reduce(sentences, filter(None, (self.why, self.to_do, self.until)), "")


def in_words(alert: Alert) -> Words:
    """The alert in the active language."""
    return _WORDS[Kind(alert.kind)](alert)


def heading(alert: Alert) -> str:
    """What has happened, in one sentence that names the account."""
    return in_words(alert).what


def moment(when: datetime) -> str:
    """Date and time in the site's time zone: whoever reads it may do so a day later."""
    return date_format(timezone.localtime(when), "DATETIME_FORMAT")


def _rest(alert: Alert) -> Words:
    what = _("Account %(account)s is at rest since %(time)s: its messages wait.")
    pause = alert.info.pause if alert.info is not None else None
    by_itself = pause is not None and (pause.next_day or pause.seconds is not None)
    until = ""
    if alert.until is not None:
        text = (
            _("It rests until %(time)s.")
            if by_itself
            else _("It is tried again by itself, next at %(time)s.")
        )
        until = text % {"time": moment(alert.until)}
    return Words(_about(alert, what), *_cause(alert), until, alert.detail)


def _way(alert: Alert) -> Words:
    what = _(
        "Account %(account)s: nothing gets through to WeChat from server %(subject)s since "
        "%(time)s."
    )
    goes_on = _("It is tried again by itself, and no message is lost.")
    if alert.errcode is None:
        step = _("Look at that server's network and proxy. Sending goes on by itself.")
        return Words(_about(alert, what), "", step, goes_on, alert.detail)
    return Words(_about(alert, what), *_cause(alert), goes_on, alert.detail)


def _template(alert: Alert) -> Words:
    template = alert.template
    if alert.errcode is None:
        what = _("Account %(account)s: WeChat no longer has the template %(subject)s.")
        step = _(
            "The site's code notifies with it, and cannot. Add it again in WeChat's console and "
            "sync the templates, or give it a stand-in."
        )
        return Words(_about(alert, what), "", step)
    what = _("Account %(account)s: the template %(subject)s is stopped since %(time)s.")
    instead = template.sends_with() if template is not None else None
    if instead is not None and instead != template:
        waits = _("Its messages leave with its stand-in, %(title)s (%(name)s).") % {
            "title": instead,
            "name": instead.name,
        }
    else:
        waits = _("Its messages wait until somebody resumes it in the admin.")
    return Words(_about(alert, what), *_cause(alert), waits, alert.detail)


def _no_sender(alert: Alert) -> Words:
    what = _("Account %(account)s: messages are due since %(time)s, and no sender is running.")
    waits = _("The messages wait, and none is lost.")
    return Words(_about(alert, what), "", how_to_start(), waits)


def _failures(alert: Alert) -> Words:
    what = _(
        "Account %(account)s: %(failed)d of the %(decided)d messages of the last half an hour "
        "have failed."
    )
    why, step = _cause(alert)
    if why:
        why = _("Most of them for this reason: %(cause)s") % {"cause": why}
    look = _("The send log names each message and its reason.")
    return Words(_about(alert, what), why, step or look, look if step else "", alert.detail)


_WORDS = {
    Kind.REST: _rest,
    Kind.WAY: _way,
    Kind.TEMPLATE: _template,
    Kind.NO_SENDER: _no_sender,
    Kind.FAILURES: _failures,
}


def _about(alert: Alert, text: str) -> str:
    return text % {
        "account": account_name(alert.account),
        "subject": alert.subject,
        "time": moment(alert.began_at),
        "failed": alert.failed or 0,
        "decided": alert.decided or 0,
    }


def _cause(alert: Alert) -> tuple[str, str]:
    """The cause with its errcode, and the next step; both empty where there is no errcode."""
    info = alert.info
    if info is None:
        return "", ""
    cause, step = info.cause_in_words(), str(info.next_step)
    address = refused_ip(alert.detail)
    if address:
        cause = _("%(cause)s The address is %(ip)s.") % {"cause": cause, "ip": address}
    return cause, step

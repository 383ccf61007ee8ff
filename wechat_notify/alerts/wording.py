"""An alert in plain words: what has happened, why, what to do, and until when."""

from dataclasses import dataclass, replace
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
    then: str = ""
    quoted: str = ""
    code: str = ""

    @property
    def explanation(self) -> str:
        """Why, what to do and what happens by itself, as one text with the errcode at its end."""
        return reduce(sentences, (self.why, self.to_do, self.then, self.code), "")


def in_words(alert: Alert) -> Words:
    """The alert in the active language. When it is over, there is nothing to do any more."""
    words = _WORDS[Kind(alert.kind)](alert)
    return words if alert.is_open else replace(words, to_do="", then="")


def heading(alert: Alert) -> str:
    """What has happened, in one sentence that names the account."""
    return in_words(alert).what


def since(alert: Alert) -> str:
    """When it began, for a line of its own."""
    return _("Since %(time)s") % {"time": moment(alert.began_at)}


def moment(when: datetime) -> str:
    """Date and time in the site's time zone: whoever reads it may do so a day later."""
    return date_format(timezone.localtime(when), "DATETIME_FORMAT")


def _rest(alert: Alert) -> Words:
    then = ""
    if alert.until is not None:
        then = _("At %(time)s it is tried again by itself.") % {"time": moment(alert.until)}
    what = _("Account %(account)s is at rest: its messages wait.")
    return _with_cause(alert, what, then)


def _way(alert: Alert) -> Words:
    what = _("Account %(account)s: nothing gets through to WeChat from server %(subject)s.")
    again = _("It is tried again by itself, and no message is lost.")
    if alert.errcode is not None:
        return _with_cause(alert, what, again)
    step = _("Look at that server's network and proxy.")
    return Words(_about(alert, what), "", step, again, alert.detail)


def _template(alert: Alert) -> Words:
    if alert.errcode is None:
        what = _("Account %(account)s: WeChat no longer has the template %(subject)s.")
        step = _(
            "The site's code notifies with it, and cannot. Add it again in WeChat's console and "
            "sync the templates, or give it a stand-in."
        )
        return Words(_about(alert, what), "", step)
    instead = alert.template.sends_with() if alert.template is not None else None
    if instead is not None and instead != alert.template:
        then = _("Its messages leave with its stand-in, %(title)s (%(name)s).") % {
            "title": instead,
            "name": instead.name,
        }
    else:
        then = _("Its messages wait until somebody resumes it in the admin.")
    what = _("Account %(account)s: WeChat has stopped the template %(subject)s.")
    return _with_cause(alert, what, then)


def _no_sender(alert: Alert) -> Words:
    what = _("Account %(account)s: messages are overdue, and no sender is running.")
    then = _("The messages wait, and none is lost.")
    return Words(_about(alert, what), "", how_to_start(), then)


def _failures(alert: Alert) -> Words:
    what = _(
        "Account %(account)s: %(failed)d of the %(decided)d messages of the last half an hour "
        "have failed."
    )
    look = _("The send log names each message and its reason.")
    if alert.errcode is None:
        return Words(_about(alert, what), "", look, "", alert.detail)
    words = _with_cause(alert, what, look)
    return replace(words, why=_("Most of them for this reason: %(cause)s") % {"cause": words.why})


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
        "failed": alert.failed or 0,
        "decided": alert.decided or 0,
    }


def _with_cause(alert: Alert, what: str, then: str) -> Words:
    """With what the app knows of the alert's errcode."""
    info = alert.info
    if info is None:
        return Words(_about(alert, what), "", "", then, alert.detail)
    why = str(info.cause)
    if address := refused_ip(alert.detail):
        why = sentences(why, _("The address is %(ip)s.") % {"ip": address})
    code = _("(errcode %(errcode)d)") % {"errcode": info.errcode}
    return Words(_about(alert, what), why, str(info.next_step), then, alert.detail, code)

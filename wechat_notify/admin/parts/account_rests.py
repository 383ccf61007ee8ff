"""Accounts at rest: why nothing is sent for them at the moment, in words."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format, time_format
from django.utils.translation import gettext as _

from ...account_state import Closure, Rest, closed_ways, rest_of
from ...names import account_name
from ...senders import how_to_start, overdue_since
from ...wechat.errors import ErrorInfo, describe, refused_ip


@dataclass(frozen=True, slots=True)
class AccountRest:
    """One account at rest, for a banner. ``url`` is "" for those who may not try it again."""

    account: str
    heading: str
    reason: str
    url: str = ""

    def __str__(self) -> str:
        return f"{self.heading} {self.reason}"


def why_at_rest(account: str) -> AccountRest | None:
    """Why nothing is sent for this account at the moment; None when it does send.

    Where only some servers cannot send, that is said of the first of them.
    """
    rest = rest_of(account)
    if rest is not None:
        return AccountRest(account, _heading(account, rest), _reason(rest.info, rest.errmsg))
    for closure in closed_ways(account):
        return AccountRest(account, _closed(account, closure), _why_closed(closure))
    return None


def why_overdue(account: str) -> AccountRest | None:
    """That messages are due which nobody sends, and what to do; None when somebody is at work."""
    since = overdue_since(account)
    if since is None:
        return None
    text = _("Account %(account)s: messages are overdue since %(time)s, and no sender is running.")
    return AccountRest(
        account, text % {"account": account_name(account), "time": _moment(since)}, how_to_start()
    )


def _closed(account: str, closure: Closure) -> str:
    text = _(
        "Account %(account)s: nothing gets through to WeChat from server %(host)s since %(time)s."
    )
    names = {
        "account": account_name(account),
        "host": closure.host,
        "time": _moment(closure.since),
    }
    return text % names


def _why_closed(closure: Closure) -> str:
    if closure.errcode is not None:
        return _reason(describe(closure.errcode), closure.errmsg)
    again = _("It is tried again by itself, and no message is lost.")
    return f"{closure.errmsg} {again}"


def _heading(account: str, rest: Rest) -> str:
    names = {"account": account_name(account), "time": _moment(rest.until)}
    if rest.until <= timezone.now():
        return _("Account %(account)s rests, and is tried again soon.") % names
    if rest.by_hand:
        return _("Account %(account)s rests. It is tried again at %(time)s.") % names
    return _("Account %(account)s rests until %(time)s.") % names


def _reason(info: ErrorInfo, errmsg: str) -> str:
    address = refused_ip(errmsg)
    if not address:
        return info.in_words()
    text = _("%(cause)s The address is %(ip)s. %(next_step)s (errcode %(errcode)d)")
    names = {"cause": info.cause, "next_step": info.next_step, "errcode": info.errcode}
    return text % {**names, "ip": address}


def _moment(when: datetime) -> str:
    """The time of day, after the date where that is not today's."""
    local = timezone.localtime(when)
    time = time_format(local, "H:i")
    if local.date() == timezone.localdate():
        return time
    return f"{date_format(local, 'MONTH_DAY_FORMAT')} {time}"

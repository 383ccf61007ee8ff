"""Every exception of the app, by what the person who meets it can do.

::

    ImproperlyConfigured (Django's)
      └ ConfigurationError            fix the settings
          ├ AccountNotConfigured      … ACCOUNTS has no such alias
          └ InvalidSettings           … a value or an option is wrong

    WeChatNotifyError
      ├ TemplateNotFound              register, sync or activate the template
      ├ BindingConflict               the openid belongs to somebody else
      ├ CallbackRefused               not from WeChat, touched on the way, or unreadable
      ├ InvalidData                   fix the values: all problems at once, by field
      ├ PlaceholderError              fix the text: {{ … }} in it cannot be used
      ├ TransportError                no answer; ``maybe_sent``: WeChat may have got it
      └ WeChatError                   WeChat said no: errcode, errmsg, rid, cause, next_step
          └ TokenError                … at the token endpoint: nothing can be sent
              └ RefusedTokenError     … at every other one: it refuses each token there is

    UserWarning (Python's)
      └ NotShownWarning               leave it out: WeChat takes it and shows it to nobody

Misconfiguration stays outside ``WeChatNotifyError`` on purpose: a site that catches the app's
errors around a send must not swallow a wrong deployment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext


class ConfigurationError(ImproperlyConfigured):
    """The ``WECHAT_NOTIFY`` setting needs a hand. Never holds a secret."""


class AccountNotConfigured(ConfigurationError):
    """An account alias was used that ``WECHAT_NOTIFY["ACCOUNTS"]`` does not have."""


class InvalidSettings(ConfigurationError):
    """A value in ``WECHAT_NOTIFY`` is of the wrong shape, or an option is unknown."""


class WeChatNotifyError(Exception):
    """Base of the app's runtime errors. Catch it; never raise it."""


class TemplateNotFound(WeChatNotifyError, LookupError):
    """No active template has this name on this account."""


class BindingConflict(WeChatNotifyError):
    """This openid is already bound to another user. It is never moved silently."""


class CallbackRefused(WeChatNotifyError):
    """What came to the callback address is forged, replayed or cannot be read.

    The text is for the site's log; whoever knocked learns nothing of it.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be sent: which field, which rule, what was given, for whom.

    ``recipient`` is empty where the problem is the same for everybody.
    """

    field: str
    message: str
    given: Any = None
    recipient: str = ""

    def __str__(self) -> str:
        where = f"{self.field} ({self.recipient})" if self.recipient else self.field
        return f"{where}: {self.message}"


class InvalidData(WeChatNotifyError, ValueError):
    """Values that WeChat would refuse. Carries every problem found, and nothing was written.

    ``problems`` is the list; ``as_dict()`` the same by field, as a Django form wants it.
    """

    def __init__(self, problems: Iterable[Problem], *, template: str = "") -> None:
        self.problems: list[Problem] = list(problems)
        self.template = template
        super().__init__(self.problems)

    def __str__(self) -> str:
        head = f"Template {self.template!r}: " if self.template else ""
        return head + "; ".join(str(problem) for problem in self.problems)

    def as_dict(self) -> dict[str, list[str]]:
        by_field: dict[str, list[str]] = {}
        for problem in self.problems:
            who = f"{problem.recipient}: " if problem.recipient else ""
            by_field.setdefault(problem.field, []).append(f"{who}{problem.message}")
        return by_field


class PlaceholderError(WeChatNotifyError, ValueError):
    """A text that cannot be used; the message says why, in the active language."""


class TransportError(WeChatNotifyError):
    """No usable answer came back.

    ``maybe_sent`` is False where the request cannot have reached WeChat (no connection).
    """

    def __init__(self, message: str, *, maybe_sent: bool, status: int | None = None) -> None:
        self.maybe_sent = maybe_sent
        self.status = status
        super().__init__(message)


class WeChatError(WeChatNotifyError):
    """WeChat answered with an errcode.

    ``cause`` says why in plain words, ``next_step`` what to do about it, ``answer`` is the rest
    of WeChat's reply. The text never holds a secret or a token.
    """

    def __init__(
        self,
        errcode: int,
        errmsg: str = "",
        *,
        rid: str = "",
        cause: str = "",
        next_step: str = "",
        answer: Mapping[str, Any] | None = None,
    ) -> None:
        self.errcode = errcode
        self.errmsg = errmsg
        self.rid = rid
        self.cause = cause
        self.next_step = next_step
        self.answer = dict(answer or {})
        super().__init__(errcode, errmsg)

    def __str__(self) -> str:
        text = (
            gettext("%(cause)s %(next_step)s (errcode %(errcode)d)")
            if self.cause and self.next_step
            else gettext("%(cause)s (errcode %(errcode)d)")
        )
        cause = self.cause or self.errmsg
        return text % {"cause": cause, "next_step": self.next_step, "errcode": self.errcode}


class TokenError(WeChatError):
    """The token endpoint refused, or every token it gives is refused elsewhere.

    ``ip`` is the address WeChat saw, where it named one (40164: not in the whitelist).
    """

    def __init__(self, errcode: int, errmsg: str = "", *, ip: str = "", **details: Any) -> None:
        self.ip = ip
        super().__init__(errcode, errmsg, **details)


class RefusedTokenError(TokenError):
    """Tokens are to be had, but the business endpoints refuse every one of them."""


class NotShownWarning(UserWarning):
    """Something in the data is accepted but WeChat no longer shows it."""

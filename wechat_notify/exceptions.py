"""Every exception of the app, with what to do about it.

::

    ImproperlyConfigured (Django's)
      └ ConfigurationError            fix the settings
          ├ AccountNotConfigured      … ACCOUNTS has no such alias
          └ InvalidSettings           … a value or an option is wrong

    WeChatNotifyError
      ├ TemplateNotFound              register, sync or activate the template
      ├ BindingConflict               the openid belongs to somebody else
      ├ CannotDecide                  it does not wait for this person's approval (any more)
      ├ TooManyAttempts               a user has begun to bind too often: wait some minutes
      ├ CallbackRefused               not from WeChat, changed by somebody, or unreadable
      ├ InvalidData                   fix the values: all problems at once, by field
      ├ PlaceholderError              fix the text: {{ … }} in it cannot be used
      ├ UnreadableTable               fix the table of recipients, or its file
      ├ TransportError                no answer; ``maybe_sent``: WeChat may have got it
      └ WeChatError                   WeChat said no: errcode, errmsg, rid, cause, next_step
          └ TokenError                … at the token endpoint: nothing can be sent
              └ RefusedTokenError     … at the other endpoints, which refuse every token

    UserWarning (Python's)
      └ NotShownWarning               leave it out: WeChat accepts it and shows it to nobody

``ConfigurationError`` is not a ``WeChatNotifyError``: code that catches the app's errors when it
sends must not hide wrong settings.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext


class ConfigurationError(ImproperlyConfigured):
    """The ``WECHAT_NOTIFY`` setting is wrong. The text never holds a secret."""


class AccountNotConfigured(ConfigurationError):
    """``WECHAT_NOTIFY["ACCOUNTS"]`` does not have this alias."""


class InvalidSettings(ConfigurationError):
    """A value in ``WECHAT_NOTIFY`` is wrong, or an option is unknown."""


class WeChatNotifyError(Exception):
    """Base of the app's runtime errors. Catch it; never raise it."""


class TemplateNotFound(WeChatNotifyError, LookupError):
    """No active template has this name on this account."""


class TooManyAttempts(WeChatNotifyError):
    """A user has begun to bind so often that they must wait for some minutes."""


class BindingConflict(WeChatNotifyError):
    """This openid is already bound to another user. It is never moved silently."""


class CannotDecide(WeChatNotifyError):
    """This person cannot approve or refuse it, or not any more; the message says why, in the active
    language."""


class CallbackRefused(WeChatNotifyError):
    """A request to the callback address is forged, replayed or cannot be read.

    The text is for the site's log; the response does not contain it.
    """


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be sent: the field, the rule, the given value and the recipient.

    ``field`` is the word that the caller used; ``other_name`` is WeChat's key where that was the
    site's name, and the name where it was the key. ``recipient`` is empty if the problem is the
    same for everybody.
    """

    field: str
    message: str
    given: Any = None
    recipient: str = ""
    other_name: str = ""

    def __str__(self) -> str:
        more = ", ".join(word for word in (self.other_name, self.recipient) if word)
        return f"{self.field} ({more}): {self.message}" if more else f"{self.field}: {self.message}"


class InvalidData(WeChatNotifyError, ValueError):
    """Values that WeChat would refuse. Nothing was written.

    ``problems`` has all problems; ``as_dict()`` has them by field, as Django's forms take them.
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


class UnreadableTable(WeChatNotifyError, ValueError):
    """A file or a text that is no table; the message says why, in the active language."""


class TransportError(WeChatNotifyError):
    """No usable answer came back.

    ``maybe_sent`` is False if the request cannot have reached WeChat (no connection).
    """

    def __init__(self, message: str, *, maybe_sent: bool, status: int | None = None) -> None:
        self.maybe_sent = maybe_sent
        self.status = status
        super().__init__(message)


class WeChatError(WeChatNotifyError):
    """WeChat answered with an errcode.

    ``cause`` and ``next_step`` say in words why, and what to do; ``answer`` is the rest of WeChat's
    reply. The text never holds a secret or a token.
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
    """The token endpoint refused, or the other endpoints refuse every token.

    ``ip`` is this host's address as WeChat names it (40164: not in the whitelist), or empty.
    """

    def __init__(self, errcode: int, errmsg: str = "", *, ip: str = "", **details: Any) -> None:
        self.ip = ip
        super().__init__(errcode, errmsg, **details)


class RefusedTokenError(TokenError):
    """WeChat issues access tokens, but its other endpoints refuse every one of them."""


class NotShownWarning(UserWarning):
    """WeChat accepts something in the data and does not show it any more."""

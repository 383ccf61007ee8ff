"""Checks the content that a caller gives, and turns it into what a notification stores."""

import logging
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import InvalidData, NotShownWarning, Problem
from ..models import MessageTemplate, Notification, as_title, title_of
from ..types import DataSource, MiniProgram
from ..wechat.fields import NOT_SHOWN, card
from ..wechat.naming import as_reason, normalise_named, to_keys
from .recipients import Target

logger = logging.getLogger(__name__)

_warned: set[tuple[str, str]] = set()

# A Chinese keyboard types other dots.
_DOTS = re.compile("[.。．｡]")
_HOST = re.compile(r"(?:[^\W_](?:[\w-]*[^\W_])?[.。．｡])+([^\W\d_]{2,})(?::\d{1,5})?(?=[/?#]|$)")
_PAGES = frozenset({"action", "asp", "aspx", "cgi", "do", "htm", "html", "jsp", "pdf", "php"})
_LIKE_HTTP = re.compile(r"https?(?:\W{0,3}//|[:：;；])", re.IGNORECASE)
_HTTP = re.compile(r"https?://[^/\s]", re.IGNORECASE)


def forget_warnings() -> None:
    """Give warnings again that were given once; for tests."""
    _warned.clear()


def checked_data(template: MessageTemplate, data: Any) -> tuple[dict[str, Any], list[Problem]]:
    """``data`` as text, and everything that is wrong with it.

    By name where fields have names, so that it can still be sent when the name has got another
    template.
    """
    _warn_of_not_shown(template, data)
    trim = settings.INVALID_DATA == "trim"
    return normalise_named(template.fields, template.field_names, data, trim=trim)


def shared_data(
    template: MessageTemplate, data: DataSource, problems: list[Problem], skip_all: bool = False
) -> tuple[dict[str, Any], str]:
    """Data for everybody; and the reason to skip everybody, if ``INVALID_DATA`` is "skip".

    Raises ``InvalidData`` with its own problems and the given ``problems`` together. With
    ``skip_all``, all of them are the reason.
    """
    shared, wrong = ({}, []) if callable(data) else checked_data(template, data)
    if skip_all:
        return shared, as_reason(problems + wrong, template.fields)
    if callable(data):
        _require(problems, template)
        return {}, ""
    if wrong and not problems and settings.INVALID_DATA == "skip" and isinstance(data, Mapping):
        return shared, as_reason(wrong, template.fields)
    _require(problems + wrong, template)
    return shared, ""


def own_data(
    template: MessageTemplate, data_of: Callable[[Any], Any], target: Target
) -> tuple[dict[str, Any], list[Problem]]:
    """The data of one recipient, from ``data_of``, as text; and what is wrong with it.

    Each problem names the recipient. ``data_of`` may itself raise ``InvalidData``.
    """
    try:
        own, wrong = checked_data(template, data_of(target.person))
    except InvalidData as error:
        if not error.problems:
            raise  # an empty list would mean that the data is good
        own, wrong = {}, error.problems
    return own, [replace(problem, recipient=target.label) for problem in wrong]


def _warn_of_not_shown(template: MessageTemplate, data: Any) -> None:
    """Warn once for each template of data that people will not see.

    ``first`` and ``remark`` are filtered out since 2023-05-04, colours are no longer documented
    (docs/wechat-api.md, 2.4). Both are still accepted.
    """
    if not isinstance(data, Mapping):
        return
    hidden = sorted(NOT_SHOWN & data.keys())
    if any(isinstance(value, Mapping) and "color" in value for value in data.values()):
        hidden.append("color")
    for name in hidden:
        if (template.name, name) not in _warned:
            _warned.add((template.name, name))
            warnings.warn(
                f"Template {template.name!r}: WeChat accepts {name!r} but no longer shows it.",
                NotShownWarning,
                stacklevel=6,  # the caller of notify()
            )


def destination(
    template: MessageTemplate, url: str, miniprogram: MiniProgram | None
) -> tuple[str, MiniProgram | None]:
    """Where a tap on the card leads: the caller's ``url`` and ``miniprogram``, or the template's.

    WeChat prefers a mini program to the url, so the template's must not hide the caller's url.
    """
    return with_scheme(url or template.url), miniprogram or (None if url else template.miniprogram)


def with_scheme(url: Any) -> Any:
    """``www.example.com/x`` as ``https://www.example.com/x``; anything else as it is.

    A path such as ``orders/1/`` or ``page.html`` does not begin with a host.
    """
    if not isinstance(url, str):
        return url
    url = url.strip()
    host = _HOST.match(url)
    if host is None or host[1].lower() in _PAGES:
        return url
    return f"https://{_DOTS.sub('.', host[0])}{url[host.end() :]}"


def link_problems(url: Any, miniprogram: Any) -> list[Problem]:
    """What is wrong with the link or the mini program that a tap on the card opens."""
    problems = []
    length = Notification._meta.get_field("url").max_length or 0
    if not isinstance(url, str):
        problems.append(Problem("url", _("must be a text"), url))
    elif len(url) > length - len(settings.SITE_URL):
        problems.append(Problem("url", _("is longer than %d characters") % length, url))
    elif _scheme(url) not in ("", "http", "https") or _is_mistyped(url):
        problems.append(Problem("url", _("must start with http:// or https://"), url))
    if miniprogram is not None and not _is_miniprogram(miniprogram):
        problems.append(
            Problem("miniprogram", _('must be {"appid": "…", "pagepath": "…"}'), miniprogram)
        )
    return problems


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:  # such as "http://["
        return "invalid"


def _is_mistyped(url: str) -> bool:
    """Such as "https：//", "http//" or "https:/", which would become a page of this site."""
    return bool(_LIKE_HTTP.match(url)) and not _HTTP.match(url)


def _is_miniprogram(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) - {"appid", "pagepath"}:
        return False
    texts = isinstance(value.get("appid"), str) and isinstance(value.get("pagepath", ""), str)
    return texts and bool(value["appid"])


def complete(miniprogram: Any) -> MiniProgram | None:
    """The mini program with both keys; ``pagepath`` is empty if the caller gave none."""
    if miniprogram is None:
        return None
    return {"appid": miniprogram["appid"], "pagepath": miniprogram.get("pagepath", "")}


def title_problems(title: Any) -> list[Problem]:
    """What is wrong with a title. Its length is not: it is shortened."""
    if isinstance(title, str | Promise):
        return []
    return [Problem("title", _("must be a text"), title)]


def title_for(template: MessageTemplate, title: Any, shared: Mapping[str, Any]) -> str:
    """The title to store: the given one, or the first values of checked data that all share.

    "" where there are none: what differs for each recipient is no title.
    """
    if given := as_title(str(title)):
        return given
    return title_of(card(template.title, template.content, to_keys(shared, template.field_names)))


def time_problems(send_at: Any, expires_at: Any) -> list[Problem]:
    """What is wrong with the times of sending and expiry."""
    problems = []
    for name, value in (("send_at", send_at), ("expires_at", expires_at)):
        if value is None:
            continue
        if not isinstance(value, datetime):
            problems.append(Problem(name, _("must be a datetime"), value))
        elif timezone.is_naive(value):
            problems.append(Problem(name, _("must be aware: it has no time zone"), value))
    if not problems and send_at and expires_at and expires_at <= send_at:
        problems.append(Problem("expires_at", _("must be later than send_at"), expires_at))
    return problems


def priority_problems(priority: Any) -> list[Problem]:
    """What is wrong with a priority; None leaves it to the number of recipients."""
    known = Notification.Priority
    if priority is None or (isinstance(priority, int) and priority in known.values):
        return []
    names = ", ".join(f"Notification.Priority.{name}" for name in known.names)
    return [Problem("priority", _("must be one of %s, or None") % names, priority)]


def key_problems(key: Any) -> list[Problem]:
    """What is wrong with an idempotency key."""
    length = Notification._meta.get_field("key").max_length or 0
    if not isinstance(key, str) or len(key) > length:
        return [Problem("key", f"must be a text of at most {length} characters", key)]
    return []


def absolute_url(url: str) -> str:
    """``whole_url(url)``; logs a warning if WeChat cannot open it."""
    whole = whole_url(url)
    if whole and not has_host(whole):
        logger.warning(
            "The link %r has no host, so WeChat cannot open it. "
            'Set WECHAT_NOTIFY["SITE_URL"] to your site, such as "https://school.example".',
            url,
        )
    return whole


def whole_url(url: str) -> str:
    """A link with scheme and host, because WeChat opens no other.

    ``SITE_URL`` is put before a relative link; without that setting, the current Site's domain, if
    ``django.contrib.sites`` is installed. With neither, the link stays as it is.
    """
    if not url or has_host(url):
        return url
    if url.startswith("//"):
        return f"https:{url}"
    base = settings.SITE_URL or _current_site()
    return f"{base}/{url.lstrip('/')}" if base else url


def has_host(url: str) -> bool:
    """Whether WeChat can open the link as it is."""
    return bool(_scheme(url))


def _current_site() -> str:
    if not apps.is_installed("django.contrib.sites"):
        return ""
    try:
        site_model: Any = apps.get_app_config("sites").get_model("Site")
        return f"https://{site_model.objects.get_current().domain}"
    except Exception:  # noqa: BLE001
        # No SITE_ID, no row, no table: any error of Sites. The message can be sent without a host.
        return ""


def _require(problems: list[Problem], template: MessageTemplate) -> None:
    """Raise ``InvalidData`` with all problems, if there are any."""
    if problems:
        raise InvalidData(problems, template=template.name)

"""What a caller wants to say, checked and turned into what a notification stores."""

import logging
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.utils import timezone
from django.utils.translation import gettext as _

from ..conf import settings
from ..exceptions import InvalidData, NotShownWarning, Problem
from ..models import MessageTemplate, Notification
from ..types import MiniProgram
from ..wechat.fields import NOT_SHOWN
from ..wechat.text import CONTROL
from ..wechat.values import normalise
from .recipients import Target

logger = logging.getLogger(__name__)

_told: set[tuple[str, str]] = set()


def forget_told() -> None:
    """Tell again what was told once; for tests."""
    _told.clear()


def wire_data(template: MessageTemplate, data: Any) -> tuple[dict[str, Any], list[Problem]]:
    """``data`` as it will be sent with ``template``, and everything that is wrong with it."""
    tell_not_shown(template, data)
    return normalise(template.fields, data, trim=settings.INVALID_DATA == "trim")


def own_data(
    template: MessageTemplate, data_of: Callable[[Any], Any], target: Target
) -> tuple[dict[str, Any], list[Problem]]:
    """What ``data_of`` says for one recipient, as it will be sent, and what is wrong with it.

    Each problem names the recipient. ``data_of`` may itself raise ``InvalidData``.
    """
    try:
        wire, wrong = wire_data(template, data_of(target.person))
    except InvalidData as error:
        if not error.problems:
            raise  # no problem would mean that all is well
        wire, wrong = {}, error.problems
    return wire, [replace(problem, recipient=target.label) for problem in wrong]


def tell_not_shown(template: MessageTemplate, data: Any) -> None:
    """Warn, once for each template, of what people will not see.

    ``first`` and ``remark`` are filtered out since 2023-05-04, colours are no longer documented
    (WECHAT.md 2.4). Both are still accepted.
    """
    if not isinstance(data, Mapping):
        return
    hidden = sorted(NOT_SHOWN & data.keys())
    if any(isinstance(value, Mapping) and "color" in value for value in data.values()):
        hidden.append("color")
    for name in hidden:
        if (template.name, name) not in _told:
            _told.add((template.name, name))
            warnings.warn(
                f"Template {template.name!r}: WeChat accepts {name!r} but no longer shows it.",
                NotShownWarning,
                stacklevel=5,  # whoever called notify()
            )


def link_problems(url: Any, miniprogram: Any) -> list[Problem]:
    """What is wrong with where a tap on the card should lead."""
    problems = []
    length = Notification._meta.get_field("url").max_length or 0
    if not isinstance(url, str):
        problems.append(Problem("url", _("must be a text"), url))
    elif len(url) > length - len(settings.SITE_URL):
        problems.append(Problem("url", _("is longer than %d characters") % length, url))
    elif _scheme(url) not in ("", "http", "https"):
        problems.append(Problem("url", _("must start with http:// or https://"), url))
    if miniprogram is not None and not _is_miniprogram(miniprogram):
        problems.append(
            Problem("miniprogram", _('must be {"appid": "…", "pagepath": "…"}'), miniprogram)
        )
    return problems


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:  # such as "http://[", which is no address at all
        return "invalid"


def _is_miniprogram(value: Any) -> bool:
    if not isinstance(value, Mapping) or set(value) - {"appid", "pagepath"}:
        return False
    texts = isinstance(value.get("appid"), str) and isinstance(value.get("pagepath", ""), str)
    return texts and bool(value["appid"])


def complete(miniprogram: Any) -> MiniProgram | None:
    """Both keys, whether or not the caller gave a page."""
    if miniprogram is None:
        return None
    return {"appid": miniprogram["appid"], "pagepath": miniprogram.get("pagepath", "")}


def time_problems(send_at: Any, expires_at: Any) -> list[Problem]:
    """What is wrong with when it should go out."""
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


def absolute_url(url: str) -> str:
    """A link with scheme and host, since WeChat opens nothing else.

    A relative one is put behind ``SITE_URL``, or the current Site's domain where
    ``django.contrib.sites`` is installed.
    """
    if not url or urlsplit(url).scheme:
        return url
    if url.startswith("//"):
        return f"https:{url}"
    base = settings.SITE_URL or _current_site()
    if not base:
        logger.warning(
            "The link %r has no host, so WeChat cannot open it. "
            'Set WECHAT_NOTIFY["SITE_URL"] to your site, such as "https://school.example".',
            url,
        )
        return url
    return f"{base}/{url.lstrip('/')}"


def _current_site() -> str:
    if not apps.is_installed("django.contrib.sites"):
        return ""
    try:
        site_model: Any = apps.get_app_config("sites").get_model("Site")
        return f"https://{site_model.objects.get_current().domain}"
    except Exception:  # noqa: BLE001
        # No SITE_ID, no row: as many errors as ways to leave Sites half set up, and none of them
        # is a reason not to send.
        return ""


def as_reason(problems: Iterable[Problem]) -> str:
    """What a skipped row says of them: on one line, with nothing that a database refuses."""
    return CONTROL.sub(" ", "; ".join(str(problem) for problem in problems))


def require(problems: list[Problem], template: MessageTemplate) -> None:
    """Raise ``InvalidData`` with all of them, if there are any."""
    if problems:
        raise InvalidData(problems, template=template.name)

"""System checks of what WeChat and its users meet on the site: W040 to W049."""

from collections.abc import Iterable, Iterator
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as CheckWarning
from django.urls import LocalePrefixPattern, URLResolver, get_resolver

APP_NAME = "wechat_notify"


def check_site() -> Iterable[CheckMessage]:
    """What on the site is in the way of callbacks and binding, if the app's URLs are included."""
    if not getattr(django_settings, "ROOT_URLCONF", ""):
        return
    mounted = [way for way in _ways(get_resolver()) if way[-1].app_name == APP_NAME]
    if not mounted:
        return
    if any(_is_translated(way) for way in mounted):
        yield CheckWarning(
            "wechat_notify.urls is included inside i18n_patterns: where WeChat calls the address "
            "without a language, the site answers 302, and WeChat follows no redirect.",
            hint="Include it outside i18n_patterns, or give the console the address with a "
            "language, such as /zh-hans/wechat/default/callback/.",
            id="wechat_notify.W040",
        )
    yield from _session()


def _session() -> Iterable[CheckMessage]:
    if str(django_settings.SESSION_COOKIE_SAMESITE).lower() == "strict":
        yield CheckWarning(
            'SESSION_COOKIE_SAMESITE is "Strict": browsers keep the session\'s cookie back when '
            "WeChat sends a person to the site again, so nobody can bind by web authorisation.",
            hint='Use "Lax", Django\'s default.',
            id="wechat_notify.W041",
        )


def _ways(resolver: URLResolver, *above: URLResolver) -> Iterator[tuple[URLResolver, ...]]:
    """Every include of the site, with those that it stands in before it."""
    for found in resolver.url_patterns:
        if isinstance(found, URLResolver):
            yield (*above, found)
            yield from _ways(found, *above, found)


def _is_translated(way: tuple[URLResolver, ...]) -> bool:
    """Whether the address begins with a language, in the site's main language too."""
    prefix: Any = way[0].pattern
    return isinstance(prefix, LocalePrefixPattern) and prefix.prefix_default_language

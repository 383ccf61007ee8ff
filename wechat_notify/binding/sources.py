"""Where else a site may know openids from: the tables of other packages, read without them.

==============  ======================================================================
allauth         django-allauth, provider ``weixin``
social-auth     social-auth-app-django, backends ``weixin`` and ``weixinapp``
wechat-django   its WeChatUser, through the model by which the site links it to users
==============  ======================================================================
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.db.models import Model, QuerySet

from ..conf import settings
from ..exceptions import ConfigurationError
from ..models import pages_by_key
from ..wechat.openids import as_unionid

CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Found:
    """One openid of one user in another package's table."""

    user_id: Any
    openid: str = field(repr=False)
    unionid: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Source:
    """A package whose table can be read: the app and model it must have, and how."""

    name: str
    model: tuple[str, str]
    read: Callable[[type[Model], str, str], Iterator[Found]]

    @property
    def installed(self) -> bool:
        return self.model[0] in apps.app_configs

    def rows(self, account: str, link: str = "") -> Iterator[Found]:
        """Every openid in it. Raises ``ConfigurationError`` where it cannot be read."""
        return self.read(apps.get_model(*self.model), account, link)


def _from_allauth(model: type[Model], account: str, link: str) -> Iterator[Found]:
    rows = model._default_manager.filter(provider="weixin")
    return _from_social_rows(rows)


def _from_social_auth(model: type[Model], account: str, link: str) -> Iterator[Found]:
    rows = model._default_manager.filter(provider__in=("weixin", "weixinapp"))
    return _from_social_rows(rows)


def _from_social_rows(rows: QuerySet[Any]) -> Iterator[Found]:
    """``uid`` is the openid, unless the site made it the unionid; then extra_data has both."""
    values = rows.values_list("pk", "user_id", "uid", "extra_data")
    for _pk, user_id, uid, extra in _each(values):
        details = extra if isinstance(extra, dict) else {}
        openid = str(details.get("openid") or uid)
        yield Found(user_id, openid, as_unionid(details.get("unionid")))


def _from_wechat_django(model: type[Model], account: str, link: str) -> Iterator[Found]:
    """A WeChatUser belongs to no user; the site links the two by a model of its own, or its user.

    Only those of the account's own app id: an openid means nothing to another.
    """
    linking, to_wechat, to_user = _link(model, link)
    rows = linking._default_manager.filter(
        **{f"{to_wechat}__app__appid": settings.account(account).app_id}
    )
    names = (to_user, f"{to_wechat}__openid", f"{to_wechat}__unionid")
    for _pk, user_id, openid, unionid in _each(rows.values_list("pk", *names)):
        if user_id is not None:
            yield Found(user_id, openid, as_unionid(unionid))


def _each(values: QuerySet[Any]) -> Iterator[Any]:
    """Tuples that begin with the primary key, read in pages."""
    return chain.from_iterable(pages_by_key(values, CHUNK, key=itemgetter(0)))


def _link(model: type[Model], name: str) -> tuple[type[Model], str, str]:
    """(the model that knows both, its field to WeChatUser, its field to the user)."""
    links = [
        (relation.related_model, relation.field.name, to_user)
        for relation in model._meta.related_objects
        for to_user in _user_fields(relation.related_model)
    ]
    if name:
        links = [entry for entry in links if entry[0]._meta.label_lower == name.lower()]
    if len(links) == 1:
        return links[0]
    known = ", ".join(sorted(linking._meta.label for linking, _, _ in links)) or "none"
    raise ConfigurationError(
        f"wechat-django's WeChatUser knows no users of the site. Say by --link which model of "
        f"yours has a foreign key to both (found: {known})."
    )


def _user_fields(model: Any) -> list[str]:
    user_model = get_user_model()
    if model is user_model:
        return ["pk"]
    return [
        found.attname
        for found in model._meta.concrete_fields
        if found.is_relation and found.related_model is user_model
    ]


SOURCES = {
    source.name: source
    for source in (
        Source("allauth", ("socialaccount", "SocialAccount"), _from_allauth),
        Source("social-auth", ("social_django", "UserSocialAuth"), _from_social_auth),
        Source("wechat-django", ("wechat_django", "WeChatUser"), _from_wechat_django),
    )
}

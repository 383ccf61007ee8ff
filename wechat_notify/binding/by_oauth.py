"""Binding by web authorisation (网页授权), for people whose browser is WeChat's own.

location = start(visitor, redirect_uri=…)          # WeChat's page; it sends the person back
ending = complete(visitor, state=…, code=…, redirect_uri=…)
"""

import enum
import logging
import secrets
from dataclasses import dataclass

from django.utils import timezone

from ..backends.registry import get_backend
from ..conf import settings
from ..exceptions import (
    BindingConflict,
    InvalidData,
    TooManyAttempts,
    TransportError,
    WeChatError,
)
from ..models import BindingRequest, OpenIDBinding
from ..types import Authorization, Follower
from ..wechat import oauth
from ..wechat.openids import as_unionid
from . import attempts
from .attempts import Visitor
from .bind import bind
from .following import SOURCE_SYNC, note

logger = logging.getLogger(__name__)

State = BindingRequest.State
SOURCE = OpenIDBinding.Source.OAUTH


class Result(enum.Enum):
    """How an authorisation ended."""

    BOUND = "bound"
    CONFLICT = "conflict"
    """The openid belongs to another user of the site."""
    STALE = "stale"
    """No such request is open here: answered before, too old, or begun elsewhere."""
    DECLINED = "declined"
    """The person said no."""
    SNAPSHOT = "snapshot"
    """WeChat shows a snapshot of the page, and gives a made-up openid (docs/wechat-api.md, 6)."""
    AGAIN = "again"
    """WeChat wants another code: send the person to ``location``."""
    TOO_MANY = "too_many"
    """The person has started too often, and has to wait for some minutes."""
    FAILED = "failed"
    """WeChat did not tell who it was."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What became of one authorisation, and where the person wanted to go afterwards."""

    result: Result
    next_url: str = ""
    location: str = ""


def start(
    visitor: Visitor,
    *,
    redirect_uri: str,
    next_url: str = "",
    scope: str = oauth.BASE,
    is_restart: bool = False,
) -> str:
    """Begin an authorisation; the address of WeChat's page comes back.

    It holds a state that is good once, within ten minutes, for this user in this browser. Raises
    ``TooManyAttempts``.
    """
    account = settings.account(visitor.account)
    state = secrets.token_hex(16)
    location = oauth.authorize_url(
        account.authorize_base,
        app_id=account.app_id,
        redirect_uri=redirect_uri,
        state=state,
        scope=scope,
    )
    attempts.begin(
        visitor, source=SOURCE, token=state, next_url=next_url, scope=scope, is_restart=is_restart
    )
    return location


def complete(visitor: Visitor, *, state: str, code: str, redirect_uri: str) -> Ending:
    """Bind the person who came back with ``state`` and ``code``, and say how that ended.

    Raises nothing for what people or WeChat do.
    """
    request = attempts.take(SOURCE, state, account=visitor.account, visitor=visitor)
    if request is None:
        return Ending(Result.STALE)
    result = _answer(visitor, request, code)
    if result is not Result.AGAIN:
        return Ending(result, request.next_url)
    try:
        return Ending(result, location=_restart(visitor, request, redirect_uri))
    except TooManyAttempts:
        return Ending(Result.TOO_MANY, request.next_url)


def _answer(visitor: Visitor, request: BindingRequest, code: str) -> Result:
    # A person who declines comes back without a code (docs/wechat-api.md, 6).
    result = _exchange(visitor, request, code) if code else Result.DECLINED
    ends = {Result.BOUND: State.BOUND, Result.CONFLICT: State.CONFLICT}
    attempts.finish(request, ends.get(result, State.FAILED))
    return result


def _exchange(visitor: Visitor, request: BindingRequest, code: str) -> Result:
    try:
        person = get_backend(visitor.account).exchange_code(code)
    except WeChatError as error:
        if error.errcode in oauth.CODE_SPENT and not request.is_restart:
            return Result.AGAIN
        logger.warning("Web authorisation on account %r failed: %s", visitor.account, error)
        return Result.DECLINED if error.errcode == oauth.CODE_MISSING else Result.FAILED
    except TransportError as error:
        logger.warning("Web authorisation on account %r failed: %s", visitor.account, error)
        return Result.FAILED
    if person.is_snapshot:
        return Result.SNAPSHOT
    if visitor.invited and attempts.was_overtaken(request):
        return Result.STALE
    return _bind(visitor, person)


def _bind(visitor: Visitor, person: Authorization) -> Result:
    asked_at = timezone.now()
    follower = _look_up(visitor.account, person.openid)
    try:
        bind(
            visitor.user,
            person.openid,
            account=visitor.account,
            unionid=as_unionid(person.unionid or (follower.unionid if follower else "")),
            source=SOURCE,
            subscribed=follower.subscribed if follower else True,
            known_at=asked_at if follower else None,
        )
    except BindingConflict:
        return Result.CONFLICT
    except InvalidData as error:
        logger.warning("Web authorisation on account %r failed: %s", visitor.account, error)
        return Result.FAILED
    if follower is not None:
        # bind() takes it for a new binding only, and one that was there may say otherwise.
        note(
            visitor.account,
            [person.openid],
            subscribed=follower.subscribed,
            known_at=asked_at,
            source=SOURCE_SYNC,
        )
    return Result.BOUND


def _look_up(account: str, openid: str) -> Follower | None:
    """Whether the person follows, which authorising does not require. None: not known."""
    backend = get_backend(account)
    if not backend.supports_users:
        return None
    try:
        return backend.get_user(openid)
    except (WeChatError, TransportError) as error:
        logger.warning("Cannot tell whether somebody follows account %r: %s", account, error)
        return None


def _restart(visitor: Visitor, request: BindingRequest, redirect_uri: str) -> str:
    return start(
        visitor,
        redirect_uri=redirect_uri,
        next_url=request.next_url,
        scope=request.scope,
        is_restart=True,
    )

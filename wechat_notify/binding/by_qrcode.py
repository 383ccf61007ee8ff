"""Binding by a QR code (带参数二维码), for people who sit at a desktop with the phone in hand.

    request = show(visitor, next_url="/profile/")     # a code that is good for ten minutes
    request = on_show(visitor)                        # the same, without asking WeChat for one
    image(request)                                    # PNG
    on_scan("default", openid, scene, happened_at=…)  # from WeChat's callback

The scene in the code is signed, stands for one request of one user, and binds once.
"""

import logging
import secrets
from contextlib import suppress
from datetime import datetime, timedelta

from django.core.signing import BadSignature, Signer
from django.db import router, transaction
from django.utils import timezone

from ..backends.registry import get_backend
from ..conf import settings
from ..exceptions import (
    BindingConflict,
    ConfigurationError,
    InvalidData,
    TransportError,
    WeChatError,
)
from ..models import BindingRequest, OpenIDBinding, repeats_on_conflict
from . import attempts, drawing
from .attempts import LIFETIME, Visitor
from .bind import bind

logger = logging.getLogger(__name__)

State = BindingRequest.State
SOURCE = OpenIDBinding.Source.QR

# 12 bytes are 16 characters; with the signature a scene has 60 of the 64 that WeChat takes.
NONCE_BYTES = 12
# Whoever asks again gets the same code, as long as there is this much time left to scan it.
FRESH = timedelta(minutes=5)


def can_show(account: str) -> bool:
    """Whether codes of this account bind anybody: they can be had and drawn, and a scan is told to
    the site by callbacks."""
    has_codes = get_backend(account).supports_qrcodes and drawing.can_draw()
    return has_codes and bool(settings.account(account).callback_token)


def show(visitor: Visitor, *, next_url: str = "") -> BindingRequest:
    """A request whose code this user can scan now: the one on show already, or a new one.

    Raises ``WeChatError`` or ``TransportError`` where WeChat gives no code, ``TooManyAttempts``
    where this user has asked for too many, and ``ConfigurationError`` where the backend cannot
    make any or the extra ``qr`` is missing.
    """
    drawing.require()
    known = on_show(visitor)
    if known is None or known.expires_at <= timezone.now() + FRESH:
        return _new_code(visitor, next_url)
    if known.next_url != next_url:
        known.next_url = next_url
        known.save(update_fields=["next_url"])
    return known


def on_show(visitor: Visitor) -> BindingRequest | None:
    """The newest request of this browser whose code can still be scanned."""
    shown = attempts.of(visitor, SOURCE).open().exclude(qr_url="")
    return shown.order_by("-pk").first()


def image(request: BindingRequest) -> bytes:
    """The code as a PNG."""
    return drawing.png(request.qr_url)


@repeats_on_conflict
def on_scan(account: str, openid: str, scene: str, *, happened_at: datetime) -> None:
    """Bind the person who scanned a code of the account, at ``happened_at`` by WeChat's clock.

    ``scene`` as in the code, without the ``qrscene_`` that ``subscribe`` puts before it. One that
    is not ours, was used before, has expired, or belongs to a user who may no longer sign in,
    changes nothing. Call it for verified callbacks only.
    """
    nonce, invited = _read(account, scene)
    if not nonce:
        return  # Another of the site's codes, or a forgery.
    with transaction.atomic(using=router.db_for_write(BindingRequest)):
        request = attempts.take(SOURCE, nonce, account=account)
        if request is None:
            logger.info("A used or expired binding code of account %r was scanned.", account)
            return
        if invited and attempts.was_overtaken(request):
            attempts.finish(request, State.FAILED)
            return
        attempts.finish(request, _bind(request, openid, happened_at))


def _read(account: str, scene: str) -> tuple[str, bool]:
    """The nonce of a scene of ours, and whether an invitation has led to it; "" for another's."""
    for invited in (False, True):
        with suppress(BadSignature):
            return _signer(account, invited=invited).unsign(scene), invited
    return "", False


def _bind(request: BindingRequest, openid: str, happened_at: datetime) -> str:
    if not request.user.is_active:
        return State.FAILED
    try:
        # A person who scans a code follows the account: before it, or by it.
        bind(
            request.user,
            openid,
            account=request.account,
            source=SOURCE,
            subscribed=True,
            known_at=happened_at,
        )
    except BindingConflict:
        return State.CONFLICT
    except InvalidData as error:
        logger.warning("A binding code of account %r was scanned: %s", request.account, error)
        return State.FAILED
    return State.BOUND


def _new_code(visitor: Visitor, next_url: str) -> BindingRequest:
    nonce = secrets.token_urlsafe(NONCE_BYTES)
    scene = _signer(visitor.account, invited=visitor.invited).sign(nonce)
    backend = get_backend(visitor.account)
    # Written first, so that the limit holds for a user who asks many times at once.
    request = attempts.begin(visitor, source=SOURCE, token=nonce, next_url=next_url)
    try:
        code = backend.create_qrcode(scene, int(LIFETIME.total_seconds()))
    except (WeChatError, TransportError, ConfigurationError):
        attempts.finish(request, State.FAILED)
        raise
    request.qr_url = code.url
    request.save(update_fields=["qr_url"])
    return request


def _signer(account: str, *, invited: bool) -> Signer:
    # The account is part of the salt: a code of one account says nothing to another.
    purpose = "qr_invitation" if invited else "qr_binding"
    return Signer(salt=f"wechat_notify.{purpose}.{account}", sep=".")

"""Binding by a QR code (带参数二维码), for people who sit at a desktop with the phone in hand.

    request = show(visitor, next_url="/profile/")     # a code that is good for ten minutes
    image(request)                                    # PNG
    on_scan("default", openid, scene, happened_at=…)  # WeChat's callback: somebody scanned one

The scene in the code is signed, stands for one request of one user, and binds once.
"""

import io
import logging
import secrets
from datetime import datetime, timedelta

from django.core.signing import BadSignature, Signer
from django.db import router, transaction
from django.utils import timezone

from ..backends.registry import get_backend
from ..exceptions import BindingConflict, ConfigurationError, InvalidData
from ..models import BindingRequest, OpenIDBinding
from . import attempts
from .attempts import LIFETIME, Visitor
from .bindings import bind

try:
    import segno
except ImportError:
    segno = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

State = BindingRequest.State
SOURCE = OpenIDBinding.Source.QR

# 12 bytes are 16 characters; with the signature a scene has 60 of the 64 that WeChat takes.
NONCE_BYTES = 12
# A page that is loaded again shows the same code, as long as there is time left to scan it.
FRESH = timedelta(minutes=5)
PIXELS_PER_MODULE = 12


def show(visitor: Visitor, *, next_url: str = "") -> BindingRequest:
    """A request whose code this user can scan now: the one on show already, or a new one.

    Raises ``WeChatError`` or ``TransportError`` where WeChat gives no code, and
    ``ConfigurationError`` where the backend cannot make any or the extra ``qr`` is missing.
    """
    _require_segno()
    fresh_until = timezone.now() + LIFETIME - FRESH
    shown = attempts.of(visitor, SOURCE).open()
    known = shown.filter(next_url=next_url, expires_at__gt=fresh_until).order_by("-pk").first()
    return known or _new_code(visitor, next_url)


def image(request: BindingRequest) -> bytes:
    """The code as a PNG. Made here, so that no image host learns who is about to bind.

    A PNG and not an SVG: WeChat recognises a code in a picture that is pressed long.
    """
    _require_segno()
    picture = io.BytesIO()
    code = segno.make_qr(request.qr_url, error="m")
    code.save(picture, kind="png", scale=PIXELS_PER_MODULE, border=2)
    return picture.getvalue()


def on_scan(account: str, openid: str, scene: str, *, happened_at: datetime) -> None:
    """Somebody scanned a code of the account, at ``happened_at`` by WeChat's clock.

    ``scene`` as in the code, without the ``qrscene_`` that ``subscribe`` puts before it. One that
    is not ours, was used before, has expired, or belongs to a user who may no longer sign in,
    changes nothing. Call it for verified callbacks only.
    """
    try:
        nonce = _signer(account).unsign(scene)
    except BadSignature:
        return  # Another of the site's codes, or a forgery.
    with transaction.atomic(using=router.db_for_write(BindingRequest)):
        request = attempts.take(SOURCE, nonce, account=account)
        if request is None:
            logger.info("A used or expired binding code of account %r was scanned.", account)
            return
        attempts.finish(request, _bind(request, openid, happened_at))


def _bind(request: BindingRequest, openid: str, happened_at: datetime) -> str:
    if not request.user.is_active:
        return State.FAILED
    try:
        # Whoever scans a code follows the account, before or by this.
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
    scene = _signer(visitor.account).sign(nonce)
    code = get_backend(visitor.account).create_qrcode(scene, int(LIFETIME.total_seconds()))
    return attempts.begin(visitor, source=SOURCE, token=nonce, qr_url=code.url, next_url=next_url)


def _signer(account: str) -> Signer:
    # The account is part of the salt: a code of one account says nothing to another.
    return Signer(salt=f"wechat_notify.qr_binding.{account}", sep=".")


def _require_segno() -> None:
    if segno is None:
        raise ConfigurationError(
            'QR codes for binding need segno: pip install "django-wechat-notify[qr]".'
        )

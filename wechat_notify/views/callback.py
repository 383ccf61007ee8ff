"""The address that WeChat calls: the HTTP half of callbacks."""

import logging
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.csrf import csrf_exempt

from ..callbacks.events import keep, tell
from ..callbacks.guard import claim_signature, once
from ..conf import AccountConfig, settings
from ..exceptions import AccountNotConfigured, CallbackRefused
from ..wechat.callback_request import CallbackVerifier, Credentials
from ..wechat.incoming import Message, parse

logger = logging.getLogger(__name__)

# A text message has at most some kilobytes, thrice that in compatible mode.
MAX_BODY = 128 * 1024

SUCCESS = "success"


# Not one transaction around it all: what is stored must be safe before WeChat hears "success".
@method_decorator(
    [csrf_exempt, login_not_required, transaction.non_atomic_requests], name="dispatch"
)
class CallbackView(View):
    """Verifies, reads and deals with what WeChat posts; answers ``success`` within milliseconds.

    Subclass it and define ``reply`` to answer people's messages; mount the subclass at an address
    of your own, with an argument ``account``, and give the console that one.

    404 for an account that is unknown or has no CALLBACK_TOKEN, 400 with an empty body for
    what is forged or cannot be read, 413 for what is too big. An error of ours is a 500, so that
    WeChat tries again.
    """

    http_method_names = ["get", "post"]

    def get(self, request: HttpRequest, account: str) -> HttpResponse:
        """The console's check of the address: ``echostr`` comes back, byte for byte."""
        config = _configured(account)
        if config is None:
            return _text(status=404)
        try:
            credentials = Credentials.of(request.GET)
            _verifier(config).verify(credentials, now=timezone.now())
            echo = request.GET.get("echostr", "")
            # Or an overheard check could be turned into a message.
            claim_signature(account, credentials, echo.encode("utf-8", "replace"))
        except CallbackRefused as error:
            return _refused(account, error)
        return _text(echo)

    def post(self, request: HttpRequest, account: str) -> HttpResponse:
        """A message or an event."""
        config = _configured(account)
        if config is None:
            return _text(status=404)
        body = _body(request)
        if body is None:
            return _text(status=413)
        try:
            return self._answer(request, config, body)
        except CallbackRefused as error:
            return _refused(account, error)

    def reply(self, message: Message) -> str | bytes | None:
        """The XML to answer a message with; None, as here: nothing.

        ``message`` is a ``Message`` or an ``Event``, never a delivery receipt;
        ``self.kwargs["account"]`` is the alias. It is called once for each message, and has five
        seconds. Encrypted as the message was.
        """
        return None

    def _answer(self, request: HttpRequest, config: AccountConfig, body: bytes) -> HttpResponse:
        verifier = _verifier(config)
        credentials = Credentials.of(request.GET)
        opened = verifier.open(credentials, body, now=timezone.now())
        message = parse(opened.xml)
        if not opened.encrypted:
            claim_signature(config.alias, credentials, opened.xml)
        keep(config.alias, message)
        if message.is_receipt:
            return _text(SUCCESS)
        with once(config.alias, message) as is_new:
            if not is_new:
                return _text(SUCCESS)
            tell(config.alias, message)
            reply = self.reply(message)
        if not reply:
            return _text(SUCCESS)
        xml: str | bytes = reply
        if opened.encrypted:
            plain = reply.encode() if isinstance(reply, str) else reply
            timestamp = str(int(timezone.now().timestamp()))
            xml = verifier.seal(plain, timestamp=timestamp, nonce=credentials.nonce)
        return HttpResponse(xml, content_type="application/xml; charset=utf-8")


def _configured(alias: str) -> AccountConfig | None:
    settings.require_time_zones()
    try:
        config = settings.account(alias)
    except AccountNotConfigured:
        return None
    return config if config.callback_token else None


def _verifier(config: AccountConfig) -> CallbackVerifier:
    return CallbackVerifier(
        token=config.callback_token,
        app_id=config.app_id,
        encoding_aes_key=config.encoding_aes_key,
        previous_encoding_aes_key=config.previous_encoding_aes_key,
    )


def _body(request: HttpRequest) -> bytes | None:
    """The body; None where there is too much of it, which is then not even read."""
    try:
        announced = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        announced = 0
    if announced > MAX_BODY:
        return None
    body: bytes = request.read(MAX_BODY + 1)
    return body if len(body) <= MAX_BODY else None


def _refused(account: str, error: CallbackRefused) -> HttpResponse:
    logger.warning("A callback for account %r was refused. %s", account, error)
    return _text(status=400)


def _text(content: str = "", **options: Any) -> HttpResponse:
    response = HttpResponse(content, content_type="text/plain; charset=utf-8", **options)
    # So that no browser takes an echostr for HTML.
    response["X-Content-Type-Options"] = "nosniff"
    return response

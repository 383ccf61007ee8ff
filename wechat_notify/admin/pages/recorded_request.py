""" "Explain this failure": what WeChat itself recorded of a request that it refused.

WeChat tells it by the rid of the refusal, to a token of the same account, within seven days
(docs/wechat-api.md, 0). It is a POST: it calls WeChat and counts in the account's quota.
"""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone as django_timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ...account_state import recorded_request
from ...conf import settings
from ...exceptions import ConfigurationError, WeChatNotifyError
from ...models import SendLog
from ...wechat.errors import Words
from ...wechat.masking import mask_openid, redact
from ..base import BaseAdmin, Button, page
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..parts.explanations import explain
from ..parts.frame import admin_page
from ..permissions import may_explain_failures, may_see_openids

TITLE = gettext_lazy("Explain this failure")
KEPT = timedelta(days=7)
SHOWN = 20_000


class ExplainFailureMixin(BaseAdmin):
    """A button on the page of a refused message, for users who may resend."""

    def object_buttons(self, request: HttpRequest, obj: SendLog) -> list[Button]:
        allowed = obj.rid and may_explain_failures(request)
        own = [Button(TITLE, self.url("explain", obj.pk))] if allowed else []
        return super().object_buttons(request, obj) + own

    @page("<path:object_id>/explain/", "explain")
    def _explain_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        log: SendLog = self.find(request, object_id, allowed=may_explain_failures(request))
        back = self.url("change", log.pk)
        obstacle = _obstacle(log)
        if obstacle or not is_confirmed(request):
            return ask(self, request, _question(log, back, obstacle))
        try:
            record = recorded_request(log.account, log.rid)
        except (WeChatNotifyError, ConfigurationError) as error:
            self.message_user(request, str(error), messages.ERROR)
            return HttpResponseRedirect(back)
        self.log_change(request, log, _("Asked WeChat about request %(rid)s.") % {"rid": log.rid})
        return admin_page(
            self,
            request,
            "recorded_request.html",
            title=TITLE,
            explanation=explain(log),
            facts=list(_facts(record)),
            texts=list(_texts(record, log, whole=may_see_openids(request))),
            back=back,
        )


def _question(log: SendLog, back: str, obstacle: str) -> Confirmation:
    request_id = [_("The request id is %(rid)s.") % {"rid": log.rid}] if log.rid else []
    return Confirmation(
        title=TITLE,
        button=_("Ask WeChat"),
        back=back,
        facts=[
            _(
                "WeChat keeps every request for seven days: what it received, from which address, "
                "and what it answered. Asking changes nothing; it counts in the account's quota."
            ),
            *request_id,
        ],
        obstacle=obstacle,
    )


def _obstacle(log: SendLog) -> str:
    """Why WeChat cannot be asked, in words; "" if it can."""
    if not log.rid:
        return _("WeChat gave no request id for this message.")
    if log.account not in settings.aliases:
        return _("Its account is no longer in the settings.")
    if log.claimed_at is not None and django_timezone.now() - log.claimed_at > KEPT:
        return _("This is more than seven days old: WeChat has forgotten the request.")
    return ""


def _facts(record: Mapping[str, Any]) -> Iterator[tuple[Words, Words]]:
    """What fits on a line: when WeChat received it, how long it took, from which address."""
    if isinstance(when := record.get("invoke_time"), int):
        moment = django_timezone.localtime(datetime.fromtimestamp(when, timezone.utc))
        yield _("Received"), date_format(moment, "DATETIME_FORMAT")
    if isinstance(took := record.get("cost_in_ms"), int):
        yield _("Took"), _("%(n)d ms") % {"n": took}
    if address := record.get("client_ip"):
        yield _("From the address"), str(address)


def _texts(record: Mapping[str, Any], log: SendLog, *, whole: bool) -> Iterator[tuple[Words, str]]:
    """What was sent and answered, without the token, and with openids masked unless ``whole``."""
    names = {
        "request_url": _("Requested"),
        "request_body": _("Received from us"),
        "response_body": _("Answered by WeChat"),
    }
    for key, label in names.items():
        if text := record.get(key):
            shown = redact(_pretty(str(text)))
            if log.openid and not whole:
                shown = shown.replace(log.openid, mask_openid(log.openid))
            # Cut last: half an openid, or half a token, is not found any more.
            yield label, shown[:SHOWN]


def _pretty(text: str) -> str:
    """JSON with line breaks; anything else unchanged."""
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        return text

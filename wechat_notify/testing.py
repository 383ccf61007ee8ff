"""For the tests of sites that use the app: what would have been sent, and answers of your choice.

With unittest::

    from wechat_notify.testing import wechat_outbox

    class OrderTests(TestCase):
        def test_the_buyer_is_told(self):
            with wechat_outbox() as outbox:
                pay(self.order)
                outbox.assert_notified(self.order.buyer, "order_paid", thing2="围巾")

or for a whole class, in ``setUp``: ``self.outbox = self.enterContext(wechat_outbox())`` (Python
3.11). With pytest, once in ``conftest.py``::

    import pytest
    from wechat_notify.testing import wechat_outbox as catch_messages

    @pytest.fixture
    def wechat_outbox(db):
        with catch_messages() as outbox:
            yield outbox

Inside, every account leads to a list in memory and no network is touched. The project's own
ACCOUNTS, templates and bindings are used: make the rows a test needs as for any other model.

**Transactions.** Messages leave after the commit, and in ``TestCase`` and pytest-django's ``db``
nothing ever commits. So whatever looks at the outbox first delivers what is due: rows whose
``atomic()`` block has ended, as if the test's own transaction had committed. Rows that were rolled
back are gone and not delivered. ``captureOnCommitCallbacks`` is not needed, and does no harm.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from .backends import locmem
from .conf import ACCOUNT_KEYS, DEFAULT_ACCOUNT, settings
from .delivery import engine
from .delivery.breaker import Breaker
from .models import MessageTemplate, OpenIDBinding, SendLog
from .types import SendResult, TemplateMessage
from .wechat.fields import type_of
from .wechat.masking import mask_openid
from .wechat.values import to_text

LOCMEM = "wechat_notify.backends.locmem.LocMemBackend"
# Where a test commits for real, messages leave at the commit like those of a small site.
SETTINGS = {
    "DISPATCHER": "wechat_notify.delivery.dispatch.InlineDispatcher",
    "INLINE_LIMIT": None,
    "RATE": None,
}


@contextmanager
def wechat_outbox() -> Iterator["Outbox"]:
    """Catch every message in an ``Outbox``, empty at the start. Also works as a decorator.

    A project without any account gets a ``default`` one. An account that an answer such as 45009
    has put to rest goes on sending when the block begins, and when it ends.
    """
    accounts = dict(settings.raw().get("ACCOUNTS") or {DEFAULT_ACCOUNT: {}})
    changed = {**settings.raw(), **SETTINGS, "ACCOUNTS": _in_memory(accounts)}
    with override_settings(WECHAT_NOTIFY=changed):
        outbox = Outbox()
        outbox.clear()
        try:
            yield outbox
        finally:
            outbox.clear()


def _in_memory(accounts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        alias: {**account, "BACKEND": LOCMEM, "OPTIONS": ACCOUNT_KEYS["OPTIONS"]}
        for alias, account in accounts.items()
    }


class Outbox:
    """What WeChat would have got. ``wechat_outbox()`` makes one."""

    @property
    def messages(self) -> list[TemplateMessage]:
        """The messages accepted so far, in order: ``openid``, ``template_id``, ``data``, ``url`` …

        Those with a ``send_at`` in the future, and those to be tried again later, are not due.
        """
        engine.deliver()
        return list(locmem.outbox)

    def messages_to(self, recipient: Any) -> list[TemplateMessage]:
        """Those to one user (on all accounts), binding or openid."""
        openids = _openids(recipient)
        return [message for message in self.messages if message.openid in openids]

    def answer(self, recipient: Any, result: SendResult | int, *, times: int = 1) -> None:
        """Let WeChat answer the next ``times`` messages to ``recipient`` with this.

        ``result``: an errcode that refuses the message, such as 43004, or a whole ``SendResult``.
        """
        openids = _openids(recipient)
        if not openids:
            raise AssertionError(f"{_name(recipient)} has no openid to which anything is sent.")
        for openid in openids:
            locmem.results.add(result, openid=openid, times=times)

    def clear(self) -> None:
        """Forget the messages and the answers handed in."""
        locmem.clear()
        for alias in settings.aliases:
            Breaker(alias).clear()

    def assert_notified(
        self, recipient: Any, template: MessageTemplate | str, **fields: Any
    ) -> TemplateMessage:
        """Fail unless ``recipient`` got a message of ``template`` with these fields.

        Fields that are not named may have any value. Values are compared as the phone shows
        them, so ``Decimal("39.8")`` matches an ``amount2`` of "39.80元". Returns the message.
        """
        wanted = {name: to_text(value, type_of(name)) for name, value in fields.items()}
        ids = _template_ids(template)
        for message in self.messages_to(recipient):
            if message.template_id in ids and wanted.items() <= _texts(message).items():
                return message
        raise AssertionError(
            f"{_name(recipient)} was not notified with {_label(template)}"
            + (f" and {_listed(wanted)}" if wanted else "")
            + f".\n{self._what_happened(recipient)}"
        )

    def assert_not_notified(
        self, recipient: Any, template: MessageTemplate | str | None = None
    ) -> None:
        """Fail if ``recipient`` got a message (of ``template``, if given)."""
        ids = None if template is None else _template_ids(template)
        got = self.messages_to(recipient)
        if any(ids is None or message.template_id in ids for message in got):
            raise AssertionError(
                f"{_name(recipient)} was notified.\n{self._what_happened(recipient)}"
            )

    def assert_count(self, number: int) -> None:
        """Fail unless just so many messages were sent to anybody."""
        messages = self.messages
        if len(messages) != number:
            lines = "\n".join(f"  {_line(message)}" for message in messages) or "  nothing"
            raise AssertionError(f"{len(messages)} messages were sent, not {number}:\n{lines}")

    def _what_happened(self, recipient: Any) -> str:
        """Everything the send log and the outbox know about one recipient."""
        lines = [f"  sent: {_line(message)}" for message in self.messages_to(recipient)]
        logs = SendLog.objects.exclude(status=SendLog.Status.SENT).order_by("pk")
        for log in logs.filter(**_theirs(recipient)).select_related("notification__template"):
            reason = f": {log.explanation}" if log.explanation else ""
            lines.append(f"  {log.status}: {log.notification.template.name}{reason}")
        return "\n".join(lines) or "  Nobody asked for a message to this recipient."


def _theirs(recipient: Any) -> dict[str, Any]:
    """The send log's rows of one recipient, as a filter."""
    if isinstance(recipient, str):
        return {"openid": recipient}
    if isinstance(recipient, OpenIDBinding):
        return {"openid": recipient.openid}
    return {"user": recipient}


def _openids(recipient: Any) -> set[str]:
    if isinstance(recipient, str):
        return {recipient}
    if isinstance(recipient, OpenIDBinding):
        return {recipient.openid}
    return set(OpenIDBinding.objects.filter(user=recipient).values_list("openid", flat=True))


def _template_ids(template: MessageTemplate | str) -> set[str]:
    if isinstance(template, MessageTemplate):
        return {template.template_id}
    ids = MessageTemplate.objects.filter(name=template).values_list("template_id", flat=True)
    if not ids:
        raise AssertionError(f"No template named {template!r} is registered.")
    return set(ids)


def _name(recipient: Any) -> str:
    return mask_openid(recipient) if isinstance(recipient, str) else str(recipient)


def _label(template: MessageTemplate | str) -> str:
    return repr(template.name if isinstance(template, MessageTemplate) else template)


def _texts(message: TemplateMessage) -> dict[str, str]:
    return {name: entry["value"] for name, entry in message.data.items()}


def _line(message: TemplateMessage) -> str:
    names = MessageTemplate.objects.filter(template_id=message.template_id)
    name = names.values_list("name", flat=True).first() or message.template_id
    return f"{name} to {mask_openid(message.openid)} with {_listed(_texts(message))}"


def _listed(fields: Mapping[str, str]) -> str:
    # In order of their names: PostgreSQL does not keep the order of the data's keys.
    return ", ".join(f"{name}={fields[name]!r}" for name in sorted(fields)) or "no fields"

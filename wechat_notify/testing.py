"""For the tests of sites that use the app: what would be sent, with answers that the test sets.

With unittest::

    from wechat_notify.testing import wechat_outbox

    class OrderTests(TestCase):
        def test_the_buyer_is_told(self):
            with wechat_outbox() as outbox:
                outbox.register(
                    "order_paid",
                    content="商品名称：{{thing2.DATA}}",
                    field_names={"title": "thing2"},
                )
                pay(self.order)
                outbox.assert_notified(self.order.buyer, "order_paid", title="围巾")

or for a whole class, in ``setUp``: ``self.outbox = self.enterContext(wechat_outbox())`` (Python
3.11). With pytest, once in ``conftest.py``::

    import pytest
    from wechat_notify.testing import wechat_outbox as catch_messages

    @pytest.fixture
    def wechat_outbox(db):
        with catch_messages() as outbox:
            yield outbox

In the block, the messages of every account go to a list in memory, and the network is not used.
The project's own ACCOUNTS, templates and bindings are used. A template that code has declared
(``declare()``, ``notify_on``) needs no row; for any other, call
``outbox.register("order_paid", content=…)``. Users get messages when they are bound:
``bind(user, "oTest-openid-of-somebody-0001")``.

**Transactions.** Messages are sent after the commit, but ``TestCase`` and pytest-django's ``db``
never commit. So every method that reads the outbox first delivers the due rows: those whose
``atomic()`` block has ended, as if the test's own transaction had committed. Rows that were rolled
back do not exist and are not delivered. ``captureOnCommitCallbacks`` is not needed, but allowed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.test import override_settings

from . import declarations
from .backends import locmem
from .conf import DEFAULT_ACCOUNT, settings
from .exceptions import InvalidData
from .models import MessageTemplate, OpenIDBinding, SendLog
from .names import name_of
from .sending import engine
from .sending.breaker import Breaker
from .sending.way_out import forget_closures
from .triggers import failures
from .types import SendResult, TemplateMessage
from .wechat.masking import mask_openid
from .wechat.naming import label_type, to_keys, words_of
from .wechat.values import to_text
from .writing import active_template

LOCMEM = "wechat_notify.backends.locmem.LocMemBackend"
# In a test that does commit, all messages are sent directly after the commit.
DISPATCHER = {
    "BACKEND": "wechat_notify.dispatchers.inline.InlineDispatcher",
    "OPTIONS": {"limit": None},
}


@contextmanager
def wechat_outbox() -> Iterator["Outbox"]:
    """Collect every message in an ``Outbox``, empty at the start. Also works as a decorator.

    What goes wrong in a trigger is raised, so that the test finds it.

    A project without any account gets a ``default`` one. If an account rests because of an answer
    such as 45009, the rest ends when the block begins, and when it ends.
    """
    accounts = dict(settings.raw().get("ACCOUNTS") or {DEFAULT_ACCOUNT: {}})
    changed = {"DISPATCHER": DISPATCHER, "ACCOUNTS": _in_memory(accounts)}
    with override_settings(WECHAT_NOTIFY={**settings.raw(), **changed}):
        outbox = Outbox()
        outbox.clear()
        active_template.makers.append(outbox.register_declared)
        failures.raisers.append(outbox)
        try:
            yield outbox
        finally:
            failures.raisers.remove(outbox)
            active_template.makers.remove(outbox.register_declared)
            outbox.clear()


def _in_memory(accounts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        alias: {**account, "BACKEND": LOCMEM, "OPTIONS": {}, "RATE": None}
        for alias, account in accounts.items()
    }


class Outbox:
    """The messages that WeChat would have got. ``wechat_outbox()`` makes one."""

    @property
    def messages(self) -> list[TemplateMessage]:
        """The messages accepted so far, in order: ``openid``, ``template_id``, ``data``, ``url`` …

        Those with a ``send_at`` in the future, and those to be tried again later, are not in it.
        """
        engine.deliver()
        return list(locmem.outbox)

    def register(
        self,
        name: str,
        *,
        content: str = "",
        field_names: Mapping[str, str] | None = None,
        account: str = DEFAULT_ACCOUNT,
    ) -> MessageTemplate:
        """Register a template, or change the ``content`` of the one that has this name.

        ``content`` is as in the console, such as ``"商品名称：{{thing2.DATA}}"``. Without it the
        template accepts any field. ``field_names`` are the site's own words:
        ``{"title": "thing2"}``. Raises ``InvalidData`` for those that do not fit the content.
        """
        changed = {"content": content, "field_names": dict(field_names or {})}
        unsaved = MessageTemplate(name=name, **changed)
        if problems := unsaved.name_problems():
            raise InvalidData(problems, template=name)
        template, _made = MessageTemplate.objects.update_or_create(
            account=account,
            name=name,
            defaults={**changed, "is_active": True},
            create_defaults={**changed, "template_id": f"test-{name}"},
        )
        return template

    def register_declared(self, name: str, account: str) -> MessageTemplate | None:
        """Register a template that code has declared, with its declared fields."""
        fields = declarations.fields_of(name, account)
        if fields is None:
            return None
        content = "\n".join(f"{{{{{field}.DATA}}}}" for field in sorted(fields))
        return self.register(name, content=content, account=account)

    def messages_to(self, recipient: Any) -> list[TemplateMessage]:
        """The messages to one user (on all accounts), binding or openid."""
        openids = _openids(recipient)
        return [message for message in self.messages if message.openid in openids]

    def answer(self, recipient: Any, result: SendResult | int, *, times: int = 1) -> None:
        """Set the answer to the next ``times`` messages to ``recipient``.

        ``result``: an errcode that refuses the message, such as 43004, or a whole ``SendResult``.
        """
        openids = _openids(recipient)
        if not openids:
            raise AssertionError(f"{_name(recipient)} has no openid to which anything is sent.")
        for openid in openids:
            locmem.results.add(result, openid=openid, times=times)

    def clear(self) -> None:
        """Remove the messages and the answers that were set."""
        locmem.clear()
        for alias in settings.aliases:
            Breaker(alias).clear()
            forget_closures(alias)

    def assert_notified(
        self, recipient: Any, template: MessageTemplate | str, **fields: Any
    ) -> TemplateMessage:
        """Fail unless ``recipient`` got a message of ``template`` with these fields.

        ``fields`` are the template's ``field_names``, or WeChat's keys. Those that are not given
        may have any value. Values are compared as the phone shows them, so ``Decimal("39.8")``
        matches an ``amount2`` of "39.80元". A message of the template's stand-in counts as well.
        Returns the message.
        """
        names = _names_by_id(template)
        for message in self.messages_to(recipient):
            known = names.get(message.template_id)
            if known is not None and _wanted(fields, known).items() <= _texts(message).items():
                return message
        wanted = {name: to_text(value, "") for name, value in fields.items()}
        raise AssertionError(
            f"{_name(recipient)} was not notified with {_label(template)}"
            + (f" and {_listed(wanted)}" if wanted else "")
            + f".\n{self._what_happened(recipient)}"
        )

    def assert_not_notified(
        self, recipient: Any, template: MessageTemplate | str | None = None
    ) -> None:
        """Fail if ``recipient`` got a message (of ``template``, if given)."""
        ids = None if template is None else _names_by_id(template)
        got = self.messages_to(recipient)
        if any(ids is None or message.template_id in ids for message in got):
            raise AssertionError(
                f"{_name(recipient)} was notified.\n{self._what_happened(recipient)}"
            )

    def assert_count(self, number: int) -> None:
        """Fail unless exactly so many messages were sent, to all recipients together."""
        messages = self.messages
        if len(messages) != number:
            lines = "\n".join(f"  {_line(message)}" for message in messages) or "  nothing"
            raise AssertionError(f"{len(messages)} messages were sent, not {number}:\n{lines}")

    def _what_happened(self, recipient: Any) -> str:
        """The rows of the send log and the outbox's messages for one recipient."""
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


def _names_by_id(template: MessageTemplate | str) -> dict[str, dict[str, str]]:
    """The field names of a template and of its stand-in, by WeChat's template ID."""
    if isinstance(template, MessageTemplate):
        found = [template]
    else:
        rows = MessageTemplate.objects.filter(name=template)
        found = list(rows.select_related("stand_in"))
        if not found and not any(one.template == template for one in declarations.declared):
            raise AssertionError(f"No template named {template!r} is registered.")
    found += [one.stand_in for one in found if one.stand_in is not None]
    return {one.template_id: one.field_names for one in found}


def _wanted(fields: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    """The texts that a message of a template with these ``names`` has, by WeChat's keys."""
    texts = {name: to_text(value, label_type(name, names)) for name, value in fields.items()}
    return to_keys(texts, names)


def _name(recipient: Any) -> str:
    if isinstance(recipient, OpenIDBinding):
        return str(recipient)
    return mask_openid(recipient) if isinstance(recipient, str) else name_of(recipient)


def _label(template: MessageTemplate | str) -> str:
    return repr(template.name if isinstance(template, MessageTemplate) else template)


def _texts(message: TemplateMessage) -> dict[str, str]:
    return {name: entry["value"] for name, entry in message.data.items()}


def _line(message: TemplateMessage) -> str:
    template = MessageTemplate.objects.filter(template_id=message.template_id).first()
    name, words = message.template_id, {}
    if template is not None:
        name, words = template.name, words_of(template.field_names)
    texts = {words.get(key, key): text for key, text in _texts(message).items()}
    return f"{name} to {mask_openid(message.openid)} with {_listed(texts)}"


def _listed(fields: Mapping[str, str]) -> str:
    # In order of their names: PostgreSQL does not keep the order of the data's keys.
    return ", ".join(f"{name}={fields[name]!r}" for name in sorted(fields)) or "no fields"

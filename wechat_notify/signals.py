"""Signals for a site's own code. The app itself does not depend on them.

``notify_requested``
    Send it, and the app notifies: for code that must not import the app. Arguments are those of
    ``services.notify``: ``notify_requested.send(sender, users=…, template=…, data=…, **options)``.
``message_sent``, ``message_failed``
    One message was accepted by WeChat, or failed for good. Argument ``log``, a SendLog.
``message_delivered``
    WeChat's receipt says that the message is on the person's phone. Argument ``log``.
``template_switched``
    WeChat no longer takes a template, and its stand-in is used from now on. Arguments ``template``
    and ``stand_in``, MessageTemplates, and ``errcode``.
``binding_changed``
    Somebody was bound, unbound, followed or unfollowed. Arguments ``binding`` (an OpenIDBinding)
    and ``change``: "bound", "unbound", "subscribed" or "unsubscribed".
``alert_opened``, ``alert_closed``
    Somebody should know of something, such as that an account is at rest; or that is over. Argument
    ``alert``, an Alert. Sent by a thread that sends no message, so receivers may take their time.
``callback_received``
    WeChat told the account something that is no delivery receipt. Arguments ``account``, the
    alias, and ``event``, a ``wechat.incoming.Event`` or ``Message``. WeChat repeats a
    callback that is not answered within five seconds: queue long work, do not do it here.

Receivers of all but the first run after the row is written, in the worker or in the request that
received the callback; what they raise is logged and stops nothing.
"""

from django.dispatch import Signal

notify_requested = Signal()
message_sent = Signal()
message_failed = Signal()
message_delivered = Signal()
template_switched = Signal()
binding_changed = Signal()
alert_opened = Signal()
alert_closed = Signal()
callback_received = Signal()

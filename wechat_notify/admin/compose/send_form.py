"""Sending what was composed, with all that belongs to it in one transaction."""

from dataclasses import replace

from django.db import transaction
from django.http import HttpRequest

from ...exceptions import InvalidData, Problem
from ...models import Notification, SendLogQuerySet, database
from ...services import send_instead
from .composed import Composed
from .drafts import remove_sent
from .earlier import Outcome
from .form import ComposeForm
from .sending import send


def send_form(request: HttpRequest, form: ComposeForm, nonce: str) -> Notification:
    """Send it once; the saved draft that it was goes with the commit.

    Where it is meant for those whose earlier message has not left yet, that one is cancelled for
    just the people who get this one. Raises what ``send()`` raises, and ``InvalidData`` where
    nobody is left to write to.
    """
    earlier = form.composed.earlier
    if earlier is None or earlier.outcome is not Outcome.WAITING:
        return _write(request, form, form.composed, nonce)

    def write(cancelled: SendLogQuerySet) -> Notification:
        return _write(request, form, _composed_for(form, cancelled), nonce)

    return send_instead(earlier.notification, write)


def _write(request: HttpRequest, form: ComposeForm, composed: Composed, nonce: str) -> Notification:
    with transaction.atomic(using=database().alias):
        sent = send(request, composed, nonce)
        if sent.is_new:
            remove_sent(request, form.given)
    return sent


def _composed_for(form: ComposeForm, cancelled: SendLogQuerySet) -> Composed:
    """What was composed, for just those whose messages were cancelled, as they are now."""
    again = ComposeForm(replace(form.composing, cancelled=cancelled), form.given)
    if not again.is_valid():
        problems = [
            Problem(str(again[name].label), str(text))
            for name, texts in again.errors.items()
            for text in texts
        ]
        raise InvalidData(problems)
    return again.composed

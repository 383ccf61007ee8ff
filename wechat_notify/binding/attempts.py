"""One attempt to bind: begun in a browser, and answered once, with the token it was given.

request = begin(visitor, source=Source.OAUTH, token=state)
...
request = take(Source.OAUTH, state, account="default", visitor=visitor)   # once, then None
finish(request, State.BOUND)
"""

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

from ..exceptions import TooManyAttempts
from ..models import BindingChange, BindingRequest, BindingRequestQuerySet, OpenIDBinding

State = BindingRequest.State

LIFETIME = timedelta(minutes=10)
# A page that is still open can ask for the result this long after the end.
KEPT = timedelta(days=1)
# What one user may begin within LIFETIME, on one account and in one of the two ways.
MOST = 10


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who wants to bind: a user, in one browser, on one account.

    ``browser`` is a secret that only this browser's session knows. Nobody can see or answer a
    request that was begun by another user or in another session. ``invited``: the browser showed
    an invitation of this user, and nobody is signed in.
    """

    user: Any
    account: str
    browser: str = field(repr=False)
    invited: bool = False


def digest(secret: str) -> str:
    """What is kept of a secret: its SHA-256 in 64 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def begin(visitor: Visitor, *, source: str, token: str, **details: Any) -> BindingRequest:
    """Write down a new request, open for ten minutes. ``details`` are fields of its row.

    Raises ``TooManyAttempts``.
    """
    now = timezone.now()
    requests = BindingRequest.objects
    requests.filter(expires_at__lt=now - KEPT).delete()
    mine = requests.filter(account=visitor.account, user=visitor.user.pk, source=source)
    if mine.filter(created_at__gt=now - LIFETIME).count() >= MOST:
        raise TooManyAttempts(f"This user has begun {MOST} times within {LIFETIME}.")
    return requests.create(
        account=visitor.account,
        user_id=visitor.user.pk,
        browser=digest(visitor.browser),
        source=source,
        token=digest(token),
        expires_at=now + LIFETIME,
        **details,
    )


def of(visitor: Visitor, source: str) -> BindingRequestQuerySet:
    """The requests that this user began in this browser, whatever became of them."""
    return BindingRequest.objects.filter(
        account=visitor.account,
        user=visitor.user.pk,
        browser=digest(visitor.browser),
        source=source,
    )


def has_bound(visitor: Visitor) -> bool:
    """Whether this browser has bound this user, today or yesterday."""
    ways = (OpenIDBinding.Source.OAUTH, OpenIDBinding.Source.QR)
    return any(of(visitor, source).filter(state=State.BOUND).exists() for source in ways)


def was_overtaken(request: BindingRequest) -> bool:
    """Whether the user was bound on the account after this request was begun.

    An invitation is good once: of two browsers that show it at the same time, one binds.
    """
    return BindingChange.objects.filter(
        account=request.account,
        user=request.user_id,
        change=BindingChange.Change.BOUND,
        created_at__gte=request.created_at,
    ).exists()


def take(
    source: str, token: str, *, account: str, visitor: Visitor | None = None
) -> BindingRequest | None:
    """The open request of this token, which is then taken; None where there is none.

    With ``visitor``, only one that they began themselves; another's stays as it is.
    """
    mine = of(visitor, source) if visitor else BindingRequest.objects.filter(source=source)
    mine = mine.filter(account=account, token=digest(token))
    # One conditional update: of two that come at once, one takes it.
    if not mine.open().update(state=State.TAKEN):
        return None
    return mine.select_related("user").get()


def finish(request: BindingRequest, state: str) -> None:
    """Write down what became of a request that was taken."""
    request.state = state
    request.save(update_fields=["state"])

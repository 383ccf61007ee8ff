"""Why there is no access token, shared for a while with all who would ask for it in vain."""

from typing import Any

from ..exceptions import RefusedTokenError, TokenError, TransportError
from .errors import Treatment, describe, token_error
from .shared_cache import SharedCache

# How long a failure answers for every caller, instead of a fetch of their own each.
TRANSIENT_SECONDS = 2
REFUSAL_SECONDS = 30
# A token that is refused for ever costs three or four fetches, then none for this long. That
# keeps even a caller that never stops asking inside a quota of 2000 a day.
REFUSED_TOKEN_SECONDS = 300
REFUSED_TOKEN_ERRCODE = 40001


def refused_token_error() -> RefusedTokenError:
    """With what is known of why every token is refused."""
    info = describe(REFUSED_TOKEN_ERRCODE)
    return RefusedTokenError(
        REFUSED_TOKEN_ERRCODE,
        "every access token is refused",
        cause=str(info.cause),
        next_step=str(info.next_step),
    )


def is_transient(error: TokenError | TransportError) -> bool:
    """Whether asking again in a moment may help."""
    return isinstance(error, TransportError) or _treatment(error) is Treatment.RETRY


class SharedFailures:
    """The last failure to get a token, in the cache.

    One that speaks of this host (no network, an address that is not whitelisted) is kept from the
    other hosts, which may well get a token.
    """

    def __init__(self, cache: SharedCache, host: str) -> None:
        self._cache = cache
        self._host = host

    def share(self, error: TokenError | TransportError) -> None:
        """Answer with this error for a while."""
        of_host = isinstance(error, TransportError) or _treatment(error) is Treatment.HOST
        name = ("failure", self._host) if of_host else ("failure",)
        self._cache.set(name, _as_dict(error), _seconds(error))

    def raise_any(self) -> None:
        """Raise the failure that this host, or the whole account, met a moment ago."""
        failure = self._cache.get("failure") or self._cache.get("failure", self._host)
        if failure:
            raise _as_error(failure)


def _treatment(error: TokenError) -> Treatment:
    return describe(error.errcode, endpoint="token").treatment


def _seconds(error: TokenError | TransportError) -> int:
    if isinstance(error, RefusedTokenError):
        return REFUSED_TOKEN_SECONDS
    return TRANSIENT_SECONDS if is_transient(error) else REFUSAL_SECONDS


def _as_dict(error: TokenError | TransportError) -> dict[str, Any]:
    """A failure in a form that any cache can keep."""
    if isinstance(error, RefusedTokenError):
        return {"kind": "refused"}
    if isinstance(error, TokenError):
        return {"kind": "token", "errcode": error.errcode, "errmsg": error.errmsg}
    return {"kind": "transport", "message": str(error), "status": error.status}


def _as_error(failure: dict[str, Any]) -> TokenError | TransportError:
    if failure["kind"] == "refused":
        return refused_token_error()
    if failure["kind"] == "token":
        return token_error(failure["errcode"], failure["errmsg"])
    return TransportError(failure["message"], maybe_sent=False, status=failure["status"])

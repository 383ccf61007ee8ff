"""Trouble on demand: what the fake WeChat does wrong, to whom, how often."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:  # typing has it from Python 3.11 on
    from typing_extensions import Unpack

SEND_PATH = "/cgi-bin/message/template/send"

FAIL = "fail"
DELAY = "delay"
RESET = "reset"
HTTP_ERROR = "http_error"
TRUNCATE = "truncate"
STALL = "stall"


@dataclass(slots=True)
class Fault:
    """One scripted trouble. ``hits`` counts how often it struck.

    ``times`` None means for ever; ``after`` lets so many matching requests pass first;
    ``accepted`` says whether the request is carried out before the trouble shows.
    """

    kind: str
    path: str
    openid: str | None
    times: int | None
    after: int
    errcode: int = 0
    errmsg: str = ""
    seconds: float = 0.0
    status: int = 0
    accepted: bool = False
    cut_connection: bool = True
    hits: int = 0
    passed: int = 0

    def strikes(self, path: str, openid: str) -> bool:
        """Whether this fault takes the request; counts it either way."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.openid not in (None, openid) or not fnmatchcase(path, self.path):
            return False
        if self.passed < self.after:
            self.passed += 1
            return False
        self.hits += 1
        return True

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Where(TypedDict, total=False):
    """Which requests a fault takes.

    ``times``: how many (1 where not given; None for ever). ``openid``: only what concerns this
    person. ``path``: a shell-style pattern such as ``"/cgi-bin/*token"``; template/send where
    not given. ``after``: let so many matching requests pass first.
    """

    times: int | None
    openid: str | None
    path: str | None
    after: int


class FaultScript:
    """The list of faults, in the order written. Safe to share between threads.

    Every verb takes ``Where``'s four options and returns its Fault, whose ``hits`` can be read at
    any time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def fail(self, errcode: int, errmsg: str = "", **where: Unpack[Where]) -> Fault:
        """Answer with this errcode; the errmsg is WeChat's usual one where none is given."""
        return self._add(FAIL, where, errcode=errcode, errmsg=errmsg)

    def delay(self, seconds: float, **where: Unpack[Where]) -> Fault:
        """Do everything right, ``seconds`` later."""
        return self._add(DELAY, where, seconds=seconds)

    def reset(self, *, accepted: bool = True, **where: Unpack[Where]) -> Fault:
        """Tear the connection down (RST), after or before the message was accepted."""
        return self._add(RESET, where, accepted=accepted)

    def http_error(
        self, status: int = 502, *, accepted: bool = False, **where: Unpack[Where]
    ) -> Fault:
        """Answer with a gateway's HTML error page."""
        return self._add(HTTP_ERROR, where, status=status, accepted=accepted)

    def truncate(
        self, *, accepted: bool = True, cut_connection: bool = True, **where: Unpack[Where]
    ) -> Fault:
        """Write half of the JSON and hang up; without ``cut_connection`` the half is framed
        as if it were whole, so only the JSON is broken."""
        return self._add(TRUNCATE, where, accepted=accepted, cut_connection=cut_connection)

    def stall(
        self, seconds: float = 60.0, *, accepted: bool = True, **where: Unpack[Where]
    ) -> Fault:
        """Take the request and say nothing for ``seconds``, then hang up."""
        return self._add(STALL, where, seconds=seconds, accepted=accepted)

    def add(self, kind: str, options: Mapping[str, Any]) -> Fault:
        """The verb called ``kind`` with these options. ValueError where either is unknown."""
        if kind not in (FAIL, DELAY, RESET, HTTP_ERROR, TRUNCATE, STALL):
            raise ValueError(f"Unknown fault {kind!r}.")
        try:
            fault: Fault = getattr(self, kind)(**options)
        except TypeError as error:
            raise ValueError(f"Fault {kind!r}: {error}") from error
        return fault

    def clear(self) -> None:
        """Forget every fault."""
        with self._lock:
            self._faults.clear()

    def faults(self) -> list[Fault]:
        """Every fault scripted so far, spent ones too."""
        with self._lock:
            return list(self._faults)

    def take(self, path: str, find_openid: Callable[[], str]) -> tuple[float, Fault | None]:
        """What happens to this request: seconds of delay, and the first other fault that strikes.

        ``find_openid`` is called only if there are faults at all.
        """
        if not self._faults:
            return 0.0, None
        openid, seconds = find_openid(), 0.0
        with self._lock:
            for fault in self._faults:
                if not fault.strikes(path, openid):
                    continue
                if fault.kind != DELAY:
                    return seconds, fault
                seconds += fault.seconds
        return seconds, None

    def _add(self, kind: str, where: Where, **what: Any) -> Fault:
        unknown = where.keys() - Where.__annotations__.keys()
        if unknown:
            raise TypeError(f"unknown option {', '.join(sorted(unknown))}")
        fault = Fault(
            kind,
            path=where.get("path") or SEND_PATH,
            openid=where.get("openid"),
            times=where.get("times", 1),
            after=where.get("after", 0),
            **what,
        )
        with self._lock:
            self._faults.append(fault)
        return fault

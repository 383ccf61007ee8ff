"""One thing that somebody must know of, as it is at present."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from ..models import Alert, MessageTemplate
from ..models.alert import DETAIL_LENGTH, SUBJECT_LENGTH
from ..types import Endpoint
from ..wechat.masking import presentable

Kind = Alert.Kind

PASSING = timedelta(minutes=2)
"""What may be over by itself is told when it has lasted so long: a minute's limit (45011) with one
probe after it, a short cut of the network, a service of WeChat's that restarts."""

QUIET = timedelta(minutes=5)
"""An alert is over when its event was not seen for so long: what comes back within these minutes is
the same event, and nobody gets a second e-mail."""


@dataclass(frozen=True, slots=True)
class Event:
    """What an ``Alert`` says, before there is one. ``passing``: it may be over by itself soon."""

    kind: Kind
    account: str
    began_at: datetime
    subject: str = ""
    template: MessageTemplate | None = None
    errcode: int | None = None
    endpoint: Endpoint = "send"
    detail: str = ""
    until: datetime | None = None
    failed: int | None = None
    decided: int | None = None
    passing: bool = False

    @property
    def key(self) -> str:
        """What tells it from any other event that is there at the same time."""
        about = self.subject if self.template is None else str(self.template.pk)
        return f"{self.kind.value}:{self.account}:{about[:SUBJECT_LENGTH]}"

    def has_lasted(self, now: datetime) -> bool:
        """Whether it is told now, and not only if it is still there later."""
        return not self.passing or now - self.began_at >= PASSING

    def as_alert(self, now: datetime) -> Alert:
        """The open alert of it, not saved."""
        alert = Alert(
            kind=self.kind,
            account=self.account,
            subject=self.subject[:SUBJECT_LENGTH],
            template=self.template,
            endpoint=self.endpoint,
            began_at=self.began_at,
            opened_at=now,
            open_key=self.key,
        )
        self.refresh(alert, now)
        return alert

    def refresh(self, alert: Alert, now: datetime) -> bool:
        """Bring an open alert up to date, without saving it. Whether it says something new."""
        said = {
            "errcode": self.errcode,
            "until": self.until,
            "detail": presentable(self.detail)[:DETAIL_LENGTH],
        }
        changed = any(getattr(alert, name) != value for name, value in said.items())
        for name, value in {**said, "failed": self.failed, "decided": self.decided}.items():
            setattr(alert, name, value)
        alert.seen_at = now
        return changed


def quiet_for(kind: str) -> timedelta:
    """How long an event must not have been seen before its alert is over.

    A template is stopped or not: that is a row's and nobody's guess.
    """
    return timedelta(0) if kind == Kind.TEMPLATE else QUIET

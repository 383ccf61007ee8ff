"""A second person's approval: who asked for it, who decided, when, and how."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..names import name_of
from .notification import Notification
from .reading import WrittenManager

NAME_LENGTH = 200
REASON_LENGTH = 500


class ApprovalRequest(models.Model):
    """What every request for approval has. It is open until it has a ``decision``.

    The names stay when a user is deleted.
    """

    class Decision(models.TextChoices):
        APPROVED = "approved", _("approved")
        REFUSED = "refused", _("refused")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")

    asked_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("asked for by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    asked_by_name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    asked_at = models.DateTimeField(_("asked for at"), default=timezone.now)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("decided by"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    decided_by_name = models.CharField(max_length=NAME_LENGTH, blank=True, default="")
    decided_at = models.DateTimeField(_("decided at"), null=True)
    decision = models.CharField(
        _("decision"), max_length=12, choices=Decision.choices, blank=True, default=""
    )
    reason = models.CharField(_("reason"), max_length=REASON_LENGTH, blank=True, default="")

    class Meta:
        abstract = True

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided yet."""
        return not self.decision

    @property
    def asker(self) -> str:
        """Who asked; a dash where that is not known."""
        return self.asked_by_name or "-"


def person_fields(prefix: str, user: Any) -> dict[str, Any]:
    """The columns of a user: ``asked_by`` and ``asked_by_name``, by their ``prefix``."""
    name = "" if user is None else name_of(user)[:NAME_LENGTH]
    return {f"{prefix}_id": None if user is None else user.pk, f"{prefix}_name": name}


class Approval(ApprovalRequest):
    """A notification whose messages are held until a second person approves them.

    A notification is held once at most, when it is written. ``messages``: how many were held.
    """

    notification = models.OneToOneField(
        Notification,
        verbose_name=_("notification"),
        on_delete=models.CASCADE,
        related_name="approval",
    )
    messages = models.PositiveIntegerField(_("messages"), default=0)

    objects: ClassVar[WrittenManager["Approval"]] = WrittenManager()  # type: ignore[assignment]

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")

    def __str__(self) -> str:
        return f"{self.notification_id}: {self.decision or '-'}"

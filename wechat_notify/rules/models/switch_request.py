"""A request to switch a rule on that could tell many people."""

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ...models import ApprovalRequest
from ...models.reading import WrittenManager
from .rule import NAME_LENGTH, Rule

FINGERPRINT_LENGTH = 64


class SwitchRequest(ApprovalRequest):
    """Somebody wants a rule to be on, and a second person must approve it. It outlives the rule.

    ``fingerprint``: the rule as it was when it was asked for. ``is_pending``: True while the
    request is open, and NULL afterwards, so that the database allows one open request a rule.
    """

    rule = models.ForeignKey(
        Rule,
        verbose_name=_("rule"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="switch_requests",
    )
    rule_name = models.CharField(_("name of the rule"), max_length=NAME_LENGTH)
    fingerprint = models.CharField(max_length=FINGERPRINT_LENGTH)
    is_pending = models.BooleanField(null=True, default=True, editable=False)

    objects: ClassVar[WrittenManager["SwitchRequest"]] = WrittenManager()  # type: ignore[assignment]

    class Meta:
        base_manager_name = "objects"
        default_permissions = ()
        verbose_name = _("request to switch a rule on")
        verbose_name_plural = _("requests to switch a rule on")
        constraints = [
            models.UniqueConstraint(
                fields=["rule", "is_pending"], name="wechat_notify_rules_one_open_request"
            )
        ]

    def __str__(self) -> str:
        return f"{self.rule_name}: {self.decision or '-'}"

"""Saved criteria by which recipients are chosen."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager


class RecipientFilter(models.Model):
    """Recipients saved as criteria, not as a list of people.

    So the next message also reaches a group's new members. ``admin/compose`` defines the form of
    ``criteria``, and which of the people a member of staff may write to.
    """

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    name = models.CharField(_("name"), max_length=100)
    criteria = models.JSONField(_("recipients"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = WrittenManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("saved recipients")
        verbose_name_plural = _("saved recipients")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"], name="wechat_notify_recipients_account_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

"""Recipients that somebody put together once and keeps under a name."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .bindings import ALIAS_LENGTH


class RecipientFilter(models.Model):
    """A saved answer to the question "to whom?".

    It keeps what was chosen, not whom that meant: a group's new members are among the recipients
    of the next message. What ``criteria`` looks like, and whom it means to the member of staff who
    uses it, is known by the page that composes messages.
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

    class Meta:
        verbose_name = _("saved recipients")
        verbose_name_plural = _("saved recipients")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"], name="wechat_notify_recipients_account_name"
            )
        ]

    def __str__(self) -> str:
        return self.name

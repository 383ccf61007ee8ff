"""Messages that somebody has begun to compose in the admin, and put aside."""

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .message_template import MessageTemplate
from .notification_title import TITLE_LENGTH
from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager


class Draft(models.Model):
    """What was filled in so far: ``inputs`` are those of the form, ``{name: [values]}``.

    Nothing in it was checked, and nothing is sent from here: whoever opens it goes on composing.
    Once it was sent it is deleted. ``wechat_prune`` deletes those that nobody has saved for a long
    time, because they name people.
    """

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    template = models.ForeignKey(
        MessageTemplate,
        verbose_name=_("template"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    title = models.CharField(_("title"), max_length=TITLE_LENGTH, blank=True, default="")
    inputs = models.JSONField(_("inputs"), default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("saved at"), auto_now=True, db_index=True)

    objects = WrittenManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("draft")
        verbose_name_plural = _("drafts")

    def __str__(self) -> str:
        return self.title or str(self.template or f"#{self.pk}")

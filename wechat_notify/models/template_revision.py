"""Templates as they were when messages left with them."""

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from .exact import ExactCharField
from .reading import WrittenManager


class TemplateRevision(models.Model):
    """A template as it was for a time. Never changed and never deleted.

    Saving a template that has changed makes a new one. Sent rows of the send log point to theirs,
    so that their cards stay as people saw them.
    """

    template_id = ExactCharField(_("template ID"), max_length=128)
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    content = models.TextField(pgettext_lazy("template", "content"), blank=True, default="")
    field_names = models.JSONField(_("field names"), default=dict, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    objects = WrittenManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("template revision")
        verbose_name_plural = _("template revisions")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.title or self.template_id} #{self.pk}"

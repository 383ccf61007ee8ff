"""What went wrong in the triggers of the site's code."""

from datetime import datetime
from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from .openid_binding import ALIAS_LENGTH
from .reading import WrittenManager

TEXT_LENGTH = 500


class TriggerFailure(models.Model):
    """One firing of a trigger in which something went wrong. Nothing was sent.

    Rows are only added, so that saves that fail at the same time do not wait for each other.
    ``about`` names the object by model and key; ``error`` is the exception's name and text.
    """

    trigger = models.CharField(_("trigger"), max_length=TEXT_LENGTH)
    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    about = models.CharField(_("object"), max_length=TEXT_LENGTH)
    error = models.CharField(_("error"), max_length=TEXT_LENGTH)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True, db_index=True)

    count: int = 1
    """How many there are of this trigger; set by ``last_of_each()``."""

    objects: ClassVar[WrittenManager["TriggerFailure"]] = WrittenManager()  # type: ignore[assignment]

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("failure of a trigger")
        verbose_name_plural = _("failures of triggers")

    def __str__(self) -> str:
        return f"{self.trigger}: {self.error}"


def last_of_each(
    failures: models.QuerySet[TriggerFailure], since: datetime
) -> list[TriggerFailure]:
    """The last failure of each trigger since then, with their number as ``count``.

    The newest come first. Two queries.
    """
    groups = failures.filter(created_at__gte=since).order_by().values("trigger", "account")
    found = groups.annotate(last=models.Max("pk"), n=models.Count("pk"))
    counts: dict[int, int] = dict(found.values_list("last", "n"))
    last = list(failures.filter(pk__in=counts).order_by("-pk"))
    for failure in last:
        failure.count = counts[failure.pk]
    return last

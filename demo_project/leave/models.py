"""A school, its staff, and their requests for leave."""

from django.conf import settings
from django.contrib.auth.models import User
from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class School(models.Model):
    name = models.CharField(_("name"), max_length=50)

    class Meta:
        verbose_name = _("school")
        verbose_name_plural = _("schools")

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """Somebody on the staff of a school."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), related_name="membership"
    )
    school = models.ForeignKey(School, models.CASCADE, verbose_name=_("school"))
    may_approve = models.BooleanField(_("may approve leave"), default=False)

    class Meta:
        verbose_name = _("member of staff")
        verbose_name_plural = _("staff")

    def __str__(self) -> str:
        return f"{self.user} · {self.school}"


class LeaveQuerySet(models.QuerySet["Leave"]):
    def visible_to(self, user: User) -> "LeaveQuerySet":
        """One's own requests, and those that one may approve."""
        approves_at = School.objects.filter(membership__user=user, membership__may_approve=True)
        return self.filter(Q(applicant=user) | Q(school__in=approves_at))


class Leave(models.Model):
    """One request for leave, and what became of it."""

    # The values are sent as they stand here: a "const" field of a template takes only texts that
    # WeChat has approved, whatever language the site speaks.
    class Kind(models.TextChoices):
        PERSONAL = "事假", _("personal leave")
        SICK = "病假", _("sick leave")
        ANNUAL = "年假", _("annual leave")
        OTHER = "其他", _("other")

    class Status(models.TextChoices):
        PENDING = "pending", _("waiting for approval")
        APPROVED = "approved", _("approved")
        REJECTED = "rejected", _("rejected")

    applicant = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("applicant"), related_name="+"
    )
    school = models.ForeignKey(School, models.CASCADE, verbose_name=_("school"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind.choices, default=Kind.PERSONAL)
    start = models.DateTimeField(_("from"), db_index=True)  # searched for reminders
    end = models.DateTimeField(_("until"))
    # WeChat takes 20 characters in a "thing" field.
    reason = models.CharField(_("reason"), max_length=20)
    status = models.CharField(
        _("status"), max_length=10, choices=Status.choices, default=Status.PENDING
    )
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("decided by"),
        null=True,
        blank=True,
        related_name="+",
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)
    created_at = models.DateTimeField(_("handed in at"), auto_now_add=True)

    objects = LeaveQuerySet.as_manager()

    class Meta:
        verbose_name = _("leave request")
        verbose_name_plural = _("leave requests")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.applicant} · {self.get_kind_display()}"

    def get_absolute_url(self) -> str:
        return reverse("leave:detail", args=[self.pk])

    @property
    def is_pending(self) -> bool:
        return self.status == self.Status.PENDING

    def approvers(self) -> models.QuerySet[User]:
        """Staff of the same school who may approve leave, but not one's own."""
        staff = User.objects.filter(membership__school=self.school, membership__may_approve=True)
        return staff.exclude(pk=self.applicant_id)

    def may_be_decided_by(self, user: User) -> bool:
        return self.is_pending and self.approvers().filter(pk=user.pk).exists()

    def decide(self, user: User, *, approve: bool) -> None:
        """Approve or reject, once; the saved row's signal tells the applicant."""
        self.status = self.Status.APPROVED if approve else self.Status.REJECTED
        self.decided_by = user
        self.decided_at = timezone.now()
        self.save(update_fields=["status", "decided_by", "decided_at"])

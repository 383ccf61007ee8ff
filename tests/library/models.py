"""Books that people borrow. Rules may see some of it, and must never see the rest."""

from django.conf import settings
from django.db import models


class Branch(models.Model):
    name = models.CharField(max_length=50)
    alarm_password = models.CharField(max_length=50, default="open sesame")
    librarians = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="branches")

    def __str__(self) -> str:
        return self.name


class Loan(models.Model):
    """A loan, with a field of each kind."""

    class Status(models.TextChoices):
        WANTED = "wanted", "wanted"
        READY = "ready", "ready to be fetched"
        LENT = "lent", "lent"
        BACK = "back", "back"

    borrower = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="loans"
    )
    branch = models.ForeignKey(Branch, on_delete=models.CASCADE, null=True)
    title = models.CharField(max_length=50)
    number = models.CharField(max_length=20, default="20261127001")
    copies = models.IntegerField(default=1)
    fee = models.DecimalField(max_digits=7, decimal_places=2, null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.WANTED)
    is_lost = models.BooleanField(default=False)
    note = models.TextField(blank=True, default="")
    due_on = models.DateField(null=True, db_index=True)
    due_at = models.DateTimeField(null=True, db_index=True)
    created_at = models.DateTimeField(auto_now_add=True)
    watchers = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    door_code = models.CharField(max_length=10, default="1234")
    scan = models.FileField(blank=True)
    extra = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return f"/loans/{self.pk}/"

    def give_back(self) -> str:
        self.delete()
        return "given back"

    give_back.alters_data = True  # type: ignore[attr-defined]


class ReferenceLoan(Loan):
    """The same rows under another name."""

    class Meta:
        proxy = True


class FilmLoan(Loan):
    """A loan with a row of its own beside."""

    minutes = models.IntegerField(default=90)

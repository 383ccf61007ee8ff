"""A site's own model, as small as a trigger needs."""

from django.conf import settings
from django.db import models


class Leave(models.Model):
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    reason = models.CharField(max_length=100)
    start = models.DateTimeField()
    status = models.CharField(max_length=10, default="pending")

    def __str__(self) -> str:
        return self.reason

    def get_absolute_url(self) -> str:
        return f"/view/{self.pk}/"


class Order(models.Model):
    """Something with a status, a key, an amount and a text that says nothing."""

    class Status(models.TextChoices):
        PENDING = "pending"
        PAID = "paid"
        REFUNDED = "refunded"

    buyer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.PENDING)
    total = models.DecimalField(max_digits=9, decimal_places=2, default=0)
    extra = models.JSONField(default=dict)
    note = models.CharField(max_length=100, blank=True)
    tags = models.ManyToManyField("auth.Group")

    def __str__(self) -> str:
        return f"order {self.pk}"


class UrgentOrder(Order):
    """The same rows under another name."""

    class Meta:
        proxy = True


class Gift(Order):
    """An order with a row of its own beside."""

    greeting = models.CharField(max_length=100)


class Voucher(models.Model):
    """A row whose key the site chooses."""

    code = models.CharField(max_length=20, primary_key=True)
    status = models.CharField(max_length=10, default="pending")

    def __str__(self) -> str:
        return self.code


class Appointment(models.Model):
    """Something that people are reminded of."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    starts_at = models.DateTimeField(null=True, db_index=True)
    day = models.DateField(null=True, db_index=True)
    is_cancelled = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"appointment {self.pk}"

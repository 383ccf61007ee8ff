"""An order as a shop has it, twice: without triggers, and with three."""

from typing import Any

from django.db import models
from django.db.models.signals import post_save

from wechat_notify.triggers import notify_on


class Order(models.Model):
    number = models.CharField(max_length=30)
    buyer = models.CharField(max_length=50)
    phone = models.CharField(max_length=20)
    address = models.CharField(max_length=200)
    total = models.DecimalField(max_digits=9, decimal_places=2)
    status = models.CharField(max_length=10, default="pending")
    note = models.TextField(blank=True)
    is_gift = models.BooleanField(default=False)
    created_at = models.DateTimeField()
    paid_at = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class PlainOrder(Order):
    def __str__(self) -> str:
        return self.number


class WatchedOrder(Order):
    def __str__(self) -> str:
        return self.number


class Other(models.Model):
    def __str__(self) -> str:
        return str(self.pk)


def nobody(**kwargs: Any) -> None:
    raise RuntimeError("No trigger matches what is measured.")


notify_on(post_save, sender=Other, template="other")(nobody)
notify_on(post_save, sender=WatchedOrder, template="paid", changes={"status": "paid"})(nobody)
notify_on(
    post_save, sender=WatchedOrder, template="back", changes={"status": ("paid", "refunded")}
)(nobody)

"""Somebody is told that an order is paid, and reminded of an appointment."""

from datetime import timedelta
from typing import Any

from django.db.models.signals import post_save

from tests.factories import ORDER, openid
from tests.school.models import Appointment, Order
from wechat_notify.triggers import notify_on, remind_on


@notify_on(post_save, sender=Order, template="order_paid", changes={"status": "paid"})
def tell(instance: Order, **kwargs: Any) -> dict[str, Any]:
    return {"users": openid(instance.pk), "data": ORDER, "key": f"paid-{instance.pk}"}


# An hour, because to write reminders for tens of thousands takes longer than the usual grace.
@remind_on(
    Appointment,
    at="starts_at",
    before=timedelta(days=1),
    grace=timedelta(hours=1),
    template="order_paid",
)
def remind(appointment: Appointment) -> dict[str, Any]:
    return {"users": openid(appointment.pk), "data": ORDER}

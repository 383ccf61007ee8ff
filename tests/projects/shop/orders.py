"""Orders of oscar's own model, and what their buyers are told."""

from decimal import Decimal
from typing import Any

from django.db.models.signals import post_save
from oscar.core.loading import get_model

from wechat_notify.triggers import notify_on

Order = get_model("order", "Order")


@notify_on(post_save, sender=Order, template="order_paid")
def tell(instance: Any, **kwargs: Any) -> dict[str, Any]:
    data = {"character_string1": instance.number, "thing2": "订单"}
    return {"users": instance.user, "data": data}


def order(user_pk: str) -> Any:
    """Let somebody order."""
    total = Decimal("39.80")
    return Order.objects.create(
        number=f"1000{user_pk}",
        user_id=user_pk,
        currency="CNY",
        total_incl_tax=total,
        total_excl_tax=total,
    )

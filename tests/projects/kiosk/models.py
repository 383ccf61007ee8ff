"""What people of this project are told about."""

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models.signals import post_save

from wechat_notify.triggers import notify_on


class Visit(models.Model):
    """Somebody came."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"visit {self.pk}"


@notify_on(post_save, sender=Visit, template="order_paid")
def tell(instance: Visit, **kwargs: Any) -> dict[str, Any]:
    data = {"character_string1": str(instance.pk), "thing2": "来访"}
    return {"users": instance.user, "data": data}


def come(user_pk: str) -> Visit:
    """Let somebody come."""
    return Visit.objects.create(user_id=user_pk)

"""People without a login name, and what they are told about."""

import uuid
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin, UserManager
from django.db import models
from django.db.models.signals import post_save

from wechat_notify.triggers import notify_on


class Patient(AbstractBaseUser, PermissionsMixin):
    """Somebody who may never have chosen a login name."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    username = models.UUIDField(unique=True, null=True, blank=True)
    email = models.EmailField(blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    objects = UserManager()

    USERNAME_FIELD = "username"
    EMAIL_FIELD = "email"

    def __str__(self) -> str:
        return self.email


class Visit(models.Model):
    """Somebody came."""

    user = models.ForeignKey(Patient, on_delete=models.CASCADE)

    def __str__(self) -> str:
        return f"visit {self.pk}"


@notify_on(post_save, sender=Visit, template="order_paid")
def tell(instance: Visit, **kwargs: Any) -> dict[str, Any]:
    data = {"character_string1": str(instance.pk), "thing2": "就诊"}
    return {"users": instance.user, "data": data}


def come(user_pk: str) -> Visit:
    """Let somebody come."""
    return Visit.objects.create(user_id=user_pk)

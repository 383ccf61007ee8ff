"""A site's own model, as small as a trigger needs."""

from django.conf import settings
from django.db import models


class Leave(models.Model):
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    reason = models.CharField(max_length=100)
    start = models.DateTimeField()

    def __str__(self) -> str:
        return self.reason

    def get_absolute_url(self) -> str:
        return f"/view/{self.pk}/"

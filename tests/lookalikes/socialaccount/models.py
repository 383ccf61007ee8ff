from django.conf import settings
from django.db import models


class SocialAccount(models.Model):
    """allauth.socialaccount."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)
    provider = models.CharField(max_length=200)
    uid = models.CharField(max_length=191)
    extra_data = models.JSONField(default=dict)

    class Meta:
        unique_together = ("provider", "uid")

    def __str__(self) -> str:
        return self.provider

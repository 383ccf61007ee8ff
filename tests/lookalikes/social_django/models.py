from django.conf import settings
from django.db import models


class UserSocialAuth(models.Model):
    """social_django."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="social_auth")
    provider = models.CharField(max_length=32)
    uid = models.CharField(max_length=255)
    extra_data = models.JSONField(default=dict)

    class Meta:
        unique_together = ("provider", "uid")

    def __str__(self) -> str:
        return self.provider

from django.conf import settings
from django.db import models


class WeChatApp(models.Model):
    """wechat_django's account."""

    appid = models.CharField(max_length=32)

    def __str__(self) -> str:
        return self.appid


class WeChatUser(models.Model):
    """wechat_django: a person, who is no user of the site."""

    app = models.ForeignKey(WeChatApp, models.CASCADE, related_name="users")
    openid = models.CharField(max_length=36)
    unionid = models.CharField(max_length=36, null=True)  # noqa: DJ001 - as there

    class Meta:
        unique_together = ("app", "openid")

    def __str__(self) -> str:
        return "WeChatUser"


class Membership(models.Model):
    """What a site wrote to link the two."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True)
    wechat_user = models.OneToOneField(WeChatUser, models.CASCADE)

    def __str__(self) -> str:
        return "Membership"


class Visit(models.Model):
    """Another model of the site that knows both."""

    host = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    guest = models.ForeignKey(WeChatUser, models.CASCADE)

    def __str__(self) -> str:
        return "Visit"

"""Users' openids, the changes of these bindings, and requests to bind."""

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..conf import DEFAULT_ACCOUNT
from ..names import name_of
from ..wechat.masking import mask_openid
from ..wechat.openids import OPENID_LENGTH
from .exact import ExactCharField
from .reading import WrittenManager

ALIAS_LENGTH = 64


class OpenIDBindingQuerySet(models.QuerySet["OpenIDBinding"]):
    def reachable(self) -> "OpenIDBindingQuerySet":
        """Bindings of people who follow the account, as far as is known."""
        return self.filter(subscribed=True)


class OpenIDBinding(models.Model):
    """A user's openid on one account. A user may have several; an openid belongs to one user."""

    class Source(models.TextChoices):
        MANUAL = "manual", _("entered by hand")
        CODE = "code", _("by the site's own code")
        OAUTH = "oauth", _("web authorisation")
        QR = "qr", _("QR code")
        IMPORT = "import", _("imported")

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="wechat_bindings",
        db_index=False,
    )
    account = models.CharField(
        _("account"),
        max_length=ALIAS_LENGTH,
        default=DEFAULT_ACCOUNT,
        help_text=_("The alias in the ACCOUNTS setting."),
    )
    openid = ExactCharField("openid", max_length=OPENID_LENGTH)
    unionid = ExactCharField("unionid", max_length=OPENID_LENGTH, blank=True, default="")
    subscribed = models.BooleanField(
        _("follows the account"),
        default=True,
        help_text=_("WeChat delivers template messages to followers only."),
    )
    follow_changed_at = models.DateTimeField(
        _("follow state known since"),
        null=True,
        blank=True,
        help_text=_("Older news about following never overwrites newer."),
    )
    unreachable_errcode = models.IntegerField(
        _("marked by errcode"),
        null=True,
        blank=True,
        help_text=_("WeChat's answer to the send that found this person unreachable."),
    )
    source = models.CharField(
        _("source"), max_length=16, choices=Source.choices, default=Source.MANUAL
    )
    created_at = models.DateTimeField(_("bound at"), auto_now_add=True)

    objects = WrittenManager.from_queryset(OpenIDBindingQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("openid binding")
        verbose_name_plural = _("openid bindings")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "openid"], name="wechat_notify_binding_account_openid"
            )
        ]
        indexes = [models.Index(fields=["user", "account"], name="wechat_notify_binding_user")]
        permissions = [("view_openid", "Can see whole openids")]

    def __str__(self) -> str:
        return f"{name_of(self.user)} · {mask_openid(self.openid)}"


class BindingChange(models.Model):
    """One change of a binding. It is kept when the binding, or the user, is deleted."""

    class Change(models.TextChoices):
        BOUND = "bound", _("bound")
        UNBOUND = "unbound", _("unbound")
        REFUSED = "refused", _("refused: belongs to somebody else")
        SUBSCRIBED = "subscribed", _("followed")
        UNSUBSCRIBED = "unsubscribed", _("unfollowed")

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    openid = ExactCharField("openid", max_length=OPENID_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    change = models.CharField(_("change"), max_length=16, choices=Change.choices)
    source = models.CharField(_("source"), max_length=16, blank=True, default="")
    created_at = models.DateTimeField(_("at"), auto_now_add=True)

    objects = WrittenManager()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("binding change")
        verbose_name_plural = _("binding changes")
        indexes = [models.Index(fields=["account", "openid"], name="wechat_notify_change_openid")]

    def __str__(self) -> str:
        return f"{mask_openid(self.openid)} · {self.get_change_display()}"


class BindingRequestQuerySet(models.QuerySet["BindingRequest"]):
    def open(self) -> "BindingRequestQuerySet":
        """Requests that can still be completed."""
        return self.filter(state=BindingRequest.State.WAITING, expires_at__gt=timezone.now())


class BindingRequest(models.Model):
    """One attempt of a signed-in user to bind WeChat, from the first page to its end.

    It is in the database, not in a cache or a session, because different processes may answer the
    browser that began it and WeChat's callback. ``token`` and ``browser`` are digests: who reads
    the table cannot complete another user's request.
    """

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        TAKEN = "taken", _("being answered")
        BOUND = "bound", _("bound")
        CONFLICT = "conflict", _("refused: belongs to somebody else")
        FAILED = "failed", _("failed")

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        on_delete=models.CASCADE,
        related_name="+",
    )
    source = models.CharField(_("source"), max_length=16, choices=OpenIDBinding.Source.choices)
    token = models.CharField(
        "token",
        max_length=64,
        unique=True,
        help_text=_("SHA-256 of the state or scene that WeChat hands back."),
    )
    browser = models.CharField(
        _("browser"), max_length=64, help_text=_("SHA-256 of a secret kept in the session.")
    )
    state = models.CharField(
        _("state"), max_length=12, choices=State.choices, default=State.WAITING
    )
    scope = models.CharField(_("scope"), max_length=16, blank=True, default="")
    is_restart = models.BooleanField(_("begun again by itself"), default=False)
    qr_url = models.CharField(_("content of the QR code"), max_length=512, blank=True, default="")
    next_url = models.CharField(_("goes on to"), max_length=2048, blank=True, default="")
    created_at = models.DateTimeField(_("begun at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    objects = WrittenManager.from_queryset(BindingRequestQuerySet)()

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("binding request")
        verbose_name_plural = _("binding requests")

    def __str__(self) -> str:
        return f"{name_of(self.user)} · {self.get_state_display()}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be completed."""
        return self.state == self.State.WAITING and self.expires_at > timezone.now()

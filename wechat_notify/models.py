"""The rows: who has which openid, which templates there are, what was asked, what happened.

Models know no network. What one row means stands in its docstring; the order in which rows are
written is the business of ``services`` and ``delivery``.
"""

from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .conf import DEFAULT_ACCOUNT
from .exceptions import Problem
from .types import MiniProgram
from .wechat import fields as template_fields
from .wechat import values
from .wechat.errors import describe
from .wechat.masking import mask_openid

ALIAS_LENGTH = 64
OPENID_LENGTH = 64


class OpenIDBindingQuerySet(models.QuerySet["OpenIDBinding"]):
    def reachable(self) -> "OpenIDBindingQuerySet":
        """Bindings whose person follows the account, as far as is known."""
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
    openid = models.CharField("openid", max_length=OPENID_LENGTH)
    unionid = models.CharField("unionid", max_length=OPENID_LENGTH, blank=True, default="")
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

    objects = OpenIDBindingQuerySet.as_manager()

    class Meta:
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
        return f"{self.user} · {mask_openid(self.openid)}"


class BindingChange(models.Model):
    """One thing that happened to a binding. Kept when the binding, or the user, is gone."""

    class Change(models.TextChoices):
        BOUND = "bound", _("bound")
        UNBOUND = "unbound", _("unbound")
        REFUSED = "refused", _("refused: belongs to somebody else")
        SUBSCRIBED = "subscribed", _("followed")
        UNSUBSCRIBED = "unsubscribed", _("unfollowed")

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    openid = models.CharField("openid", max_length=OPENID_LENGTH)
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

    class Meta:
        verbose_name = _("binding change")
        verbose_name_plural = _("binding changes")
        indexes = [models.Index(fields=["account", "openid"], name="wechat_notify_change_openid")]

    def __str__(self) -> str:
        return f"{mask_openid(self.openid)} · {self.get_change_display()}"


class BindingRequestQuerySet(models.QuerySet["BindingRequest"]):
    def open(self) -> "BindingRequestQuerySet":
        """Requests that can still be answered."""
        return self.filter(state=BindingRequest.State.WAITING, expires_at__gt=timezone.now())


class BindingRequest(models.Model):
    """One attempt of a signed-in user to bind WeChat, from the first page to its end.

    Kept in the database and not in a cache or a session: the browser that began it and WeChat's
    callback may be answered by different processes. ``token`` and ``browser`` are digests, so that
    nobody who reads the table can go on with somebody's request.
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

    objects = BindingRequestQuerySet.as_manager()

    class Meta:
        verbose_name = _("binding request")
        verbose_name_plural = _("binding requests")

    def __str__(self) -> str:
        return f"{self.user} · {self.get_state_display()}"

    @property
    def is_open(self) -> bool:
        """Whether it can still be answered."""
        return self.state == self.State.WAITING and self.expires_at > timezone.now()


class MessageTemplateQuerySet(models.QuerySet["MessageTemplate"]):
    def active(self) -> "MessageTemplateQuerySet":
        return self.filter(is_active=True)


class MessageTemplate(models.Model):
    """A template registered with one account.

    ``name`` is the slug that code uses; ``template_id`` is WeChat's. Synchronising never deletes:
    a template that WeChat no longer lists becomes inactive and its log stays.
    """

    account = models.CharField(
        _("account"),
        max_length=ALIAS_LENGTH,
        default=DEFAULT_ACCOUNT,
        help_text=_("The alias in the ACCOUNTS setting."),
    )
    name = models.SlugField(
        _("name"), max_length=100, db_index=False, help_text=_("The name used in code.")
    )
    # 43 characters in every sample seen; a column too short for it gave 40037 (WECHAT.md 2.1).
    template_id = models.CharField(_("template ID"), max_length=128)
    title = models.CharField(_("title"), max_length=200, blank=True, default="")
    content = models.TextField(
        _("content"), blank=True, default="", help_text=_("As in the console: 姓名:{{name1.DATA}}")
    )
    example = models.TextField(_("example"), blank=True, default="")
    url = models.CharField(_("link"), max_length=2048, blank=True, default="")
    miniprogram_appid = models.CharField(
        _("mini program appid"), max_length=64, blank=True, default=""
    )
    miniprogram_pagepath = models.CharField(
        _("mini program page"), max_length=1024, blank=True, default=""
    )
    notes = models.TextField(_("notes"), blank=True, default="")
    is_active = models.BooleanField(_("active"), default=True)
    synced_at = models.DateTimeField(_("last seen on WeChat"), null=True, blank=True)
    missing_since = models.DateTimeField(
        _("missing on WeChat since"),
        null=True,
        blank=True,
        help_text=_("Set by the sync that no longer found it and switched it off."),
    )
    content_changed_at = models.DateTimeField(
        _("content changed on WeChat"),
        null=True,
        blank=True,
        help_text=_("Set by a sync that found other content; cleared when somebody has looked."),
    )
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    pause_errcode = models.IntegerField(_("paused by errcode"), null=True, blank=True)

    objects = MessageTemplateQuerySet.as_manager()

    class Meta:
        verbose_name = _("message template")
        verbose_name_plural = _("message templates")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"], name="wechat_notify_template_account_name"
            ),
            models.UniqueConstraint(
                fields=["account", "template_id"], name="wechat_notify_template_account_id"
            ),
        ]
        permissions = [("sync_messagetemplate", "Can sync templates with WeChat")]

    def __str__(self) -> str:
        return self.title or self.name

    @property
    def fields(self) -> tuple[template_fields.Field, ...]:
        """The placeholders of ``content``, in order: name, label, type and rule of each."""
        return template_fields.parse(self.content)

    @property
    def miniprogram(self) -> MiniProgram | None:
        if not self.miniprogram_appid:
            return None
        return {"appid": self.miniprogram_appid, "pagepath": self.miniprogram_pagepath}

    def check_data(self, data: Any) -> list[Problem]:
        """Every reason why WeChat would refuse this data; an empty list is good news."""
        return values.normalise(self.fields, data)[1]

    def render(self, data: Any) -> template_fields.Card:
        """The card as people will see it: title and one row for each field that WeChat shows."""
        wire, _problems = values.normalise(self.fields, data)
        return template_fields.card(self.title, self.content, wire)


class Notification(models.Model):
    """One ``notify()`` call: what was asked, for all its recipients together."""

    class Source(models.TextChoices):
        CODE = "code", _("code")
        SIGNAL = "signal", _("model signal")
        ADMIN = "admin", _("admin")
        COMMAND = "command", _("command line")
        RESEND = "resend", _("resend")

    template = models.ForeignKey(
        MessageTemplate,
        verbose_name=_("template"),
        on_delete=models.PROTECT,
        related_name="notifications",
    )
    data = models.JSONField(
        _("data"), default=dict, blank=True, help_text=_("Shared by all recipients.")
    )
    url = models.CharField(_("link"), max_length=2048, blank=True, default="")
    miniprogram = models.JSONField(_("mini program"), null=True, blank=True)
    # NULL where no key was given: every database lets NULLs repeat under a unique constraint,
    # while conditional constraints are silently left out on MariaDB and MySQL.
    key = models.CharField(  # noqa: DJ001
        _("key"),
        max_length=200,
        null=True,
        blank=True,
        help_text=_("A second call with the same key and template sends nothing new."),
    )
    source = models.CharField(
        _("source"), max_length=16, choices=Source.choices, default=Source.CODE
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("created by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    send_at = models.DateTimeField(_("send at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    paused_at = models.DateTimeField(_("paused since"), null=True, blank=True)
    cancelled_at = models.DateTimeField(_("cancelled at"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True, db_index=True)

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(
                fields=["template", "key"], name="wechat_notify_notification_key"
            )
        ]
        permissions = [("send_notification", "Can send template messages")]

    def __str__(self) -> str:
        return f"{self.template} #{self.pk}"

    @property
    def counts(self) -> dict[str, int]:
        """How many messages are in each status right now, zeros included."""
        return SendLog.objects.filter(notification=self).counts()

    @property
    def total(self) -> int:
        return sum(self.counts.values())


class SendLogQuerySet(models.QuerySet["SendLog"]):
    def counts(self) -> dict[str, int]:
        """{status: number of rows}, every status present."""
        found = dict(self.order_by().values_list("status").annotate(n=models.Count("pk")))
        return {status: found.get(status, 0) for status in SendLog.Status.values}

    def final(self) -> "SendLogQuerySet":
        """Rows that nothing will be sent for any more."""
        return self.exclude(status__in=SendLog.OPEN)

    def waiting(self) -> "SendLogQuerySet":
        return self.filter(status=SendLog.Status.PENDING)


class SendLog(models.Model):
    """One message to one recipient: the send log and the outbox in one.

    Narrow on purpose: what all recipients share stands on the notification, ``data`` here holds
    only what differs for this one, laid over the notification's.
    """

    class Status(models.TextChoices):
        PENDING = "pending", _("waiting")
        SENDING = "sending", _("being sent")
        SENT = "sent", _("accepted by WeChat")
        DELIVERED = "delivered", _("delivered")
        UNDELIVERED = "undelivered", _("not delivered")
        FAILED = "failed", _("failed")
        UNCERTAIN = "uncertain", _("uncertain")
        SKIPPED = "skipped", _("skipped")
        EXPIRED = "expired", _("expired")
        CANCELLED = "cancelled", _("cancelled")

    OPEN = (Status.PENDING, Status.SENDING)

    LAST_STEPS = {
        Status.FAILED: _("It was tried as often as the settings allow. It can be resent."),
        Status.UNCERTAIN: _(
            "It may have arrived. Ask the person whether it came; if not, resend it."
        ),
    }
    """What to do about a message that is not tried again."""

    notification = models.ForeignKey(
        Notification,
        verbose_name=_("notification"),
        on_delete=models.PROTECT,
        related_name="logs",
        db_index=False,
    )
    # The template's account again, so that one index finds what an account has due.
    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="wechat_messages",
    )
    binding = models.ForeignKey(
        OpenIDBinding,
        verbose_name=_("binding"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="logs",
    )
    openid = models.CharField("openid", max_length=OPENID_LENGTH, blank=True, default="")
    data = models.JSONField(_("own data"), null=True, blank=True)
    status = models.CharField(
        _("status"), max_length=12, choices=Status.choices, default=Status.PENDING
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    due_at = models.DateTimeField(
        _("due at"),
        null=True,
        blank=True,
        help_text=_("Empty for a waiting message that is paused."),
    )
    claimed_at = models.DateTimeField(_("taken by a worker at"), null=True, blank=True)
    in_doubt_since = models.DateTimeField(
        _("in doubt since"),
        null=True,
        blank=True,
        help_text=_("The first attempt that may have reached WeChat without our knowing."),
    )
    errcode = models.IntegerField("errcode", null=True, blank=True)
    errmsg = models.CharField("errmsg", max_length=500, blank=True, default="")
    rid = models.CharField("rid", max_length=64, blank=True, default="")
    msgid = models.BigIntegerField("msgid", null=True, blank=True)
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    receipt_at = models.DateTimeField(_("receipt at"), null=True, blank=True)
    receipt_status = models.CharField(
        _("receipt"),
        max_length=64,
        blank=True,
        default="",
        help_text=_("WeChat's own words, such as “failed:user block”."),
    )
    resend_of = models.ForeignKey(
        "self",
        verbose_name=_("resend of"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="resends",
    )

    objects = SendLogQuerySet.as_manager()

    class Meta:
        verbose_name = _("send log")
        verbose_name_plural = _("send log")
        indexes = [
            # What is due: claims and sweeps. Not partial: MariaDB and MySQL have none.
            models.Index(fields=["status", "account", "due_at"], name="wechat_notify_log_due"),
            # Live counts of one notification, and what of it is due in order; serves as its
            # foreign key's index too.
            models.Index(
                fields=["notification", "status", "due_at"], name="wechat_notify_log_counts"
            ),
            # Receipts find their row by msgid, else by openid.
            models.Index(fields=["msgid"], name="wechat_notify_log_msgid"),
            models.Index(fields=["openid"], name="wechat_notify_log_openid"),
        ]
        permissions = [("resend_sendlog", "Can resend messages")]

    def __str__(self) -> str:
        who = self.user if self.user_id else mask_openid(self.openid)
        return f"{who} · {self.get_status_display()}"

    @cached_property
    def merged_data(self) -> dict[str, Any]:
        """The data this recipient gets: the notification's with this row's own laid over it."""
        return {**self.notification.data, **(self.data or {})}

    @property
    def explanation(self) -> str:
        """Why it stands as it does, in plain words with the errcode at the end; may be empty."""
        if self.errcode:
            info = describe(self.errcode)
            # "It is tried again by itself" is true only of a message that still waits.
            instead = self.LAST_STEPS.get(self.Status(self.status)) if info.passes else None
            return info.in_words(instead)
        if self.errcode == 0:
            return ""
        return gettext(self.errmsg) if self.errmsg else ""

    @property
    def card(self) -> template_fields.Card:
        """The card as this recipient sees it."""
        return self.notification.template.render(self.merged_data)


class Receipt(models.Model):
    """One delivery receipt as WeChat sent it, until it has found its row and after.

    Receipts come twice, before our own row has its msgid, or with MsgID 0 (WECHAT.md 4). So a
    callback only writes one of these, and they are joined to their rows in batches.
    """

    account = models.CharField(_("account"), max_length=ALIAS_LENGTH)
    openid = models.CharField("openid", max_length=OPENID_LENGTH)
    msgid = models.BigIntegerField("msgid", help_text=_("0 where WeChat told none."))
    status = models.CharField(_("receipt"), max_length=64)
    event_at = models.DateTimeField(_("sent by WeChat at"))
    received_at = models.DateTimeField(_("received at"), auto_now_add=True)
    settled_at = models.DateTimeField(
        _("settled at"),
        null=True,
        blank=True,
        db_index=True,
        help_text=_("When it found its row, or was given up."),
    )
    log = models.ForeignKey(
        SendLog,
        verbose_name=_("send log"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="receipts",
    )

    class Meta:
        verbose_name = _("receipt")
        verbose_name_plural = _("receipts")
        constraints = [
            # FromUserName and CreateTime alone collide when one person gets two receipts in one
            # second (WECHAT.md 5).
            models.UniqueConstraint(
                fields=["account", "openid", "event_at", "msgid"],
                name="wechat_notify_receipt_once",
            )
        ]

    def __str__(self) -> str:
        return f"{mask_openid(self.openid)} · {self.status}"

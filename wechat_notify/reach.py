"""Whether the person of a row in the send log could be reached if it were sent again now."""

from typing import Any

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, TextChoices, Value, When

from .models import OpenIDBinding, SendLog, SendLogQuerySet


class Reach(TextChoices):
    """How a row's person can be reached, or why not."""

    BOUND = "bound", "on the row's binding"
    OPENID = "openid", "on an openid that belongs to no user here"
    BOUND_SINCE = "bound_since", "on what the user has bound since"
    UNFOLLOWED = "unfollowed", "the row's binding does not follow"
    BOUND_UNFOLLOWED = "bound_unfollowed", "nothing that the user has bound since follows"
    NOT_BOUND = "not_bound", "the user has bound nothing"
    UNBOUND = "unbound", "the row's openid is no longer the user's, who has bound nothing since"
    OTHER_ACCOUNT = "other_account", "the row's binding is on another account"


REACHED = (Reach.BOUND, Reach.OPENID, Reach.BOUND_SINCE)
NOT_FOLLOWING = (Reach.UNFOLLOWED, Reach.BOUND_UNFOLLOWED)


def with_reach(logs: SendLogQuerySet) -> SendLogQuerySet:
    """``logs`` with a ``reach`` each: what ``resend()`` would make of its recipient."""
    bound = OpenIDBinding.objects.filter(
        ~written_beside(OuterRef(OuterRef("notification")), OuterRef(OuterRef("pk")), "openid"),
        account=OuterRef("account"),
        user=OuterRef("user"),
    )
    its_own = OpenIDBinding.objects.filter(
        account=OuterRef("account"), user=OuterRef("user"), openid=OuterRef("openid")
    )
    before = SendLog.objects.filter(
        ~Exists(its_own),
        notification=OuterRef("notification"),
        user=OuterRef("user"),
        pk__lt=OuterRef("pk"),
    )
    since = Case(
        When(Exists(its_own.filter(subscribed=True)), then=Value(Reach.BOUND)),
        When(Exists(its_own), then=Value(Reach.UNFOLLOWED)),
        # Whoever had two openids and has bound a third gets the message there once.
        When(Exists(before), then=Value(Reach.UNBOUND)),
        When(Exists(bound.filter(subscribed=True)), then=Value(Reach.BOUND_SINCE)),
        When(Exists(bound), then=Value(Reach.BOUND_UNFOLLOWED)),
        When(~Q(openid=""), then=Value(Reach.UNBOUND)),
        default=Value(Reach.NOT_BOUND),
    )
    own = Q(binding__user=F("user")) | Q(binding__isnull=False, user__isnull=True)
    here = own & Q(binding__account=F("account"))
    return logs.annotate(
        reach=Case(
            When(here, binding__subscribed=True, then=Value(Reach.BOUND)),
            When(here, then=Value(Reach.UNFOLLOWED)),
            When(own, then=Value(Reach.OTHER_ACCOUNT)),
            When(~Q(openid=""), user__isnull=True, then=Value(Reach.OPENID)),
            default=since,
            output_field=CharField(),
        )
    )


def written_beside(notification: Any, pk: Any, openid: str) -> Exists:
    """Whether another row than ``pk`` of this notification has the openid of that field."""
    rows = SendLog.objects.filter(notification=notification, openid=OuterRef(openid))
    return Exists(rows.exclude(pk=pk))

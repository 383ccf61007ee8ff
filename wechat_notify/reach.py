"""Whether the person of a row in the send log could be reached if it were sent again now."""

from django.db.models import Case, CharField, Exists, F, OuterRef, Q, TextChoices, Value, When

from .models import OpenIDBinding, SendLogQuerySet


class Reach(TextChoices):
    """How a row's person can be reached, or why not."""

    BOUND = "bound", "on the row's binding"
    OPENID = "openid", "on an openid that belongs to no user here"
    BOUND_SINCE = "bound_since", "on what a user without an openid has bound since"
    UNFOLLOWED = "unfollowed", "the row's binding does not follow"
    BOUND_UNFOLLOWED = "bound_unfollowed", "nothing that the user has bound since follows"
    NOT_BOUND = "not_bound", "the user has bound nothing"
    OTHER_ACCOUNT = "other_account", "the row's binding is on another account"


REACHED = (Reach.BOUND, Reach.OPENID, Reach.BOUND_SINCE)
NOT_FOLLOWING = (Reach.UNFOLLOWED, Reach.BOUND_UNFOLLOWED)


def with_reach(logs: SendLogQuerySet) -> SendLogQuerySet:
    """``logs`` with a ``reach`` each: what ``resend()`` would make of its recipient."""
    bound = OpenIDBinding.objects.filter(account=OuterRef("account"), user=OuterRef("user"))
    since = Case(
        When(Exists(bound.filter(subscribed=True)), then=Value(Reach.BOUND_SINCE)),
        When(Exists(bound), then=Value(Reach.BOUND_UNFOLLOWED)),
        default=Value(Reach.NOT_BOUND),
    )
    here = Q(binding__account=F("account"))
    return logs.annotate(
        reach=Case(
            When(here, binding__subscribed=True, then=Value(Reach.BOUND)),
            When(here, then=Value(Reach.UNFOLLOWED)),
            When(binding__isnull=False, then=Value(Reach.OTHER_ACCOUNT)),
            When(~Q(openid=""), then=Value(Reach.OPENID)),
            default=since,
            output_field=CharField(),
        )
    )

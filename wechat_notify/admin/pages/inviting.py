"""Inviting people to bind WeChat: a poster for everybody, and cards for people by name.

A card is a link that binds without signing in, so the links are made by a POST, which the admin's
log keeps. The page of the cards has an address of its own, signed for the member of staff who
asked: it can be loaded again, printed and paged for a day.
"""

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core import signing
from django.core.paginator import Page as Paged
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from ...binding import drawing, invitations
from ...models import OpenIDBinding
from ...names import account_name
from ...views.binding_link import printed_url
from ..base import BaseAdmin, Button, page
from ..parts.actions import list_action
from ..parts.confirmation import Confirmation, ask, is_confirmed
from ..parts.frame import admin_page
from ..parts.links import object_url
from ..parts.paging import CappedPaginator
from ..parts.people import shown_name
from ..parts.remedies import MOST_CHOSEN, leads_to_binding, to_invite, to_poster
from ..permissions import allowed_accounts, may_invite
from .invitees import Invitees, Whom

NAMED = 20
# Twelve sheets of A4. Drawing one code takes some milliseconds.
CARDS = 96
GOOD_FOR = timedelta(days=1)
SALT = "wechat_notify.admin.invitations"

TITLE = gettext_lazy("Invite to bind WeChat")


class InvitingMixin(BaseAdmin):
    """The pages, below the list of bindings."""

    def list_buttons(self, request: HttpRequest) -> list[Button]:
        return super().list_buttons(request) + to_poster(self.admin_site, request)

    # -- everybody ----------------------------------------------------------------------------

    @page("poster/", "poster")
    def _poster_view(self, request: HttpRequest) -> HttpResponse:
        """The poster of ``?account=``, or of the first account that this user may work with.

        It gives nothing away: the page it leads to asks people to sign in.
        """
        aliases = allowed_accounts(self.admin_site, request)
        account = request.GET.get("account") or next(iter(aliases), "")
        self._require_account(request, account)
        url = printed_url(request, reverse("wechat_notify:bind", args=[account]))
        others = [
            Button(account_name(alias), f"?{urlencode({'account': alias})}")
            for alias in aliases
            if alias != account
        ]
        context = {"account": account, "url": url, "code": _code(url), "others": others}
        return admin_page(self, request, "poster.html", title=_("Poster"), **context)

    # -- by name ------------------------------------------------------------------------------

    def has_invite_permission(self, request: HttpRequest) -> bool:
        """Called by Django for the action."""
        return may_invite(self.admin_site, request)

    @list_action(gettext_lazy("Invite to follow the account again"), permission="invite")
    def invite(
        self, request: HttpRequest, queryset: QuerySet[OpenIDBinding]
    ) -> HttpResponseRedirect:
        """The page that asks, about the people of these bindings."""
        back = HttpResponseRedirect(request.get_full_path())
        chosen = set(queryset.order_by().values_list("account", "user_id")[: MOST_CHOSEN + 1])
        accounts = {account for account, _user in chosen}
        if len(chosen) > MOST_CHOSEN or len(accounts) != 1:
            said = _("Choose %(most)d people at most, all of one account.")
            self.message_user(request, said % {"most": MOST_CHOSEN}, messages.WARNING)
            return back
        users = sorted(user for _account, user in chosen)
        ways = to_invite(self.admin_site, request, accounts.pop(), users)
        return HttpResponseRedirect(ways[0].url) if ways else back

    @page("invite/<str:account>/", "invite")
    def _invite_view(self, request: HttpRequest, account: str) -> HttpResponse:
        self._require_account(request, account, allowed=may_invite(self.admin_site, request))
        whom = Whom.of(request.GET)
        invitees = Invitees(self.admin_site, request, account, whom)
        if not is_confirmed(request) or not invitees.users.exists():
            return ask(self, request, self._question(account, invitees))
        self._log(request, account, invitees)
        made = _made(request, account, whom)
        return HttpResponseRedirect(f"{self.url('invitations', account)}?made={made}")

    @page("invitations/<str:account>/", "invitations")
    def _invitations_view(self, request: HttpRequest, account: str) -> HttpResponse:
        self._require_account(request, account, allowed=may_invite(self.admin_site, request))
        whom = _whom(request, account)
        if whom is None:
            said = _("These invitations cannot be shown any more. Make them again.")
            self.message_user(request, said, messages.WARNING)
            return HttpResponseRedirect(self.url("changelist"))
        invitees = Invitees(self.admin_site, request, account, whom)
        paginator = CappedPaginator(invitees.users, CARDS)
        shown = paginator.get_page(request.GET.get("page"))
        return admin_page(
            self,
            request,
            "invitations.html",
            title=_("Invitations"),
            account=account,
            days=invitations.LIFETIME.days,
            cards=_cards(request, account, shown),
            good_until=timezone.now() + invitations.LIFETIME,
            shown=shown,
            pages_query=f"{urlencode({'made': request.GET['made']})}&",
        )

    def _require_account(self, request: HttpRequest, account: str, *, allowed: bool = True) -> None:
        """Raises ``PermissionDenied``, or ``Http404`` for an account that is not this user's, and
        where the site has no pages for binding."""
        self.require(request, allowed=allowed)
        if not leads_to_binding(self.admin_site, request, account):
            raise Http404

    def _question(self, account: str, invitees: Invitees) -> Confirmation:
        count = invitees.users.count()
        each = ngettext(
            "%d person gets a link of their own, with its QR code.",
            "%d people get a link of their own each, with its QR code.",
            count,
        )
        button = ngettext("Make %d invitation", "Make %d invitations", count)
        return Confirmation(
            title=_("%(title)s: %(account)s") % {"title": TITLE, "account": account_name(account)},
            button=button % count,
            back=self._back(invitees),
            facts=[each % count, _what_it_does(), *_already(invitees)] if count else [],
            obstacle="" if count else _nobody(invitees),
            items_title=_("Who is invited") if count else "",
            items=_named(invitees.users, count),
        )

    def _back(self, invitees: Invitees) -> str:
        if invitees.source is None:
            return self.url("changelist")
        return object_url(self.admin_site, invitees.source)

    def _log(self, request: HttpRequest, account: str, invitees: Invitees) -> None:
        """In the history of what they are found by, or else of each user who was chosen."""
        names = {"account": account_name(account), "count": invitees.users.count()}
        if invitees.source is not None:
            said = _("Invited %(count)d people to bind WeChat on %(account)s.") % names
            self.log_change(request, invitees.source, said)
            return
        for user in invitees.users:
            self.log_change(request, user, _("Invited to bind WeChat on %(account)s.") % names)


def _what_it_does() -> str:
    text = _(
        "Whoever opens such a link binds their WeChat to the person it is for, without signing in. "
        "It is good once, for %(days)d days. Give each to its person only."
    )
    return text % {"days": invitations.LIFETIME.days}


def _already(invitees: Invitees) -> list[str]:
    if not (reached := invitees.reached):
        return []
    text = ngettext(
        "%d other can be reached by now, and needs no invitation.",
        "%d others can be reached by now, and need no invitation.",
        reached,
    )
    return [text % reached]


def _nobody(invitees: Invitees) -> str:
    if invitees.reached:
        return _("All of them have bound WeChat by now, and follow the account.")
    return _("Nobody whom you may see can be invited here.")


def _named(users: QuerySet[Any], count: int) -> list[SafeString]:
    named = [format_html("{}", shown_name(user)) for user in users[:NAMED]]
    if count > len(named):
        rest = count - len(named)
        more = ngettext("and %(counter)s more", "and %(counter)s more", rest)
        named.append(format_html("{}", more % {"counter": rest}))
    return named


def _cards(request: HttpRequest, account: str, shown: "Paged[Any]") -> list[dict[str, Any]]:
    users = list(shown.object_list)
    tokens = invitations.tokens(users, account)
    cards = []
    for user in users:
        path = reverse("wechat_notify:invited", args=[account, tokens[user.pk]])
        url = printed_url(request, path)
        cards.append({"user": user, "url": url, "code": _code(url)})
    return cards


def _code(url: str) -> SafeString:
    """The address as a QR code; "" where the site lacks the extra for it."""
    # The element is made of numbers alone: the address is in it as dots.
    return mark_safe(drawing.svg(url)) if drawing.can_draw() else SafeString("")  # noqa: S308


def _made(request: HttpRequest, account: str, whom: Whom) -> str:
    """What the address of the cards holds: whom they invite, signed for this member of staff."""
    value = [str(request.user.pk), account, list(whom.users), whom.notification, whom.recipients]
    return signing.dumps(value, salt=SALT, compress=True)


def _whom(request: HttpRequest, account: str) -> Whom | None:
    """What ``_made`` returned to this member of staff for this account, during a day."""
    try:
        value = signing.loads(request.GET.get("made", ""), salt=SALT, max_age=GOOD_FOR)
    except signing.BadSignature:
        return None
    by, on, users, notification, recipients = value
    if (by, on) != (str(request.user.pk), account):
        return None
    return Whom(tuple(users), notification, recipients)

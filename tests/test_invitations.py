"""What an invitation says, to whom, how long, and how often."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core import signing

from tests import factories
from wechat_notify.binding import invitations
from wechat_notify.models import OpenIDBinding
from wechat_notify.services import bind, unbind

pytestmark = pytest.mark.django_db

OPENID = factories.openid(7)


@pytest.fixture
def alice() -> Any:
    return factories.make_user("alice")


def token_for(user: Any, account: str = "default") -> str:
    return invitations.tokens([user], account)[user.pk]


def is_open(token: str, account: str = "default") -> bool:
    found = invitations.read(account, token)
    return found is not None and found.is_open


def test_it_names_its_user(alice: Any) -> None:
    """And is open while nothing is bound. It fits into an address."""
    token = token_for(alice)
    found = invitations.read("default", token)
    assert found is not None
    assert (found.user, found.is_open) == (alice, True)
    assert len(token) < 100
    assert set("/?#%&+ ").isdisjoint(token)


def test_many_take_one_query(django_assert_num_queries: Any) -> None:
    """However many people are invited at once."""
    users = [binding.user for binding in factories.make_bindings(30)]
    with django_assert_num_queries(1):
        assert len(set(invitations.tokens(users, "default").values())) == 30


@pytest.mark.parametrize("at", [0, 5, -1], ids=["user", "middle", "signature"])
def test_a_changed_one_is_none(alice: Any, at: int) -> None:
    """Whichever of its characters is another."""
    token = token_for(alice)
    letters = list(token)
    letters[at] = "A" if letters[at] != "A" else "B"
    assert invitations.read("default", "".join(letters)) is None
    assert invitations.read("default", token[:-4]) is None
    assert invitations.read("default", "") is None


def test_another_accounts_is_none(alice: Any) -> None:
    """It says nothing to another account of the same site."""
    assert invitations.read("other", token_for(alice)) is None


def test_what_was_signed_for_another_purpose_is_none(alice: Any) -> None:
    """A value of the same form, signed by the same site with another salt."""
    value = token_for(alice).split(".")[0]
    forged = signing.TimestampSigner(salt="wechat_notify.start", sep=".").sign(value)
    assert invitations.read("default", forged) is None


def test_it_ends(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good until its last second, and not a second longer."""
    token, made = token_for(alice), signing.time.time()
    lasts = invitations.LIFETIME.total_seconds()
    monkeypatch.setattr(signing.time, "time", lambda: made + lasts - 2)
    assert is_open(token)
    monkeypatch.setattr(signing.time, "time", lambda: made + lasts + 2)
    assert invitations.read("default", token) is None


def test_who_may_not_sign_in_is_not_invited(alice: Any) -> None:
    """Neither an inactive user nor one who is gone."""
    token = token_for(alice)
    get_user_model().objects.update(is_active=False)
    assert invitations.read("default", token) is None
    get_user_model().objects.all().delete()
    assert invitations.read("default", token) is None


def test_a_binding_ends_it_for_good(alice: Any) -> None:
    """By whatever way it came; and when it is undone, the old link does not work again."""
    token = token_for(alice)
    bind(alice, OPENID, subscribed=False)
    assert not is_open(token)
    unbind(alice)
    assert not is_open(token)
    assert is_open(token_for(alice))


def test_a_binding_elsewhere_does_not_matter(alice: Any) -> None:
    """On another account, or of another person."""
    token = token_for(alice)
    bind(alice, OPENID, account="other")
    bind(factories.make_user("bob"), OPENID)
    assert is_open(token)


def test_who_has_unfollowed_can_be_invited_until_they_follow(alice: Any) -> None:
    """The binding that is there is no obstacle; following the account ends the invitation."""
    bind(alice, OPENID, subscribed=False)
    token = token_for(alice)
    assert is_open(token)
    OpenIDBinding.objects.update(subscribed=True)
    assert not is_open(token)

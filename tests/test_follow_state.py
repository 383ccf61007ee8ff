"""Who follows: newer news wins, every change is written down and told."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.db import transaction

from tests.factories import make_binding, make_bindings, make_user, openid
from wechat_notify.backends.wechat import WeChatBackend
from wechat_notify.binding.follow_state import recheck, subscribed, unsubscribed
from wechat_notify.binding.following import note
from wechat_notify.exceptions import ConfigurationError, WeChatError
from wechat_notify.models import BindingChange, OpenIDBinding
from wechat_notify.sandbox.server import Sandbox
from wechat_notify.sending.aftermath import mark_unreachable
from wechat_notify.signals import binding_changed
from wechat_notify.types import Follower

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
SECOND = timedelta(seconds=1)


@pytest.fixture
def told() -> Iterator[list[tuple[str, str]]]:
    """What binding_changed has said: (openid, change)."""
    heard: list[tuple[str, str]] = []

    def receiver(sender: Any, binding: OpenIDBinding, change: str, **kwargs: Any) -> None:
        assert binding.subscribed is (change == "subscribed")
        heard.append((binding.openid, change))

    binding_changed.connect(receiver)
    yield heard
    binding_changed.disconnect(receiver)


def state(binding: OpenIDBinding) -> tuple[bool, datetime | None]:
    binding.refresh_from_db()
    return binding.subscribed, binding.follow_changed_at


def changes() -> list[tuple[str, str, str]]:
    rows = BindingChange.objects.order_by("pk")
    return list(rows.values_list("openid", "change", "source"))


def test_leaving_and_coming_back(told: list[Any]) -> None:
    """Both are written down with their time, recorded and told."""
    binding = make_binding()
    unsubscribed("default", binding.openid, happened_at=NOON)
    assert state(binding) == (False, NOON)
    subscribed("default", binding.openid, happened_at=NOON + SECOND)
    assert state(binding)[0] is True
    assert told == [(binding.openid, "unsubscribed"), (binding.openid, "subscribed")]
    assert changes() == [
        (binding.openid, "unsubscribed", "event"),
        (binding.openid, "subscribed", "event"),
    ]
    assert BindingChange.objects.latest("pk").user == binding.user


def test_older_news_changes_nothing(told: list[Any]) -> None:
    """A late unsubscribe does not undo a newer subscribe, nor the other way round."""
    binding = make_binding(subscribed=False)
    subscribed("default", binding.openid, happened_at=NOON)
    unsubscribed("default", binding.openid, happened_at=NOON - SECOND)
    assert state(binding)[0] is True
    unsubscribed("default", binding.openid, happened_at=NOON + SECOND)
    subscribed("default", binding.openid, happened_at=NOON)
    assert state(binding)[0] is False
    assert [change for _, change in told] == ["subscribed", "unsubscribed"]


@pytest.mark.parametrize("order", [1, -1])
def test_within_one_second_coming_wins(order: int) -> None:
    """CreateTime cannot tell which was later; a follower taken for one is the harmless mistake."""
    binding = make_binding()
    for tell in (unsubscribed, subscribed)[::order]:
        tell("default", binding.openid, happened_at=NOON)
    assert state(binding)[0] is True


def test_news_that_confirms_moves_the_time_only(told: list[Any]) -> None:
    """Nothing changed, so nothing is recorded; but what is older than this is old now."""
    binding = make_binding()
    subscribed("default", binding.openid, happened_at=NOON)
    unsubscribed("default", binding.openid, happened_at=NOON - SECOND)
    assert state(binding)[0] is True
    assert (told, changes()) == ([], [])


def test_the_same_news_twice_is_recorded_once(told: list[Any]) -> None:
    """A redelivered event finds everything as it says."""
    binding = make_binding()
    for _ in range(2):
        unsubscribed("default", binding.openid, happened_at=NOON)
    assert len(told) == len(changes()) == 1


def test_strangers_and_other_accounts_are_left_alone() -> None:
    """An openid means nothing on another account."""
    binding = make_binding()
    unsubscribed("other", binding.openid, happened_at=NOON)
    unsubscribed("default", openid(99), happened_at=NOON)
    assert state(binding) == (True, None)
    assert changes() == []


def test_a_refused_message_marks_and_a_follow_heals(told: list[Any]) -> None:
    """The errcode stands there as long as it is the reason."""
    binding = make_binding()
    mark_unreachable("default", [binding.openid], 43004, known_at=NOON)
    assert state(binding) == (False, NOON)
    assert binding.unreachable_errcode == 43004
    subscribed("default", binding.openid, happened_at=NOON + SECOND)
    binding.refresh_from_db()
    assert (binding.subscribed, binding.unreachable_errcode) == (True, None)
    assert [source for _, _, source in changes()] == ["send", "event"]


def test_nobody_is_told_of_what_is_rolled_back(told: list[Any]) -> None:
    """Signals wait for the commit."""
    binding = make_binding()
    with transaction.atomic():
        unsubscribed("default", binding.openid, happened_at=NOON)
        transaction.set_rollback(True)
    assert told == []
    assert state(binding)[0] is True


def test_many_at_once_in_a_constant_number_of_queries(django_assert_num_queries: Any) -> None:
    """Some changed, some not: the same few statements."""
    openids = [binding.openid for binding in make_bindings(50)]
    with django_assert_num_queries(6):
        assert len(note("default", openids[:1], **unfollowed(NOON))) == 1
    with django_assert_num_queries(6):
        assert len(note("default", openids, **unfollowed(NOON + SECOND))) == 49
    with django_assert_num_queries(0):
        assert note("default", [], **unfollowed(NOON)) == []


def unfollowed(at: datetime) -> dict[str, Any]:
    return {"subscribed": False, "known_at": at, "source": "send"}


# Asking WeChat


@pytest.fixture
def people(wechat: Sandbox) -> list[OpenIDBinding]:
    """Three bindings: a follower marked as gone, one who has gone, and a plain follower."""
    wechat.account.any_openid = False
    user = make_user()
    lost = make_binding(user, 1, subscribed=False, unreachable_errcode=43004)
    gone, there = make_binding(user, 2), make_binding(user, 3)
    for binding in (lost, there):
        wechat.follow(binding.openid)
    wechat.follow(gone.openid)
    wechat.unfollow(gone.openid)
    return [lost, gone, there]


def test_recheck_heals_and_marks(people: list[OpenIDBinding]) -> None:
    """Wrongly marked ones follow again, those who left do not."""
    report = recheck(people)
    assert (report.checked, report.subscribed, report.unsubscribed) == (3, 1, 1)
    assert [state(binding)[0] for binding in people] == [True, False, True]
    assert people[0].unreachable_errcode is None
    assert {source for _, _, source in changes()} == {"sync"}


def test_an_unknown_openid_does_not_spoil_the_rest(people: list[OpenIDBinding]) -> None:
    """WeChat refuses the whole list with 40003; the culprit is found and marked."""
    stranger = make_binding(people[0].user, 77)
    report = recheck([*people, stranger])
    assert (report.checked, report.unsubscribed) == (4, 2)
    stranger.refresh_from_db()
    assert (stranger.subscribed, stranger.unreachable_errcode) == (False, 40003)
    assert [state(binding)[0] for binding in people] == [True, False, True]


def test_a_hundred_at_a_time(wechat: Sandbox) -> None:
    """WeChat takes no more in one call."""
    bindings = make_bindings(250)
    assert recheck(bindings).checked == 250
    assert wechat.calls["/cgi-bin/user/info/batchget"] == 3


def test_other_errors_are_the_callers(people: list[OpenIDBinding], wechat: Sandbox) -> None:
    """Nothing is marked because WeChat has no time."""
    wechat.fail(48001, path="/cgi-bin/user/info/batchget")
    with pytest.raises(WeChatError):
        recheck(people)
    assert changes() == []


def test_a_backend_that_knows_nobody_says_so() -> None:
    """As a configuration error that names the account."""
    with pytest.raises(ConfigurationError, match="default"):
        recheck([make_binding()])


class LeavingMeanwhile(WeChatBackend):
    """Everybody who is asked about leaves before the answer is read."""

    def get_users(self, openids: Sequence[str]) -> list[Follower]:
        answer = super().get_users(openids)
        for who in openids:
            unsubscribed("default", who, happened_at=datetime.now(timezone.utc) + SECOND)
        return answer


def test_newer_news_than_the_question_wins(
    people: list[OpenIDBinding], configure: Callable[..., None]
) -> None:
    """What an event says while WeChat is being asked is newer than the answer."""
    configure(default={"BACKEND": f"{__name__}.LeavingMeanwhile"})
    lost = people[0]
    recheck([lost])
    assert state(lost)[0] is False

"""When an account rests, until when, and who may try whether it can go on."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from django.core.cache import caches
from django.utils import timezone as django_timezone

from tests.caches import cache_contents
from wechat_notify.sending.breaker import BEIJING, Breaker

NOON = datetime(2026, 11, 23, 4, 0, tzinfo=timezone.utc)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A clock that a test sets by hand."""

    class Clock:
        now = NOON

        def advance(self, **passed: float) -> None:
            self.now += timedelta(**passed)

    clock = Clock()
    monkeypatch.setattr(django_timezone, "now", lambda: clock.now)
    return clock


def test_an_account_that_was_never_refused_sends_as_much_as_it_likes() -> None:
    """No rest, no limit."""
    assert Breaker("default").rest() is None
    assert Breaker("default").allowance() is None


@pytest.mark.parametrize("hour", [0, 15, 16, 23])
def test_a_daily_quota_rests_until_midnight_in_beijing(clock: Any, hour: int) -> None:
    """Whatever the hour, the next Beijing midnight, and never a past one."""
    clock.now = NOON.replace(hour=hour)
    until = Breaker("default").trip(45009, "reach max api daily quota limit").until
    there = until.astimezone(BEIJING)
    assert (there.hour, there.minute, there.second) == (0, 0, 0)
    assert timedelta(0) < until - clock.now <= timedelta(days=1)


def test_a_quota_still_used_up_at_midnight_is_probed(clock: Any) -> None:
    """A reset that comes late, or a clock that is fast, costs minutes and not another day."""
    breaker = Breaker("default")
    clock.now = breaker.trip(45009, "").until
    waits = []
    for _ in range(6):
        rest = breaker.trip(45009, "")
        assert not rest.by_hand
        waits.append((rest.until - clock.now).total_seconds() / 60)
        clock.now = rest.until
    assert waits == [2, 4, 8, 16, 30, 30]


def test_a_minute_quota_rests_for_a_minute(clock: Any) -> None:
    """45011: the next minute is enough."""
    assert Breaker("default").trip(45011, "").until == NOON + timedelta(minutes=1)


def test_what_somebody_has_to_mend_is_probed_ever_less_often(clock: Any) -> None:
    """One minute, two, four … half an hour; since is the first refusal."""
    breaker = Breaker("default")
    waits = []
    for _ in range(8):
        rest = breaker.trip(40164, "not in whitelist", endpoint="token")
        assert rest.by_hand
        assert rest.since == NOON
        waits.append((rest.until - clock.now).total_seconds() / 60)
        clock.now = rest.until
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]


def test_many_workers_with_the_same_refusal_trip_it_once(clock: Any) -> None:
    """Thirty-two requests in flight bring thirty-two refusals and one rest."""
    first = Breaker("default").trip(40164, "")
    clock.advance(seconds=1)
    assert Breaker("default").trip(40164, "") == first


def test_another_reason_starts_its_own_rest(clock: Any) -> None:
    """A frozen account after a used-up minute is new news."""
    Breaker("default").trip(45011, "")
    clock.advance(seconds=1)
    rest = Breaker("default").trip(50007, "")
    assert (rest.errcode, rest.since, rest.trips) == (50007, clock.now, 1)


def test_at_rest_nothing_then_one_probe_at_a_time(clock: Any) -> None:
    """After the moment one worker tries one message; the others wait for what it finds."""
    breaker = Breaker("default")
    breaker.trip(45011, "")
    assert breaker.allowance() == 0
    clock.advance(minutes=1)
    assert breaker.allowance() == 1
    assert Breaker("default").allowance() == 0
    breaker.release_probe()
    assert Breaker("default").allowance() == 1


def test_cleared_it_sends_again(clock: Any) -> None:
    """By a person or by a probe that succeeded."""
    breaker = Breaker("default")
    breaker.trip(48001, "")
    breaker.clear()
    assert breaker.rest() is None
    assert breaker.allowance() is None


def test_accounts_rest_apart(clock: Any) -> None:
    """One account's frozen secret is not the other's."""
    Breaker("default").trip(40243, "", endpoint="token")
    assert Breaker("other").rest() is None


def test_a_rest_explains_itself(clock: Any) -> None:
    """Cause and next step in plain words; a token endpoint's 40001 is a wrong secret."""
    info = Breaker("default").trip(40001, "invalid credential", endpoint="token").info
    assert "secret" in str(info.cause)
    assert str(info.next_step)


def test_what_another_program_left_under_the_key_is_not_a_rest() -> None:
    """A cache is shared property."""
    breaker = Breaker("default")
    breaker.trip(45009, "")
    (key,) = cache_contents()
    for found in ("text", {"not": "ours"}, {"since": 1, "until": 2}):
        caches["default"].set(key, found)
        assert breaker.rest() is None


def test_a_rest_can_be_kept_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some sites let their cache keep nothing else."""
    cache = caches["default"]
    keep, look = cache.set, cache.get
    monkeypatch.setattr(cache, "set", lambda key, value, *more: keep(key, json.dumps(value), *more))
    monkeypatch.setattr(cache, "get", lambda key: json.loads(look(key) or "null"))
    rest = Breaker("default").trip(40164, "not in whitelist", endpoint="token")
    assert Breaker("default").rest() == rest

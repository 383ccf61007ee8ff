"""RATE across workers: a window's count is never exceeded, and unused grants come back."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st

from wechat_notify.conf import Rate
from wechat_notify.sending.rate import RateLimiter


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of day, in a list that a test changes."""
    now = [1_000_000.25]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def limiter(count: int = 10, seconds: int = 1) -> RateLimiter:
    return RateLimiter("default", Rate(count, seconds))


def test_a_window_grants_its_count_and_no_more(clock: list[float]) -> None:
    """All workers draw from the same window."""
    assert limiter().take(6) == 6
    assert limiter().take(6) == 4
    assert limiter().take(6) == 0


def test_a_window_slides(clock: list[float]) -> None:
    """No second, wherever it begins, has more than its count: 99 at its end, then not 100 more."""
    mine = limiter(100)
    clock[0] = 1_000_000.99
    assert mine.take(99) == 99
    clock[0] = 1_000_001.01
    assert mine.take(100) == 1
    assert mine.take(100) == 0
    clock[0] = 1_000_001.98
    assert mine.take(100) == 0
    clock[0] = 1_000_002.05
    assert mine.take(100) == 99


@given(st.lists(st.tuples(st.integers(0, 70), st.integers(1, 30)), max_size=40))
def test_no_window_ever_has_more_than_its_count(asked: list[tuple[int, int]]) -> None:
    """However workers ask, in steps of a hundredth of the window."""
    cache.clear()
    now = 5_000_000.0
    granted: list[tuple[float, int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "time", lambda: now)
        for steps, wanted in asked:
            now += steps / 100
            granted.append((now, limiter(20).take(wanted)))
    for start, _count in granted:
        inside = sum(count for moment, count in granted if start <= moment < start + 1)
        assert inside <= 20


def test_seconds_left_leads_to_a_moment_when_something_is_free(clock: list[float]) -> None:
    """Whoever waits that long, again and again, gets the whole count once a window."""
    mine = limiter()
    assert mine.take(20) == 10
    waited = 0.0
    while not (granted := mine.take(20)):
        waited += mine.seconds_left() + 0.001
        clock[0] += mine.seconds_left() + 0.001
    assert granted == 10
    assert 0.9 < waited < 1.3


def test_what_was_granted_and_not_used_comes_back(clock: list[float]) -> None:
    """A claim that found fewer rows than granted leaves the rest to others."""
    mine = limiter()
    assert mine.take(10) == 10
    mine.give_back(7)
    mine.give_back(0)
    assert limiter().take(10) == 7


def test_giving_back_after_the_window_harms_nothing(clock: list[float]) -> None:
    """The key is gone and stays gone."""
    mine = limiter()
    mine.take(10)
    clock[0] += 2
    mine.give_back(5)
    assert mine.take(20) == 10


def test_an_evicted_key_counts_from_there(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache under pressure may forget between add and incr; the window is then started again."""
    monkeypatch.setattr(cache, "add", lambda *args, **kwargs: False)
    assert limiter().take(6) == 6
    assert limiter().take(6) == 4


@pytest.mark.parametrize("unused", [0, 2])
def test_a_cache_that_counts_by_setting(
    clock: list[float], settings: Any, tmp_path: Path, unused: int
) -> None:
    """Django's file and database caches forget a count after five minutes, if they may."""
    path = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"default": {"BACKEND": path, "LOCATION": str(tmp_path)}}
    mine = limiter(10, seconds=3_600)
    assert mine.take(7) == 7
    mine.give_back(unused)
    clock[0] += 20 * 60
    assert limiter(10, seconds=3_600).take(10) == 3 + unused
    clock[0] += 20 * 60
    assert limiter(10, seconds=3_600).take(10) == 0
    clock[0] += 30 * 60
    assert limiter(10, seconds=3_600).take(10) == 7 - unused


def test_accounts_count_apart(clock: list[float]) -> None:
    """Each account has its own rate."""
    assert limiter().take(10) == 10
    assert RateLimiter("other", Rate(10, 1)).take(10) == 10


def test_threads_never_get_more_than_the_window_has(clock: list[float]) -> None:
    """Eight threads, a hundred grabs each, one window of 250."""
    granted: list[int] = []
    # An hour: the clock stands still here, but not the one by which the cache forgets a window.
    shared: Any = limiter(250, seconds=3_600)

    def grab() -> None:
        granted.extend(shared.take(1) for _ in range(100))

    threads = [threading.Thread(target=grab) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(granted) == 250

"""One token for everybody, never a loop, never a handful of calls too many."""

import functools
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.cache.backends.filebased import FileBasedCache

from tests.token_store import (
    APP_ID,
    PREFIX,
    UNREACHABLE,
    Endpoint,
    RememberingCache,
    new_store_on,
)
from wechat_notify.exceptions import RefusedTokenError, TokenError, TransportError
from wechat_notify.wechat.errors import token_error
from wechat_notify.wechat.tokens import Pace, TokenStore


@pytest.fixture
def cache() -> RememberingCache:
    return RememberingCache(uuid.uuid4().hex)


@pytest.fixture
def new_store(cache: RememberingCache) -> Callable[..., TokenStore]:
    """Makes stores on one cache: each stands for a process."""
    return functools.partial(new_store_on, cache)


def test_token_is_fetched_once(new_store: Callable[..., TokenStore]) -> None:
    """A second call, in this process or another one, uses the token of the first."""
    endpoint = Endpoint("T1", "T2")
    store = new_store(endpoint)
    assert [store.get(), store.get(), new_store(endpoint).get()] == ["T1", "T1", "T1"]
    assert endpoint.calls == [False]


def test_accounts_and_modes_are_kept_apart(new_store: Callable[..., TokenStore]) -> None:
    """Another app id and another mode have tokens of their own."""
    assert new_store(Endpoint("T1")).get() == "T1"
    assert new_store(Endpoint("T2"), app_id="wxother").get() == "T2"
    assert new_store(Endpoint("T3"), mode="classic").get() == "T3"


@pytest.mark.parametrize(
    ("expires_in", "stored"), [(7200, 6900), (300, 150), (600, 300), (10, 5), (1, 1), (-5, 1)]
)
def test_token_is_replaced_before_its_end(
    new_store: Callable[..., TokenStore], cache: RememberingCache, expires_in: int, stored: int
) -> None:
    """It is kept for its life less a margin, which leaves something of a short life too."""
    new_store(Endpoint(("T1", expires_in))).get()
    assert cache.seconds["value"] == stored


def test_many_threads_fetch_one_token(new_store: Callable[..., TokenStore]) -> None:
    """Six stores with eight threads each on a cold cache make one call."""
    endpoint = Endpoint("T1", "T2", seconds=0.1)
    stores = [new_store(endpoint) for _ in range(6)]
    with ThreadPoolExecutor(48) as pool:
        got = set(pool.map(lambda number: stores[number % 6].get(), range(48)))
    assert got == {"T1"}
    assert endpoint.calls == [False]


def test_many_threads_share_one_refusal(new_store: Callable[..., TokenStore]) -> None:
    """A wrong secret is asked for once and told to all who wait, with the same errcode."""
    endpoint = Endpoint(token_error(40125, "invalid appsecret rid: 1-2-3"), seconds=0.1)
    stores = [new_store(endpoint) for _ in range(6)]

    def errcode(number: int) -> int:
        with pytest.raises(TokenError) as caught:
            stores[number % 6].get()
        return caught.value.errcode

    with ThreadPoolExecutor(48) as pool:
        assert set(pool.map(errcode, range(48))) == {40125}
    assert endpoint.calls == [False]


def test_shared_refusal_keeps_what_helps(new_store: Callable[..., TokenStore]) -> None:
    """Whoever did not ask WeChat itself is told the refused address and the next step too."""
    endpoint = Endpoint(token_error(40164, "invalid ip 203.0.113.9, not in whitelist rid: 1-2-3"))
    for store in (new_store(endpoint), new_store(endpoint)):
        with pytest.raises(TokenError, match="whitelist") as caught:
            store.get()
        assert (caught.value.ip, caught.value.rid) == ("203.0.113.9", "1-2-3")
    assert endpoint.calls == [False]


@pytest.mark.parametrize("trouble", [token_error(-1, "system error"), UNREACHABLE])
def test_passing_trouble_is_tried_again(
    new_store: Callable[..., TokenStore], trouble: Exception
) -> None:
    """One quick failure that may pass costs a second call, and nobody notices."""
    endpoint = Endpoint(trouble, "T1")
    assert new_store(endpoint).get() == "T1"
    assert endpoint.calls == [False, False]


def test_lasting_trouble_is_shared_for_a_moment(
    new_store: Callable[..., TokenStore], cache: RememberingCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two tries, then everybody is told at once; it is forgotten within seconds."""
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)  # the cache's
    endpoint = Endpoint(UNREACHABLE)
    for store in (new_store(endpoint), new_store(endpoint)):
        with pytest.raises(TransportError, match="No connection") as caught:
            store.get()
        assert not caught.value.maybe_sent
    assert len(endpoint.calls) == 2
    assert cache.seconds["failure"] <= 2


def test_slow_trouble_is_not_tried_again(new_store: Callable[..., TokenStore]) -> None:
    """A timeout has kept everybody waiting long enough: there is no second one."""
    endpoint = Endpoint(UNREACHABLE, seconds=0.05)
    with pytest.raises(TransportError):
        new_store(endpoint, pace=Pace(quick=0.02)).get()
    assert len(endpoint.calls) == 1


def test_refusal_is_not_tried_again(new_store: Callable[..., TokenStore]) -> None:
    """A wrong secret does not get better by asking twice."""
    endpoint = Endpoint(token_error(40001), "T1")
    with pytest.raises(TokenError):
        new_store(endpoint).get()
    assert endpoint.calls == [False]


def test_dead_holder_delays_nobody_for_long(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """When a lock's holder has died, its lock runs out and another caller fetches."""
    cache.add(f"{PREFIX}:lock", "a process that was killed", 0.2)
    assert new_store(Endpoint("T1")).get() == "T1"


def test_waiting_has_an_end(new_store: Callable[..., TokenStore], cache: RememberingCache) -> None:
    """Where another process holds the lock and never brings a token, the caller is told so."""
    cache.add(f"{PREFIX}:lock", "a process that hangs", 60)
    endpoint = Endpoint("T1")
    with pytest.raises(TransportError, match="in time") as caught:
        new_store(endpoint, fetch_seconds=0, pace=Pace(poll=0.005, slack=0)).get()
    assert not caught.value.maybe_sent
    assert endpoint.calls == []


def test_slow_holder_does_not_overwrite_a_newer_token(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """Who comes back after its lock ran out stores nothing, and leaves the new holder its lock."""

    def overtaken(force: bool) -> tuple[str, int]:
        cache.set(f"{PREFIX}:lock", "another process", 60)
        cache.set(f"{PREFIX}:value", "newer", 60)
        return "older", 7200

    assert new_store(overtaken).get() == "newer"
    assert cache.get(f"{PREFIX}:value") == "newer"
    assert cache.get(f"{PREFIX}:lock") == "another process"


def test_slow_holder_uses_its_own_token_where_there_is_no_newer(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """Its token is good for this one message, but is not stored."""

    def overtaken(force: bool) -> tuple[str, int]:
        cache.set(f"{PREFIX}:lock", "another process", 60)
        return "older", 7200

    assert new_store(overtaken).get() == "older"
    assert cache.get(f"{PREFIX}:value") is None


def test_slow_holder_does_not_renew_a_lock_it_lost(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """A second try after the lock went to somebody else does not take it back."""
    answers = iter([UNREACHABLE, ("T1", 7200)])

    def overtaken(force: bool) -> tuple[str, int]:
        cache.set(f"{PREFIX}:lock", "another process", 60)
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert new_store(overtaken).get() == "T1"
    assert cache.get(f"{PREFIX}:lock") == "another process"


def test_lock_of_a_cache_that_adds_twice_is_settled(tmp_path: Path) -> None:
    """Django's file-based cache may grant a lock to two; the one whose name stands last has it."""

    class OverrunCache(FileBasedCache):
        """Another process's write lands right after each of ours."""

        def add(self, key: str, value: Any, timeout: Any = None, version: Any = None) -> bool:
            won = super().add(key, value, timeout, version)
            if won and not self.get("overrun"):
                self.set("overrun", 1)
                self.set(key, "the other process", 0.2)
            return won

    endpoint = Endpoint("T1")
    store = new_store_on(OverrunCache(str(tmp_path), {}), endpoint)
    assert store.get() == "T1"
    assert endpoint.calls == [False]


def test_dropped_token_is_fetched_again(new_store: Callable[..., TokenStore]) -> None:
    """A refused token makes way for the next one, at the price of one call."""
    endpoint = Endpoint("T1", "T2")
    store = new_store(endpoint)
    store.drop(store.get())
    assert store.get() == "T2"
    assert endpoint.calls == [False, False]


def test_drop_leaves_a_newer_token_alone(new_store: Callable[..., TokenStore]) -> None:
    """A late refusal of an old token does not cost the new one."""
    endpoint = Endpoint("T1", "T2", "T3")
    slow, quick = new_store(endpoint), new_store(endpoint)
    old = slow.get()
    quick.drop(quick.get())
    assert quick.get() == "T2"
    slow.drop(old)
    assert slow.get() == "T2"
    assert len(endpoint.calls) == 2


def test_many_refusals_of_one_token_are_one(new_store: Callable[..., TokenStore]) -> None:
    """Forty-eight callers that were refused the same token cause one call together."""
    endpoint = Endpoint("T1", "T2", "T3", seconds=0.02)
    stores = [new_store(endpoint) for _ in range(6)]
    for store in stores:
        store.get()

    def again(number: int) -> str:
        stores[number % 6].drop("T1")
        return stores[number % 6].get()

    with ThreadPoolExecutor(48) as pool:
        assert set(pool.map(again, range(48))) == {"T2"}
    assert len(endpoint.calls) == 2


def test_token_dropped_here_is_not_used_here_again(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """Even where another process writes the refused token back, this one does not take it."""
    endpoint = Endpoint("T1", "T2")
    store = new_store(endpoint)
    store.drop(store.get())
    cache.set(f"{PREFIX}:value", "T1", 60)
    cache.delete(f"{PREFIX}:refused")
    assert store.get() == "T2"


def test_new_token_is_forced_only_if_the_refused_one_comes_back(
    new_store: Callable[..., TokenStore],
) -> None:
    """force_refresh is asked for only when normal mode hands out the refused token again."""
    endpoint = Endpoint("T1", "T1", "T2")
    store = new_store(endpoint)
    store.drop(store.get())
    assert store.get() == "T2"
    assert endpoint.calls == [False, False, True]


def test_force_that_changes_nothing_is_an_error(new_store: Callable[..., TokenStore]) -> None:
    """Where even force_refresh brings the refused token back, that is the end of it."""
    endpoint = Endpoint("T1")
    store = new_store(endpoint)
    store.drop(store.get())
    for _ in range(5):
        with pytest.raises(RefusedTokenError, match="another program"):
            store.get()
    assert endpoint.calls == [False, False, True]


def test_classic_token_is_never_forced(new_store: Callable[..., TokenStore]) -> None:
    """The classic endpoint knows no force_refresh: the same token again is an error at once."""
    endpoint = Endpoint("T1")
    store = new_store(endpoint, mode="classic")
    store.drop(store.get())
    with pytest.raises(RefusedTokenError):
        store.get()
    assert endpoint.calls == [False, False]


def refuse_and_force(store: TokenStore, cache: RememberingCache, endpoint: Endpoint) -> None:
    """One round: the token is refused, normal mode brings it back, a new one is forced."""
    cache.delete(f"{PREFIX}:failure")
    endpoint.answers = [uuid.uuid4().hex]
    token = store.get()
    endpoint.answers = [token, uuid.uuid4().hex]
    store.drop(token)
    store.get()


def test_forcing_is_rationed(new_store: Callable[..., TokenStore], cache: RememberingCache) -> None:
    """At most twenty forced tokens a day and thirty seconds between two, whoever asks."""
    now = [1_800_000_000.0]
    endpoint = Endpoint("T1")
    store = new_store(endpoint, clock=lambda: now[0])
    refuse_and_force(store, cache, endpoint)
    now[0] += 29
    with pytest.raises(RefusedTokenError):
        refuse_and_force(store, cache, endpoint)
    for _ in range(19):
        now[0] += 61
        refuse_and_force(store, cache, endpoint)
    assert endpoint.calls.count(True) == 20
    now[0] += 61
    with pytest.raises(RefusedTokenError):
        refuse_and_force(store, cache, endpoint)
    now[0] += 24 * 60 * 60
    refuse_and_force(store, cache, endpoint)
    assert endpoint.calls.count(True) == 21


@pytest.mark.parametrize("mode", ["stable", "classic"])
def test_token_refused_for_ever_ends_in_an_error(
    new_store: Callable[..., TokenStore], cache: RememberingCache, mode: str
) -> None:
    """New tokens that are refused too are fetched a few times, then no more for minutes."""
    endpoint = Endpoint(*(f"T{number}" for number in range(100)))
    store = new_store(endpoint, mode=mode)
    for _ in range(3):
        store.drop(store.get())
    for _ in range(50):
        with pytest.raises(RefusedTokenError, match="errcode 40001"):
            store.get()
    assert len(endpoint.calls) == 3
    assert cache.seconds["failure"] >= 300


def test_no_secret_and_no_token_stands_in_a_key(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """Keys hold the app id and the mode; a refused token is known by its digest."""
    store = new_store(Endpoint("TOKEN-IN-FULL", "T2"))
    store.drop(store.get())
    store.get()
    assert cache.keys
    assert all(APP_ID in key for key in cache.keys)
    assert not any("TOKEN-IN-FULL" in key for key in cache.keys)

"""Caches that fail, refuse or forget, and what they tell other hosts."""

import functools
import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache.backends.base import (
    InvalidCacheKey,
    memcache_key_warnings,
)
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache

from tests.token_store import (
    UNREACHABLE,
    Endpoint,
    RememberingCache,
    new_store_on,
)
from wechat_notify.exceptions import TokenError, TransportError
from wechat_notify.wechat.errors import token_error
from wechat_notify.wechat.shared_cache import cache_key, keeps
from wechat_notify.wechat.tokens import TokenStore


@pytest.fixture
def cache() -> RememberingCache:
    return RememberingCache(uuid.uuid4().hex)


@pytest.fixture
def new_store(cache: RememberingCache) -> Callable[..., TokenStore]:
    """Makes stores on one cache: each stands for a process."""
    return functools.partial(new_store_on, cache)


class SilentCache(LocMemCache):
    """A cache server that is away, in a library that is told to hide it."""

    added: Any = False

    def __init__(self) -> None:
        super().__init__(uuid.uuid4().hex, {})
        self.away = True

    def add(self, *args: Any, **options: Any) -> Any:
        return self.added if self.away else super().add(*args, **options)

    def get(self, key: str, default: Any = None, version: Any = None) -> Any:
        return default if self.away else super().get(key, default, version)

    def set(self, *args: Any, **options: Any) -> None:
        if not self.away:
            super().set(*args, **options)

    def delete(self, *args: Any, **options: Any) -> Any:
        return False if self.away else super().delete(*args, **options)


class RedisSilent(SilentCache):
    """django-redis with IGNORE_EXCEPTIONS: add() gives None."""

    added = None


class MemcachedSilent(SilentCache):
    """A client that does not wait for the answer: add() seems to work."""

    added = True


@pytest.mark.parametrize("kind", [SilentCache, RedisSilent, MemcachedSilent])
def test_cache_that_hides_its_absence_is_told_at_once(kind: type[SilentCache]) -> None:
    """A key of one's own that is gone at once: the cache is down, and nobody else is blamed."""
    endpoint = Endpoint("T1")
    cache = kind()
    store = new_store_on(cache, endpoint)
    begun = time.monotonic()
    with pytest.raises(TransportError, match="the cache is down") as caught:
        store.get()
    assert time.monotonic() - begun < 60  # it would wait twice as long for another's token
    assert not caught.value.maybe_sent
    assert endpoint.calls == []
    cache.away = False
    assert store.get() == "T1"


def test_cache_that_goes_away_during_a_fetch_costs_no_token() -> None:
    """The token that was just fetched is used, if only here and for a moment."""
    cache = SilentCache()
    cache.away = False

    def fetch(force: bool) -> tuple[str, int]:
        cache.away = True
        return "T1", 7200

    assert new_store_on(cache, fetch).get() == "T1"


def test_lock_that_was_just_released_is_no_cache_that_is_down(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """Between a refused add() and a look at the lock its holder may have let it go."""

    class Released(LocMemCache):
        refused = False

        def add(self, key: str, value: Any, timeout: Any = None, version: Any = None) -> bool:
            if not self.refused:
                self.refused = True
                return False
            return super().add(key, value, timeout, version)

    assert new_store_on(Released(uuid.uuid4().hex, {}), Endpoint("T1")).get() == "T1"


def test_dummy_cache_has_a_token_for_each_process() -> None:
    """A site that chooses to keep nothing is warned by a check, and can send."""
    endpoint = Endpoint("T1")
    store = new_store_on(DummyCache("", {}), endpoint)
    assert [store.get() for _ in range(5)] == ["T1"] * 5
    assert endpoint.calls == [False]


def test_lock_that_the_cache_evicts_costs_no_token(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """A full cache may throw out the lock during the fetch: the token is stored all the same."""

    def fetch(force: bool) -> tuple[str, int]:
        cache.clear()
        return "T1", 7200

    assert new_store(fetch).get() == "T1"
    assert new_store(Endpoint("T2")).get() == "T1"


class StrictCache(LocMemCache):
    """Takes the keys that memcached takes, and values of JSON's own types."""

    def validate_key(self, key: str) -> None:
        for warning in memcache_key_warnings(key):
            raise InvalidCacheKey(warning)

    def set(self, key: str, value: Any, timeout: Any = None, version: Any = None) -> None:
        super().set(key, json.loads(json.dumps(value)), timeout, version)


@pytest.mark.parametrize("app_id", ["wx 1", "wx1\n", "公众号", "x" * 300, "a:b", ""])
def test_any_app_id_makes_keys_that_every_cache_takes(app_id: str) -> None:
    """Blanks, Chinese characters and length do not reach the cache."""
    cache = StrictCache(uuid.uuid4().hex, {})
    store = new_store_on(cache, Endpoint("T1", "T2"), app_id=app_id)
    store.drop(store.get())
    assert store.get() == "T2"
    assert new_store_on(cache, Endpoint("T3"), app_id="wx1").get() == "T3"


def test_plain_names_stand_in_the_key_and_others_as_digests() -> None:
    """An alias and app id can be read in the cache, and no two names share a key."""
    assert cache_key("breaker", "wx1", "default") == "wechat_notify:breaker:wx1:default"
    odd = ["a b", "a\nb", "阳光", "a:b", "", "x" * 65, "\ud800"]
    keys = {cache_key("rate", name) for name in odd}
    assert len(keys) == len(odd)
    assert all(re.fullmatch(r"wechat_notify:rate:[0-9a-f]{32}", key) for key in keys)


def test_cache_is_asked_with_a_key_of_ones_own() -> None:
    """Whether a cache keeps what is written is seen by writing, and leaves nothing behind."""
    cache = RememberingCache(uuid.uuid4().hex)
    assert keeps(cache)
    assert [cache.get(key) for key in cache.keys] == [None]
    assert not keeps(SilentCache())
    assert not keeps(DummyCache("", {}))


def test_failures_are_kept_in_json(new_store: Callable[..., TokenStore]) -> None:
    """A refusal is shared through a cache that keeps nothing but JSON."""
    cache = StrictCache(uuid.uuid4().hex, {})
    endpoint = Endpoint(token_error(40125))
    for _ in range(2):
        with pytest.raises(TokenError, match="40125"):
            new_store_on(cache, endpoint).get()
    assert endpoint.calls == [False]


@pytest.mark.parametrize(
    "trouble",
    [
        UNREACHABLE,
        token_error(40164, "invalid ip 203.0.113.9, not in whitelist"),
        token_error(89503),
    ],
)
def test_one_hosts_trouble_is_not_told_to_others(
    new_store: Callable[..., TokenStore], trouble: Exception
) -> None:
    """A host without network, or not on the whitelist, keeps no other host from a token."""
    poor, rich = Endpoint(trouble), Endpoint("T1")
    for _ in range(2):
        with pytest.raises(type(trouble)):
            new_store(poor, host="not whitelisted").get()
    assert len(poor.calls) <= 2
    assert new_store(rich, host="whitelisted").get() == "T1"
    assert new_store(poor, host="not whitelisted").get() == "T1"


def test_token_that_lives_for_ever_is_kept_for_a_day(
    new_store: Callable[..., TokenStore], cache: RememberingCache
) -> None:
    """A lifetime that no cache can count is an error, and no reason to fail."""
    new_store(Endpoint(("T1", 10**30))).get()
    assert cache.seconds["value"] <= 24 * 60 * 60

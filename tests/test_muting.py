"""``muted()`` and ``TRIGGERS``: no trigger fires, here and nowhere else."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.db import connection
from django.dispatch import Signal

from wechat_notify.exceptions import InvalidSettings
from wechat_notify.triggers import muted, notify_on

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("own_triggers")]


@pytest.fixture
def happened() -> Signal:
    return Signal()


@pytest.fixture
def fired(happened: Signal) -> list[str]:
    """The names of the functions that were asked; two are asked at each signal."""
    asked: list[str] = []

    @notify_on(happened, template="first")
    def first(**kwargs: Any) -> None:
        asked.append("first")

    @notify_on(happened, template="second")
    def second(**kwargs: Any) -> None:
        asked.append("second")

    return asked


def test_a_block(happened: Signal, fired: list[str]) -> None:
    """Nothing fires in it, and all do after it, also if it raises."""
    with muted():
        happened.send(None)
    assert fired == []
    with pytest.raises(LookupError), muted():
        raise LookupError
    happened.send(None)
    assert fired == ["first", "second"]


def test_by_name(happened: Signal, fired: list[str]) -> None:
    """Only those that are named; a function's name, or with its module. Blocks add up."""
    with muted("first"):
        happened.send(None)
        assert fired == ["second"]
        with muted(f"{__name__}.fired.<locals>.second"):
            happened.send(None)
        assert fired == ["second"]
        happened.send(None)
    assert fired == ["second"] * 2


def test_a_name_that_no_trigger_has(fired: list[str]) -> None:
    """A misspelt name would let the messages out."""
    with pytest.raises(LookupError, match="'frist'"), muted("first", "frist"):
        pytest.fail("it must not begin")


def test_a_function(happened: Signal, fired: list[str]) -> None:
    """As a decorator, which looks at the names when the function is called."""

    @muted("first")
    def repair(times: int) -> str:
        """Repair."""
        for _ in range(times):
            happened.send(None)
        return "done"

    assert (repair(2), repair.__doc__) == ("done", "Repair.")
    assert fired == ["second", "second"]
    muted("no such trigger")(repair)


def test_generators_cannot_be_decorated() -> None:
    """Their code runs when somebody else goes on."""

    def rows() -> Iterator[int]:
        yield 1

    async def arows() -> AsyncIterator[int]:
        yield 1

    for generator in (rows, arows):
        with pytest.raises(TypeError, match="with muted"):
            muted()(generator)


def test_other_threads_are_not_muted(happened: Signal, fired: list[str]) -> None:
    """Neither a request that is served meanwhile, nor a thread that the block starts."""

    def in_thread(function: Callable[[], Any]) -> None:
        def run() -> None:
            try:
                function()
            finally:
                connection.close()

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    with muted():
        in_thread(lambda: happened.send(None))
        assert fired == ["first", "second"]
        in_thread(muted()(lambda: happened.send(None)))
    assert fired == ["first", "second"]


def test_async_code(happened: Signal, fired: list[str]) -> None:
    """A task is muted with those that it begins and with its threads, and no other task is."""

    @muted()
    async def quiet(begun: asyncio.Event, other_done: asyncio.Event) -> None:
        begun.set()
        await other_done.wait()
        await happened.asend("quiet")
        await asyncio.create_task(happened.asend("quiet, too"))  # type: ignore[arg-type]
        await sync_to_async(happened.send)("quiet thread")

    async def both() -> None:
        begun, other_done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(quiet(begun, other_done))
        await begun.wait()
        await happened.asend("loud")
        other_done.set()
        await task

    async_to_sync(both)()
    assert sorted(fired) == ["first", "second"]


def test_the_switch(happened: Signal, fired: list[str], configure: Callable[..., None]) -> None:
    """TRIGGERS = False mutes all of them, everywhere; the rest of the app works."""
    configure(TRIGGERS=False)
    happened.send(None)
    assert fired == []
    configure(TRIGGERS="yes")
    with pytest.raises(InvalidSettings, match="TRIGGERS"):
        happened.send(None)

"""Periodic duties: each in its time, by one process at a time, whatever they raise."""

import logging
import math
import os
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import caches

from tests.waiting import PATIENCE, wait_until
from wechat_notify import duties
from wechat_notify.dispatchers import queue
from wechat_notify.dispatchers.signs_of_life import TASK, seen_lately
from wechat_notify.dispatchers.worker import Worker
from wechat_notify.wechat.shared_cache import cache_key

MINUTE = timedelta(minutes=1)
NAME = "count"
KEY = cache_key("duty", NAME)


class Count:
    """A duty that counts its runs."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1


@pytest.fixture
def count() -> Iterator[Count]:
    yield Count()
    duties.forget(NAME)


def test_a_duty_runs_at_once_and_then_in_its_time(count: Count) -> None:
    """The first call runs it; a second one only when its period has passed."""
    duties.register(NAME, count, every=MINUTE)
    duties.run_due()
    duties.run_due()
    assert count.runs == 1
    assert 0 < duties.next_due() <= 60
    duties.register("soon again", count, every=timedelta(seconds=0.2))
    wait_until(lambda: duties.run_due() or count.runs == 3)
    duties.forget("soon again")


def test_nobody_waits_for_nothing(count: Count) -> None:
    """Where no duty is registered, there is no next one; a new one is due at once."""
    others = duties.next_due()
    duties.register(NAME, count, every=MINUTE)
    assert duties.next_due() == 0
    duties.forget(NAME)
    assert duties.next_due() in (math.inf, pytest.approx(others, abs=25))


def test_a_name_is_one_duty(count: Count) -> None:
    """A module that is imported twice registers one duty."""
    for _ in range(2):
        duties.register(NAME, count, every=MINUTE)
    duties.run_due()
    assert count.runs == 1


def test_another_process_has_the_lease(count: Count) -> None:
    """It does not run here, and is looked at again before a whole period has passed."""
    caches["default"].add(KEY, "another process", 60)
    duties.register(NAME, count, every=MINUTE)
    duties.run_due()
    assert count.runs == 0
    assert duties.next_due() <= 15
    assert caches["default"].get(KEY) == "another process"


def test_the_lease_outlasts_the_run(count: Count) -> None:
    """A process that looks within the period, after the run, does not run it again."""
    duties.register(NAME, count, every=MINUTE)
    duties.run_due()
    duties.register(NAME, count, every=MINUTE)  # as in a process that has just started
    duties.run_due()
    assert count.runs == 1


def test_a_lease_that_was_lost_is_left_to_its_holder() -> None:
    """A run that took longer than its lease does not end the next one's."""

    def slow() -> None:
        caches["default"].set(KEY, "another process", 60)

    duties.register(NAME, slow, every=MINUTE)
    duties.run_due()
    assert caches["default"].get(KEY) == "another process"
    duties.forget(NAME)


def test_a_run_longer_than_its_period_is_due_again_at_once() -> None:
    """The lease ends with it, so that any process may go on."""
    duties.register(NAME, lambda: time.sleep(0.1), every=timedelta(seconds=0.05))
    duties.run_due()
    assert caches["default"].get(KEY) is None
    assert duties.next_due() == 0
    duties.forget(NAME)


def test_a_run_that_left_something_is_called_again_at_once() -> None:
    """By any process: the lease ends with it. When nothing is left, the next waits its time."""
    left = [True, True, False]
    duties.register(NAME, lambda: left.pop(0), every=MINUTE)
    for _ in range(2):
        duties.run_due()
        assert caches["default"].get(KEY) is None
        assert duties.next_due() == 0
    duties.run_due()
    assert not left
    assert duties.next_due() > 0
    duties.run_due()
    duties.forget(NAME)


def test_an_error_is_logged_once_and_stops_nothing(
    count: Count, caplog: pytest.LogCaptureFixture
) -> None:
    """The next duty still runs, and so does this one; only a new failure is told again."""
    raises = [True, True, False, True]

    def fail() -> None:
        if raises.pop(0):
            raise LookupError("no such table")

    duties.register("fails", fail, every=timedelta(seconds=0.01))
    duties.register(NAME, count, every=MINUTE)
    told = []
    with caplog.at_level(logging.ERROR):
        while raises:
            duties.run_due()
            # Other duties may be due in this process, too.
            told.append(sum("'fails'" in one.getMessage() for one in caplog.records))
            time.sleep(0.02)
    duties.forget("fails")
    assert told == [1, 1, 1, 2]
    assert "'fails'" in caplog.text
    assert "no such table" in caplog.text
    assert count.runs == 1


def test_a_cache_that_is_down_stops_nothing(
    count: Count, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Without the lease nothing is run, and whoever delivers goes on."""
    settings.CACHES = {"default": {"BACKEND": "tests.caches_that_fail.RaisingCache"}}
    duties.register(NAME, count, every=MINUTE)
    duties.run_due()
    assert count.runs == 0
    assert NAME in caplog.text
    assert duties.next_due() > 0


def test_two_threads_run_it_once(settings: Any) -> None:
    """Within a process, a duty that runs is not begun again, even without any lease."""
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}
    begun, go_on, runs = threading.Event(), threading.Event(), []

    def wait() -> None:
        runs.append(1)
        begun.set()
        assert go_on.wait(PATIENCE)

    duties.register(NAME, wait, every=timedelta(seconds=0.001))
    thread = threading.Thread(target=duties.run_due)
    thread.start()
    assert begun.wait(PATIENCE)
    duties.run_due()
    go_on.set()
    thread.join()
    duties.forget(NAME)
    assert len(runs) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_forked_during_a_run_has_the_duty(count: Count) -> None:
    """The parent's run is not the child's: there the duty is due."""
    seen = []

    def fork() -> None:
        reading, writing = os.pipe()
        if not os.fork():
            os.write(writing, b"0" if duties.next_due() == 0 else b"-")
            os._exit(0)
        seen.append(os.read(reading, 1))

    duties.register(NAME, fork, every=MINUTE)
    duties.run_due()
    duties.forget(NAME)
    assert seen == [b"0"]


def test_a_process_that_sends_nothing_runs_what_is_for_it(count: Count) -> None:
    """And leaves the others to those who deliver."""
    others = Count()
    duties.register(NAME, count, every=MINUTE, where_served=True)
    duties.register("others", others, every=MINUTE)
    duties.run_due(only_where_served=True)
    assert (count.runs, others.runs) == (1, 0)
    assert 50 < duties.next_due(only_where_served=True) <= 60
    assert duties.next_due() == 0
    duties.run_due()
    duties.forget("others")
    assert (count.runs, others.runs) == (1, 1)


@pytest.mark.django_db
def test_a_task_shows_itself_before_its_duties() -> None:
    """One that looks whether anybody sends must not find that nobody does."""
    seen: list[bool] = []
    duties.register(NAME, lambda: seen.append(seen_lately("default", TASK)), every=MINUTE)
    queue.run()
    duties.forget(NAME)
    assert seen == [True]


@pytest.mark.django_db
def test_whoever_delivers_runs_the_duties(count: Count) -> None:
    """A worker in its rounds, and the task of a queue."""
    duties.register(NAME, count, every=MINUTE)
    Worker().drain()
    assert count.runs == 1
    caches["default"].delete(KEY)
    duties.register(NAME, count, every=MINUTE)
    queue.run()
    assert count.runs == 2

"""How many messages failed: counted by all processes together, without a query."""

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from wechat_notify.models import SendLog
from wechat_notify.sending import outcomes
from wechat_notify.sending.outcomes import Count, failures, flush, note, word_of_templates
from wechat_notify.sending.policy import Decision

Status = SendLog.Status


class Clock:
    """Two clocks that go on together: the time of day, and the one of this process."""

    def __init__(self) -> None:
        self.passed = 0.0

    def time(self) -> float:
        return 1_795_000_000.0 + self.passed

    def monotonic(self) -> float:
        return 1000.0 + self.passed


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(time, "time", made.time)
    monkeypatch.setattr(outcomes.time, "monotonic", made.monotonic)
    return made


def note_all(account: str = "default", **counts: int) -> None:
    for status, count in counts.items():
        for _ in range(count):
            note(account, Decision(Status(status)))


def test_what_several_processes_note_is_one_count() -> None:
    """Of each account, and of those messages alone that were tried."""
    note_all(failed=3, sent=5, uncertain=1, pending=7, cancelled=2, expired=2)
    flush()
    outcomes.forget()  # as in another process
    note_all(failed=2, sent=4)
    note_all("other", failed=1)
    flush()
    assert failures("default") == Count(failed=5, decided=15)
    assert failures("other") == Count(failed=1, decided=1)


def test_it_goes_half_an_hour_back(clock: Clock) -> None:
    """What was longer ago is no news."""
    note_all(failed=3)
    flush()
    clock.passed = 20 * 60
    note_all(failed=2)
    flush()
    assert failures("default").failed == 5
    clock.passed = 40 * 60
    assert failures("default").failed == 2
    clock.passed = 90 * 60
    assert failures("default") == Count()


def test_a_cache_that_counts_by_setting(clock: Clock, settings: Any, tmp_path: Path) -> None:
    """Django's file and database caches forget a count after five minutes, if they may."""
    path = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"default": {"BACKEND": path, "LOCATION": str(tmp_path)}}
    for _ in range(2):
        note_all(failed=2)
        flush(at_end=True)
    clock.passed = 20 * 60
    assert failures("default").failed == 4


def test_it_is_written_every_ten_seconds(clock: Clock) -> None:
    """Or when a run ends in which messages failed: no other run may follow soon."""
    note_all(sent=1)
    flush()
    clock.passed = 5
    note_all(sent=1)
    flush()
    flush(at_end=True)
    assert failures("default").decided == 1
    note_all(failed=1)
    flush()
    assert failures("default").failed == 0
    flush(at_end=True)
    assert failures("default") == Count(failed=1, decided=3)


@pytest.mark.django_db
def test_it_costs_no_query() -> None:
    """Neither to count nor to look."""
    with CaptureQueriesContext(connection) as queries:
        note_all(failed=3)
        flush()
        failures("default")
    assert not len(queries)


def test_word_is_left_of_a_template_that_was_stopped() -> None:
    """Also where its message waits, and so is not counted."""
    before = word_of_templates()
    note("default", Decision(Status.PENDING, pauses_template=True))
    flush(at_end=True)
    assert word_of_templates() != before
    assert failures("default") == Count()


def test_a_cache_that_is_down_stops_nothing(
    settings: Any, caplog: pytest.LogCaptureFixture, configure: Callable[..., None]
) -> None:
    """Messages are sent, and some of them are not counted."""
    settings.CACHES = {"default": {"BACKEND": "tests.caches_that_fail.RaisingCache"}}
    note("default", Decision(Status.FAILED, pauses_template=True))
    with caplog.at_level(logging.WARNING):
        flush()
    assert "could not be counted" in caplog.text

"""One receipt for every message of a big push, all at once: none lost, none on a wrong row."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import database_url
from tests.sizes import sized
from tests.storm import Site, blow
from tests.waiting import wait_until

RECEIPTS = sized(1_500, 5_000)
CONNECTIONS = 16
PATIENCE = 5.0
"""Seconds after which WeChat drops the connection and sends the receipt again."""


@pytest.fixture
def site(tmp_path: Path, transactional_db: None) -> Iterator[Site]:
    running = Site(tmp_path, DATABASE_URL=database_url(tmp_path))
    yield running
    running.close()


@pytest.mark.slow
def test_a_storm_of_receipts(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """Thousands over 16 connections: all answered success in time, every row right."""
    assert site.ask(f"rows {RECEIPTS}")["sent"] == RECEIPTS
    weather = blow(site.port, RECEIPTS, CONNECTIONS)
    assert weather.answers == {b"success": RECEIPTS}
    # Each time that the machine stands still makes one late on each connection.
    assert weather.percentile(0.9) < 1000 * PATIENCE
    # Receipts that another thread of the site has locked at this moment are settled there.
    wait_until(lambda: not (site.ask("settle")["settled"] or "sent" in site.ask("counts")))
    failed = RECEIPTS // 3
    assert site.ask("counts") == {
        "delivered": RECEIPTS - failed,
        "undelivered": failed,
        "receipts": RECEIPTS,
        "wrong": 0,
    }
    with capsys.disabled():
        print(  # noqa: T201 - for whoever watches; figures to rely on are the benchmark's
            f"\n{RECEIPTS / weather.took:.0f} receipts/s, p50 {weather.percentile(0.5):.1f} ms, "
            f"p99 {weather.percentile(0.99):.1f} ms, slowest {weather.percentile(1):.1f} ms"
        )

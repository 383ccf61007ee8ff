"""A storm of delivery receipts: ``python -m benchmarks.callback_storm [receipts] [connections]``.

Posts one receipt for each of so many accepted messages, all at once over kept connections, to a
site in a process of its own, and prints how long WeChat would have waited. SQLite in WAL in a
temporary directory, or whatever DATABASE_URL and CACHE_URL name. Exits with 1 where a receipt was
not answered with success, a row is wrong, or p99 is 100 ms or more.
"""

import sys
import tempfile
from pathlib import Path

from tests.storm import Site, blow

AIM_P99_MS = 100


def main(receipts: int = 5_000, connections: int = 16) -> int:
    with tempfile.TemporaryDirectory() as where:
        site = Site(Path(where))
        try:
            site.ask(f"rows {receipts}")
            weather = blow(site.port, receipts, connections)
            rest = site.ask("settle")["settled"]
            counts = site.ask("counts")
        finally:
            site.close()
    p99 = weather.percentile(0.99)
    print(f"{receipts} receipts over {connections} connections in {weather.took:.1f} s")
    print(
        f"{receipts / weather.took:.0f}/s, p50 {weather.percentile(0.5):.1f} ms, p99 {p99:.1f} ms"
    )
    print(f"joined while it blew: {receipts - rest}, afterwards: {rest}")
    right = weather.answers == {b"success": receipts} and counts["wrong"] == 0
    right = right and counts.get("delivered", 0) + counts.get("undelivered", 0) == receipts
    print("every row right" if right else f"WRONG: {weather.answers} {counts}")
    return 0 if right and p99 < AIM_P99_MS else 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))

"""``python -m benchmarks.waiting``: what people wait for, and that part of docs/benchmarks.md.

    python -m benchmarks.waiting                   half an hour
    python -m benchmarks.waiting --quick sqlite    three minutes: one run, on one database

Celery is measured with the brokers that answer, as ``python -m benchmarks`` says.
"""

import argparse
import re
import tempfile
from dataclasses import replace
from pathlib import Path

from .. import aims, api, databases, report
from . import measurements

PEOPLE = 20_000
DOCS = Path(__file__).resolve().parent.parent.parent / "docs" / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.waiting",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("databases", nargs="*", help="sqlite, postgresql; by default both")
    parser.add_argument("--quick", action="store_true", help="one short run")
    parser.add_argument("--idle", type=float, help="seconds for which an idle site is watched")
    parser.add_argument("--rate", type=int, help="pages a second, for a slower machine")
    parser.add_argument("--docs", type=Path, default=DOCS, help="the page whose part is rewritten")
    options = parser.parse_args()
    plan = measurements.QUICK if options.quick else measurements.FULL
    if options.idle is not None:
        plan = replace(plan, idle=options.idle)
    wanted = options.databases or ["sqlite", "postgresql"]
    if options.rate is not None:
        plan = replace(plan, rate=options.rate)
    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        databases.postgresql() as postgresql,
        api.running(Path(folder)) as running,
    ):
        named = {"SQLite": databases.sqlite(Path(folder)), "PostgreSQL": postgresql}
        for name, url in named.items():
            if url and name.lower() in wanted:
                databases.populate(url, max(PEOPLE, plan.crowds[name]))
                shared = databases.shared(url)
                found.append(measurements.measure(running, name, shared, plan))
    _rewrite(options.docs, report.waiting_section(found))
    print()
    aims.show(aims.judge_waiting(found))


def _rewrite(page: Path, section: str) -> None:
    """Put the section into the page instead of the one that is there, or at its end."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    before, _heading, rest = text.partition(report.WAITING)
    after = re.search(r"^## ", rest, re.MULTILINE)
    parts = [
        before.rstrip(),
        section.rstrip(),
        *([rest[after.start() :].rstrip()] if after else []),
    ]
    page.write_text("\n\n".join(parts).lstrip() + "\n", encoding="utf-8")


main()

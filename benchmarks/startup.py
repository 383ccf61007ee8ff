"""What the app adds to ``django.setup()`` of a site that has the admin."""

import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

RUNS = 15
_CODE = """
import sys, time, django
from django.conf import settings
apps = ["admin", "auth", "contenttypes", "messages", "sessions"]
account = {"APP_ID": "wx0123456789abcdef", "APP_SECRET": "0123456789abcdef0123456789abcdef"}
settings.configure(
    INSTALLED_APPS=[*(f"django.contrib.{name}" for name in apps), *sys.argv[1:]],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    SECRET_KEY="only-for-the-benchmarks",
    WECHAT_NOTIFY={"ACCOUNTS": {"default": account}},
)
begun = time.perf_counter()
django.setup()
print((time.perf_counter() - begun) * 1000, len(sys.modules))
"""


@dataclass(frozen=True)
class Startup:
    """Milliseconds of ``django.setup()`` without the app, and what the app adds; its modules."""

    bare_ms: float
    added_ms: float
    modules: int


def measure() -> Startup:
    """The median of pairs of starts, with and without, that stood side by side."""
    _start(), _start("wechat_notify")  # Python writes its bytecode, if it was not there
    pairs = [(_start(), _start("wechat_notify")) for _ in range(RUNS)]
    added = statistics.median(ours[0] - bare[0] for bare, ours in pairs)
    found = Startup(
        statistics.median(bare[0] for bare, _ours in pairs), added, pairs[0][1][1] - pairs[0][0][1]
    )
    print(f"django.setup() {found.bare_ms:.0f} ms, the app adds {found.added_ms:.0f} ms")
    return found


def _start(*apps: str) -> tuple[float, int]:
    """Milliseconds, and how many modules are loaded then."""
    run = subprocess.run(
        [sys.executable, "-c", _CODE, *apps],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        check=True,
        text=True,
    )
    took, modules = run.stdout.split()
    return float(took), int(modules)

"""``python -m benchmarks.wakeup``: how long a message waits for a worker that has nothing to do.

    python -m benchmarks.wakeup --messages 20

From the commit of ``notify()`` until WeChat is called, by ``wechat_deliver --watch`` with its
defaults: on PostgreSQL, through PgBouncer where that is installed, and on a SQLite file. PostgreSQL
is the server named by DATABASE_URL, else the one at 127.0.0.1:5432; a database of its own is
dropped there at the end.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services.postgresql import pgbouncer, pooled

from . import api, databases, processes
from .api import Api
from .tasks import Task


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.wakeup",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--messages", type=int, default=50, help="on each kind of database")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        running = stack.enter_context(api.running(folder))
        postgresql = stack.enter_context(databases.postgresql(f"{databases.NAME}_wakeup"))
        # Else a transaction that reads first may find that the worker has written meanwhile.
        sqlite = f"{databases.sqlite(folder)}?transaction_mode=IMMEDIATE"
        for url in (sqlite, postgresql):
            if url:
                databases.populate(url, 1)
        print(f"Milliseconds from commit to WeChat, {options.messages} messages each")
        measure("SQLite", sqlite, running, options.messages)
        if postgresql:
            measure("PostgreSQL", postgresql, running, options.messages)
        if postgresql and pgbouncer():
            for mode in ("transaction", "session"):
                with pooled(postgresql, mode) as url:
                    measure(f"PgBouncer, {mode} mode", url, running, options.messages)


def measure(name: str, database: str, running: Api, messages: int) -> None:
    with worker(database, running):
        task = Task("notifier", running.plain, database, recipients=messages)
        delays = sorted(processes.run_one(task).found["delays"])
    print(
        f"{name:28} median {statistics.median(delays) * 1000:6.0f}"
        f"   p90 {delays[len(delays) * 9 // 10] * 1000:6.0f}   worst {delays[-1] * 1000:6.0f}",
        flush=True,
    )


@contextmanager
def worker(database: str, running: Api) -> Iterator[None]:
    command = [sys.executable, "-m", "django", "wechat_deliver", "--watch", "--verbosity", "0"]
    environment = processes.environment(database, None, running.plain)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()
            process.wait()


main()

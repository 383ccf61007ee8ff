"""``python -m benchmarks.admin_list``: the admin's pages over a send log of a million rows.

    python -m benchmarks.admin_list --rows 100000

On the PostgreSQL server named by DATABASE_URL, else the one at 127.0.0.1:5432, in a database of its
own that is dropped at the end. The time is the server's: from the request to the rendered page, in
this process, middleware included; the network and the browser come on top.
"""

import argparse
import importlib
import os

import django

from .. import databases, processes

PEOPLE = 100_000


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.admin_list",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the send log")
    options = parser.parse_args()
    with databases.postgresql(f"{databases.NAME}_admin") as database:
        if not database:
            raise SystemExit(1)
        databases.populate(database, PEOPLE)
        os.environ.update(processes.environment(database, None))
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.admin_list.settings"
        django.setup()
        # They need the models, which are not there before.
        importlib.import_module("benchmarks.admin_list.rows").fill(options.rows, PEOPLE)
        importlib.import_module("benchmarks.admin_list.pages").measure()


main()

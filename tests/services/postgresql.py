"""PostgreSQL servers of a test's own, and PgBouncer in front of one.

Without pytest, because the benchmarks use it too.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.services.ports import answers, free_port
from tests.waiting import wait_until

# Neither program runs as root. Debian's packages bring this user.
USER = "postgres"

POOLER = """
[databases]
* = host={host} port={port} user={user}{password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {own_port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
"""


def pgbouncer() -> str | None:
    """The program, if it is installed. Debian has it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


def postgres() -> Path | None:
    """The newest server's programs, if they are installed."""
    found = shutil.which("pg_ctl")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: path.parent.name)
    return Path(found).parent if found else (debian or [None])[-1]


@contextmanager
def pooled(url: str, mode: str) -> Iterator[str]:
    """The URL of a PgBouncer before the database of ``url``, in this pool mode."""
    parts = urlsplit(url)
    own_port = free_port()
    text = POOLER.format(
        host=parts.hostname,
        port=parts.port or 5432,
        user=parts.username,
        password=f" password='{parts.password}'" if parts.password else "",
        mode=mode,
        own_port=own_port,
    )
    with _own_directory() as where:
        (where / "pgbouncer.ini").write_text(text)
        with subprocess.Popen(
            [str(pgbouncer()), str(where / "pgbouncer.ini")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=_user(),
        ) as process:
            try:
                wait_until(lambda: answers(own_port))
                login = parts.netloc.rpartition("@")[0]
                # As Django's documentation asks for a pooler in transaction mode.
                yield parts._replace(
                    netloc=f"{login}@127.0.0.1:{own_port}", query="DISABLE_SERVER_SIDE_CURSORS=true"
                ).geturl()
            finally:
                process.kill()


class Server:
    """A running PostgreSQL with one empty database, which can be restarted."""

    def __init__(self, where: Path) -> None:
        self._where = where
        self._port = free_port()
        self._run("initdb", "--auth=trust", "--username=site", "--no-sync")
        self.start()
        self.url = f"postgres://site@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        options = f"-c listen_addresses=127.0.0.1 -c port={self._port} -c fsync=off"
        options += " -c unix_socket_directories="
        log = str(self._where / "server.log")
        self._run("pg_ctl", "--wait", "--silent", f"--log={log}", f"--options={options}", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "--wait", "--silent", "--mode=fast", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(postgres() / program), f"--pgdata={self._where / 'data'}", *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, user=_user(), timeout=300)


@contextmanager
def own_server() -> Iterator[Server]:
    with _own_directory() as where:
        server = Server(where)
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def _own_directory() -> Iterator[Path]:
    """A directory that the user can reach. pytest's belong to whoever runs the tests."""
    with tempfile.TemporaryDirectory() as where:
        if _user():
            shutil.chown(where, USER)
        yield Path(where)


def _user() -> str | None:
    return USER if os.geteuid() == 0 else None

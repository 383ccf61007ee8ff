"""A fake API that is fast and nothing else: ``python -m benchmarks.server CERTIFICATE KEY``.

It answers a token request at once and any message after the latency set, as HTTP/1.1 with
keep-alive, on one plain and one TLS port of the loopback address, which it prints. A new connection
is let wait for as long as was set, as if its handshakes crossed a network. Its other paths belong
to the benchmark: ``/latency?ms=20&opening=40``, ``/counts``, which also sets them to zero, and
``/arrivals``: when messages to openids that begin with oUrgent came; ``/moments``: when each has
come since then. Both by CLOCK_MONOTONIC, which all processes share.
"""

import asyncio
import json
import os
import socket
import ssl
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from urllib.parse import parse_qs

TOKEN_PATHS = (b"/cgi-bin/token", b"/cgi-bin/stable_token")
URGENT = b"oUrgent"
# WeChat tells up to 7200 seconds; the token's length is that of the samples in its documentation.
TOKEN_ANSWER = json.dumps({"access_token": "a" * 136, "expires_in": 7200}).encode()


@dataclass
class Counts:
    """What was asked for since the last look; ``connections`` that carried at least a request.

    ``last_at``: when the last message came, by the clock that all processes of the machine share.
    """

    messages: int = 0
    tokens: int = 0
    connections: int = 0
    last_at: float = 0.0


@dataclass
class Traffic:
    """What all share. ``latency`` of a message and ``opening`` of a connection in seconds."""

    latency: float = 0.0
    opening: float = 0.0
    counts: Counts = field(default_factory=Counts)
    arrivals: dict[str, float] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    last_msgid: int = 4_000_000_000_000_000_000

    def take_counts(self) -> Counts:
        counts, self.counts = self.counts, Counts()
        self.arrivals.clear()
        self.moments.clear()
        return counts


class Connection(asyncio.Protocol):
    """One client's connection. No pipelining: a request comes after the answer to the last one."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._received = bytearray()
        self._counted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0 or len(self._received) < end + 4 + _content_length(self._received[:end]):
            return
        path, _, query = (
            bytes(self._received[: self._received.find(b"\r\n")]).split()[1].partition(b"?")
        )
        body = bytes(self._received[end:])
        self._received.clear()
        self._serve(path, query, body)

    def _serve(self, path: bytes, query: bytes, body: bytes) -> None:
        if path == b"/latency":
            asked = parse_qs(query.decode())
            self._traffic.latency = float(asked["ms"][0]) / 1000
            self._traffic.opening = float(asked["opening"][0]) / 1000
            self._answer(b"{}")
        elif path == b"/counts":
            self._answer(json.dumps(asdict(self._traffic.take_counts())).encode())
        elif path == b"/arrivals":
            self._answer(json.dumps(self._traffic.arrivals).encode())
        elif path == b"/moments":
            self._answer(json.dumps(self._traffic.moments).encode())
        elif path in TOKEN_PATHS:
            self._count().tokens += 1
            self._answer(TOKEN_ANSWER)
        else:
            counts = self._count()
            counts.messages += 1
            counts.last_at = time.monotonic()
            self._traffic.moments.append(counts.last_at)
            self._note_arrival(body)
            self._accept_message()

    def _count(self) -> Counts:
        counts = self._traffic.counts
        if not self._counted:
            self._counted = True
            counts.connections += 1
        return counts

    def _note_arrival(self, body: bytes) -> None:
        start = body.find(URGENT)
        if start >= 0:
            openid = body[start : body.find(b'"', start)].decode()
            self._traffic.arrivals.setdefault(openid, time.monotonic())

    def _accept_message(self) -> None:
        self._traffic.last_msgid += 1
        body = b'{"errcode":0,"errmsg":"ok","msgid":%d}' % self._traffic.last_msgid
        if self._traffic.latency:
            asyncio.get_running_loop().call_later(self._traffic.latency, self._answer, body)
        else:
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport) and not self._transport.is_closing():
            self._transport.write(
                b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n"
                b"Content-Type: application/json; encoding=utf-8\r\n"
                b"Date: Mon, 23 Nov 2026 03:00:00 GMT\r\nContent-Length: %d\r\n\r\n"
                % len(body)
                + body
            )


def _content_length(head: bytearray) -> int:
    lower = head.lower()
    start = lower.find(b"\r\ncontent-length:")
    return int(lower[start + 17 :].split(b"\r\n", 1)[0]) if start >= 0 else 0


async def serve(certificate: str, key: str) -> None:
    """Serve until the process is ended."""
    traffic = Traffic()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listeners = [_listener(), _listener()]
    print(json.dumps([listener.getsockname()[1] for listener in listeners]), flush=True)
    plain, tls = listeners
    await asyncio.gather(_accept(plain, None, traffic), _accept(tls, context, traffic))


def _listener() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    return listener


async def _accept(
    listener: socket.socket, context: ssl.SSLContext | None, traffic: Traffic
) -> None:
    loop = asyncio.get_running_loop()
    opening: set[asyncio.Task[None]] = set()
    while True:
        accepted, _address = await loop.sock_accept(listener)
        task = loop.create_task(_open(accepted, context, traffic))
        # The loop itself holds a task only weakly.
        opening.add(task)
        task.add_done_callback(opening.discard)


async def _open(accepted: socket.socket, context: ssl.SSLContext | None, traffic: Traffic) -> None:
    """Answer on this connection, once its handshakes would have crossed the network.

    The client has sent its first bytes by then, and waits for an answer to them just as long as if
    they had travelled.
    """
    if traffic.opening:
        await asyncio.sleep(traffic.opening)
    with suppress(OSError):  # a client that has gone meanwhile
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: Connection(traffic), accepted, ssl=context
        )


def keep_to_last_core() -> None:
    """So that the clients' figures do not move with the server's place."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


if __name__ == "__main__":
    keep_to_last_core()
    asyncio.run(serve(*sys.argv[1:3]))

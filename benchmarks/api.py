"""Starting the fake API in its own process, and talking to it."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .wire import PLAIN, Wire


@dataclass(frozen=True)
class Api:
    """A running fake API. ``ca_bundle`` holds certifi's certificates and its own.

    With certifi's, because reading those some 140 certificates for every new connection is a
    cost that the clients measured here have in real life.
    """

    plain: str
    tls: str
    ca_bundle: Path

    def base(self, wire: Wire) -> str:
        return self.tls if wire.tls else self.plain

    def set_latency(self, milliseconds: int, wire: Wire = PLAIN) -> None:
        """Of each message, and of each new connection as ``wire`` has it."""
        self._ask(f"/latency?ms={milliseconds}&opening={wire.opening * milliseconds}")

    def take_counts(self) -> dict[str, Any]:
        """messages, tokens and connections since the last call, and when the last message came."""
        counts: dict[str, Any] = self._ask("/counts")
        return counts

    def arrivals(self) -> dict[str, float]:
        """When the messages to openids that begin with oUrgent came, by CLOCK_MONOTONIC."""
        arrived: dict[str, float] = self._ask("/arrivals")
        return arrived

    def _ask(self, path: str) -> Any:
        with urllib.request.urlopen(self.plain + path, timeout=10) as answer:  # noqa: S310
            return json.load(answer)


@contextmanager
def running(folder: Path) -> Iterator[Api]:
    """The fake API for the length of a with-block; its certificate is written to ``folder``."""
    certificate, key = folder / "api.pem", folder / "api.key"
    write_certificate(certificate, key)
    bundle = folder / "bundle.pem"
    bundle.write_bytes(Path(certifi.where()).read_bytes() + certificate.read_bytes())
    command = [sys.executable, "-m", "benchmarks.server", str(certificate), str(key)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            plain, tls = json.loads(next(iter(process.stdout or ())))
            yield Api(f"http://127.0.0.1:{plain}", f"https://127.0.0.1:{tls}", bundle)
        finally:
            process.terminate()


def write_certificate(certificate: Path, key: Path) -> None:
    """A self-signed certificate of the loopback address for a day, and its key."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(timezone.utc)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )

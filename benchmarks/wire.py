"""What a connection to the fake API costs to open."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wire:
    """``opening``: how many times the latency passes before a new connection is open."""

    title: str
    tls: bool
    opening: int = 0


PLAIN = Wire("plain HTTP", tls=False)
TLS = Wire("TLS", tls=True)
# TCP's handshake is a round trip, that of TLS 1.3 another (RFC 8446, section 2); 1.2 takes two.
NETWORK = Wire("TLS over a network", tls=True, opening=2)
WIRES = (PLAIN, TLS, NETWORK)

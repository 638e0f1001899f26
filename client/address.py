"""Addresses of brokers, as people write them: `host`, `host:port`, `[::1]:port`, several with commas."""

from __future__ import annotations

import re

from ..protocol.values import dataclass

DEFAULT_PORT = 9092

_ADDRESS = re.compile(r"(?:\[(?P<ipv6>[^\]]+)\]|(?P<host>[^\[\]:/\s]+))(?::(?P<port>[0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_addresses(text: str) -> tuple[Address, ...]:
    """The addresses of a bootstrap list; ValueError with one line on what is wrong."""
    addresses = tuple(_parse(part) for part in re.split(r"\s*,\s*", text.strip()) if part)
    if not addresses:
        raise ValueError("no address of a broker given; write HOST:PORT")
    return addresses


def _parse(text: str) -> Address:
    match = _ADDRESS.fullmatch(text)
    port = int(match["port"] or DEFAULT_PORT) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError(f"{text} is not an address of a broker; write HOST:PORT")
    return Address(match["ipv6"] or match["host"], port)

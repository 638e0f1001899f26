"""Listeners: where the broker listens, and the address it tells clients.

    listeners=PLAINTEXT://0.0.0.0:9092       the socket
    advertised.listeners=PLAINTEXT://kafka.example.org:9092      what Metadata says

Clients connect first to the address they were given, and then to the addresses Metadata names; when those
are wrong, nothing works although the first connection did.  So the advertised address is, in this order:

1. what `advertised.listeners` says;
2. the host of the listener, when it has one that others can use;
3. the address at which this very client reached us, when the listener takes every interface;
4. the name of the machine, when no client is at hand to ask.

A port 0 stands for the port that the system gave.

Kafka's texts are kept where Kafka refuses too.  Only PLAINTEXT is spoken yet; the listeners of a Kafka
controller (`controller.listener.names`) are left alone, because there is no such peer here.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ..protocol.values import dataclass
from .setting import InvalidSetting

WILDCARD_HOSTS = frozenset({"", "0.0.0.0", "::"})
"""Hosts that mean every interface; an address to listen on, not one to connect to."""

_ENDPOINT = re.compile(r"(.*)://\[?([0-9a-zA-Z\-%._:]*)\]?:(-?[0-9]{1,9})")
_PROTOCOLS = frozenset({"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"})


@dataclass(frozen=True, slots=True)
class Listener:
    """A named address, to listen on or to connect to.  An empty host is every interface."""

    name: str
    host: str
    port: int

    @property
    def takes_every_interface(self) -> bool:
        return self.host in WILDCARD_HOSTS

    @property
    def address(self) -> str:
        """host:port, an IPv6 host in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.name}://{self.address}"


def parse_listener(text: str) -> Listener:
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 <= int(match[3]) <= 65535:
        raise InvalidSetting(f"Unable to parse {text} to a broker endpoint")
    return Listener(match[1].upper(), match[2], int(match[3]))


def parse_protocols(text: str) -> dict[str, str]:
    """`listener.security.protocol.map`: the protocol of each listener by name."""
    protocols = {}
    for entry in filter(None, re.split(r"\s*,\s*", text)):
        name, colon, protocol = entry.rpartition(":")
        if not colon:
            raise InvalidSetting(
                f"Error parsing configuration property 'listener.security.protocol.map': {entry} is not NAME:PROTOCOL"
            )
        if protocol.upper() not in _PROTOCOLS:
            raise InvalidSetting(f"Invalid security protocol `{protocol}` defined in listener.security.protocol.map")
        protocols[name.upper()] = protocol.upper()
    return protocols


def broker_listeners(
    entries: Sequence[str], *, protocols: Mapping[str, str], controllers: Iterable[str] = ()
) -> tuple[Listener, ...]:
    """The listeners to open: each with a name and a port of its own, none of a controller, all PLAINTEXT."""
    not_ours = {name.upper() for name in controllers}
    listeners = [listener for listener in map(parse_listener, entries) if listener.name not in not_ours]
    for listener in listeners:
        _must_speak_plaintext(listener, protocols)
    _must_differ(listeners)
    if not listeners:
        raise InvalidSetting(f"listeners names none for a broker: {', '.join(entries)}")
    return tuple(listeners)


def _must_speak_plaintext(listener: Listener, protocols: Mapping[str, str]) -> None:
    protocol = protocols.get(listener.name)
    if protocol is None:
        raise InvalidSetting(f"No security protocol defined for listener {listener.name}")
    if protocol != "PLAINTEXT":
        raise InvalidSetting(f"listener {listener.name} is to speak {protocol}: only PLAINTEXT is spoken yet")


def _must_differ(listeners: Sequence[Listener]) -> None:
    shown = f"[{', '.join(map(str, listeners))}]"
    if len({listener.name for listener in listeners}) != len(listeners):
        raise InvalidSetting(f"Each listener must have a different name, listeners: {shown}")
    ports = [listener.port for listener in listeners if listener.port != 0]
    if len(set(ports)) != len(ports):
        raise InvalidSetting(f"Each listener must have a different port, listeners: {shown}")


def advertised_listeners(
    entries: Sequence[str] | None, *, listeners: Sequence[Listener], controllers: Iterable[str] = ()
) -> tuple[Listener, ...]:
    """What to tell the clients of each listener; a host left empty is filled in for each connection."""
    said = [parse_listener(entry) for entry in entries or ()]
    if len({each.name for each in said}) != len(said):
        shown = f"[{', '.join(map(str, said))}]"
        raise InvalidSetting(f"Each listener must have a different name, listeners: {shown}")
    names = {each.name for each in listeners} | {name.upper() for name in controllers}
    for each in said:
        _must_be_reachable(each, names)
    by_name = {each.name: each for each in said}
    return tuple(by_name.get(each.name) or _own_address(each) for each in listeners)


def _must_be_reachable(advertised: Listener, names: set[str]) -> None:
    if advertised.name not in names:
        raise InvalidSetting(
            "advertised.listeners listener names must be equal to or a subset of the ones defined in"
            f" listeners. Found {advertised.name}, known are {', '.join(sorted(names))}."
        )
    if advertised.host in WILDCARD_HOSTS - {""}:
        raise InvalidSetting(
            f"advertised.listeners cannot use the nonroutable meta-address {advertised.host}."
            " Use a routable IP address."
        )


def _own_address(listener: Listener) -> Listener:
    return replace(listener, host="") if listener.takes_every_interface else listener


def as_reached(advertised: Listener, *, bound_port: int, reached_at: str | None = None) -> Listener:
    """`advertised` with nothing left open: the port as bound, the host as this client reached us.

    `reached_at` is the local address of the client's connection (`getsockname()[0]`).
    """
    host = advertised.host or (reached_at or "").removeprefix("::ffff:") or machine_name()
    return replace(advertised, host=host, port=advertised.port or bound_port)


def machine_name() -> str:
    """This machine's name if it leads back to a machine, else the loopback address."""
    name = socket.gethostname()
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return "127.0.0.1"
    return name

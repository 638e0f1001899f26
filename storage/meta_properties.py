"""`meta.properties`: whose log directory this is.

    #
    version=1
    cluster.id=MkU3OEVBNTcwNTJENDM2Qg
    node.id=1
    directory.id=DaVG6qyWSzmOgUU0EnbG-Q

Written when a directory is first used, and from then on a directory opens only for the same cluster and
node. It is a Java properties file; we write the plain subset above and read what Java's own writer makes
of these keys (comments, `=` or `:`, backslash escapes). `directory.id` tells the disks of one node apart
and may be missing in directories of older brokers. Keys we do not know are kept. Kafka's class:
`MetaProperties` (version 1, KRaft).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from ..protocol.values import dataclass, field
from .checkpoint import CorruptCheckpoint, parse_number, read_if_present
from .files import Files
from .partition_metadata import format_uuid, parse_uuid

FILE_NAME = "meta.properties"
VERSION = 1

_KNOWN_KEYS = {"version", "cluster.id", "node.id", "directory.id"}
_LINE = re.compile(r"\s*(?P<key>(?:\\.|[^\\=:\s])+)\s*[=:\s]\s*(?P<value>.*)", re.DOTALL)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROL = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


@dataclass(frozen=True, slots=True)
class MetaProperties:
    """The identity of one log directory."""

    cluster_id: str
    node_id: int
    directory_id: UUID | None
    others: dict[str, str] = field(default_factory=dict)


class ForeignDirectory(Exception):
    """The directory belongs to another node, or another cluster."""

    def __init__(self, directory: str, found: MetaProperties, node_id: int, cluster_id: str | None) -> None:
        ours = f"node {node_id}" + (f" of cluster {cluster_id}" if cluster_id else "")
        super().__init__(f"{directory} belongs to node {found.node_id} of cluster {found.cluster_id}, not to {ours}")


def encode(properties: MetaProperties) -> bytes:
    """The file's bytes."""
    pairs = {
        "version": str(VERSION),
        "cluster.id": properties.cluster_id,
        "node.id": str(properties.node_id),
    }
    if properties.directory_id is not None:
        pairs["directory.id"] = format_uuid(properties.directory_id)
    pairs |= properties.others
    lines = ["#", *(f"{_escape(key)}={_escape(value)}" for key, value in pairs.items())]
    return "".join(f"{line}\n" for line in lines).encode()


def decode(data: bytes, *, path: str) -> MetaProperties:
    """The other way; CorruptCheckpoint says what is wrong."""
    pairs = _parse_pairs(data, path)
    version = pairs.get("version")
    if version != str(VERSION):
        raise CorruptCheckpoint(path, f"is of version {version}, only {VERSION} (KRaft) is known")
    if not pairs.get("cluster.id") or "node.id" not in pairs:
        raise CorruptCheckpoint(path, "lacks cluster.id or node.id")
    return MetaProperties(
        cluster_id=pairs["cluster.id"],
        node_id=parse_number(pairs["node.id"], 2**31 - 1, path),
        directory_id=_parse_directory_id(pairs.get("directory.id"), path),
        others={key: value for key, value in pairs.items() if key not in _KNOWN_KEYS},
    )


def read(files: Files, path: str) -> MetaProperties | None:
    """The properties in the file at `path`; None when there is no file."""
    data = read_if_present(files, path)
    return None if data is None else decode(data, path=path)


def write(files: Files, path: str, properties: MetaProperties) -> None:
    """Durable on return: bytes and name."""
    files.replace_bytes(path, encode(properties))


def claim(
    files: Files, directory: str, *, node_id: int, cluster_id: str | None, new_id: Callable[[], UUID]
) -> MetaProperties:
    """Whose `directory` is: as its file says, else from now on `node_id`'s, durably.

    A directory without the file goes to the cluster `cluster_id` or, if that is None, to one of its own. An id it
    lacks is made. Raises ForeignDirectory, CorruptCheckpoint, OSError.
    """
    path = os.path.join(directory, FILE_NAME)
    found = read(files, path)
    if found is None:
        identity = MetaProperties(cluster_id or format_uuid(new_id()), node_id, new_id())
    elif found.node_id != node_id or cluster_id not in (None, found.cluster_id):
        raise ForeignDirectory(directory, found, node_id, cluster_id)
    elif found.directory_id is None:
        identity = replace(found, directory_id=new_id())
    else:
        return found
    write(files, path, identity)
    return identity


def _parse_directory_id(text: str | None, path: str) -> UUID | None:
    if text is None:
        return None
    try:
        return parse_uuid(text)
    except ValueError as error:
        raise CorruptCheckpoint(path, f"has a bad directory.id: {error}") from error


def _parse_pairs(data: bytes, path: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        if not line.strip() or line.lstrip()[0] in "#!":
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise CorruptCheckpoint(path, f"has the malformed line {line!r}")
        pairs[_unescape(match["key"])] = _unescape(match["value"])
    return pairs


def _escape(text: str) -> str:
    return re.sub(r"[\\=:#! ]", r"\\\g<0>", text)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: _unescape_one(match[1]), text)


def _unescape_one(after: str) -> str:
    if len(after) == 5:
        return chr(int(after[1:], 16))
    return _CONTROL.get(after, after)

"""A Kafka connection for tests that count bytes: blocking, one socket, nothing hidden.

Requests and responses are dicts (see `support.schema`), or raw frames where the point is that they are wrong.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from enum import IntEnum
from types import TracebackType
from typing import Any

from . import schema
from .schema import JSON


class Api(IntEnum):
    """The keys the wire tests know."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    OFFSET_COMMIT = 8
    OFFSET_FETCH = 9
    FIND_COORDINATOR = 10
    JOIN_GROUP = 11
    HEARTBEAT = 12
    LEAVE_GROUP = 13
    SYNC_GROUP = 14
    DESCRIBE_GROUPS = 15
    LIST_GROUPS = 16
    API_VERSIONS = 18
    CREATE_TOPICS = 19
    DELETE_TOPICS = 20
    DELETE_RECORDS = 21
    INIT_PRODUCER_ID = 22
    OFFSET_FOR_LEADER_EPOCH = 23
    ADD_PARTITIONS_TO_TXN = 24
    ADD_OFFSETS_TO_TXN = 25
    END_TXN = 26
    WRITE_TXN_MARKERS = 27
    TXN_OFFSET_COMMIT = 28
    DESCRIBE_CONFIGS = 32
    ALTER_CONFIGS = 33
    ALTER_REPLICA_LOG_DIRS = 34
    DESCRIBE_LOG_DIRS = 35
    CREATE_PARTITIONS = 37
    DELETE_GROUPS = 42
    ELECT_LEADERS = 43
    INCREMENTAL_ALTER_CONFIGS = 44
    OFFSET_DELETE = 47
    ALTER_PARTITION_REASSIGNMENTS = 45
    LIST_PARTITION_REASSIGNMENTS = 46
    DESCRIBE_CLIENT_QUOTAS = 48
    ALTER_CLIENT_QUOTAS = 49
    DESCRIBE_QUORUM = 55
    UPDATE_FEATURES = 57
    DESCRIBE_CLUSTER = 60
    DESCRIBE_PRODUCERS = 61
    DESCRIBE_TRANSACTIONS = 65
    LIST_TRANSACTIONS = 66
    CONSUMER_GROUP_HEARTBEAT = 68
    CONSUMER_GROUP_DESCRIBE = 69
    LIST_CONFIG_RESOURCES = 74
    DESCRIBE_TOPIC_PARTITIONS = 75


# What Apache Kafka 4.3.1 advertises for these.
VERSIONS: dict[Api, range] = {
    Api.PRODUCE: range(3, 14),  # advertised from 0; 0 to 2 close the connection
    Api.FETCH: range(4, 19),
    Api.LIST_OFFSETS: range(1, 12),
    Api.METADATA: range(14),
    Api.OFFSET_COMMIT: range(2, 11),
    Api.OFFSET_FETCH: range(1, 11),
    Api.FIND_COORDINATOR: range(7),
    Api.JOIN_GROUP: range(10),
    Api.HEARTBEAT: range(5),
    Api.LEAVE_GROUP: range(6),
    Api.SYNC_GROUP: range(6),
    Api.DESCRIBE_GROUPS: range(7),
    Api.LIST_GROUPS: range(6),
    Api.API_VERSIONS: range(5),
    Api.CREATE_TOPICS: range(2, 8),
    Api.DELETE_TOPICS: range(1, 7),
    Api.DELETE_RECORDS: range(3),
    Api.INIT_PRODUCER_ID: range(6),
    Api.OFFSET_FOR_LEADER_EPOCH: range(2, 5),
    Api.ADD_PARTITIONS_TO_TXN: range(6),
    Api.ADD_OFFSETS_TO_TXN: range(5),
    Api.END_TXN: range(6),
    Api.WRITE_TXN_MARKERS: range(1, 3),
    Api.TXN_OFFSET_COMMIT: range(6),
    Api.DESCRIBE_CONFIGS: range(1, 5),
    Api.ALTER_CONFIGS: range(3),
    Api.ALTER_REPLICA_LOG_DIRS: range(1, 3),
    Api.DESCRIBE_LOG_DIRS: range(1, 6),
    Api.CREATE_PARTITIONS: range(4),
    Api.DELETE_GROUPS: range(3),
    Api.ELECT_LEADERS: range(3),
    Api.INCREMENTAL_ALTER_CONFIGS: range(2),
    Api.OFFSET_DELETE: range(1),
    Api.ALTER_PARTITION_REASSIGNMENTS: range(2),
    Api.LIST_PARTITION_REASSIGNMENTS: range(1),
    Api.DESCRIBE_CLIENT_QUOTAS: range(2),
    Api.ALTER_CLIENT_QUOTAS: range(2),
    Api.DESCRIBE_QUORUM: range(3),
    Api.UPDATE_FEATURES: range(3),
    Api.DESCRIBE_CLUSTER: range(3),
    Api.DESCRIBE_PRODUCERS: range(1),
    Api.DESCRIBE_TRANSACTIONS: range(1),
    Api.LIST_TRANSACTIONS: range(3),
    Api.CONSUMER_GROUP_HEARTBEAT: range(2),
    Api.CONSUMER_GROUP_DESCRIBE: range(2),
    Api.LIST_CONFIG_RESOURCES: range(2),
    Api.DESCRIBE_TOPIC_PARTITIONS: range(1),
}


class Closed(ConnectionError):
    """The broker closed the connection instead of answering."""


def request_frame(
    api: int, version: int, fields: dict[str, JSON], *, correlation_id: int, client_id: str | None = "wire"
) -> bytes:
    """Header and body, without the length in front."""
    body_schema = schema.schema(api, version, "request")
    header = request_header(
        api, version, correlation_id=correlation_id, client_id=client_id, flexible=body_schema.flexible
    )
    return header + schema.encode(body_schema, fields)


def request_header(
    api: int, version: int, *, correlation_id: int, client_id: str | None = "wire", flexible: bool
) -> bytes:
    """Header version 1, or 2 for flexible bodies: the client id stays a classic string in both."""
    name = b"" if client_id is None else client_id.encode()
    size = -1 if client_id is None else len(name)
    return struct.pack(">hhih", api, version, correlation_id, size) + name + (b"\0" if flexible else b"")


def decode_response(api: int, version: int, frame: bytes) -> tuple[int, dict[str, JSON]]:
    """Correlation id and message.  ApiVersions always has response header 0 (KIP-511)."""
    (correlation_id,) = struct.unpack_from(">i", frame)
    position = 4
    if api != Api.API_VERSIONS and schema.is_flexible(api, version):
        assert frame[4] == 0, "no tagged field is known in a response header"
        position = 5
    if api == Api.API_VERSIONS and frame[4:6] == b"\0\x23":  # UNSUPPORTED_VERSION: always in the form of v0
        version = 0
    return correlation_id, schema.decode(schema.schema(api, version, "response"), frame[position:])


class Connection:
    """One connection; `call` for one question and answer, `send` and `receive` for anything else."""

    def __init__(self, port: int, *, host: str = "127.0.0.1", timeout_s: float = 60) -> None:
        self._timeout_s = timeout_s
        self._socket = socket.create_connection((host, port), timeout=timeout_s)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._stream = self._socket.makefile("rb")
        self._next_correlation_id = 1

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, api: int, version: int, /, **fields: Any) -> dict[str, JSON]:
        """Send a request and return its decoded response."""
        correlation_id = self._next_correlation_id
        self._next_correlation_id += 1
        self.send(request_frame(api, version, fields, correlation_id=correlation_id))
        answered, message = decode_response(api, version, self.receive())
        assert answered == correlation_id
        return message

    def send(self, frame: bytes) -> None:
        self.send_bytes(struct.pack(">i", len(frame)) + frame)

    def send_bytes(self, data: bytes) -> None:
        """Raw bytes.  A broker may close while we still write, which is then found out by `receive`."""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def receive(self) -> bytes:
        """The next frame, without its length; `Closed` if the broker hung up, TimeoutError if it is silent."""
        try:
            size = self._stream.read(4)
            if len(size) < 4:
                raise Closed
            frame = self._stream.read(struct.unpack(">i", size)[0])
        except ConnectionResetError as reset:
            raise Closed from reset
        return frame

    def is_silent_for(self, seconds: float) -> bool:
        """Nothing arrives for so long, and the connection stays open."""
        self._socket.settimeout(seconds)
        try:
            return self._socket.recv(1, socket.MSG_PEEK) is None
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(self._timeout_s)

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

"""A Kafka connection for load: blocking, one socket, requests made once and sent as bytes again and again.

What is measured is the broker, so the client must cost little and the same whoever answers.  A request is encoded once; its
answers all have one size and are looked at where their error code lies.  Versions are the newest that Apache Kafka 4.3.1
speaks, which the Java client would choose, too.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any
from uuid import UUID

from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)
from ottla.protocol.records import BatchBuilder

CLIENT_ID = "bench"
SIZE = struct.Struct(">i")
TIMEOUT_S = 120.0
LEADERS_TIMEOUT_S = 600.0
"""Apache Kafka takes minutes to make 10,000 partitions."""
PARTITIONS_AT_A_TIME = 5_000
"""A controller takes at most 10,000 records in one operation."""

VERSIONS: dict[ApiKey, int] = {
    ApiKey.PRODUCE: 13,
    ApiKey.FETCH: 17,
    ApiKey.METADATA: 12,
    ApiKey.CREATE_TOPICS: 7,
    ApiKey.DELETE_TOPICS: 6,
    ApiKey.CREATE_PARTITIONS: 3,
    ApiKey.FIND_COORDINATOR: 4,
    ApiKey.JOIN_GROUP: 9,
    ApiKey.SYNC_GROUP: 5,
    ApiKey.HEARTBEAT: 4,
    ApiKey.LEAVE_GROUP: 5,
    ApiKey.OFFSET_COMMIT: 9,
}


def address_of(bootstrap: str) -> tuple[str, int]:
    """`host:port` taken apart."""
    host, _, port = bootstrap.rpartition(":")
    return host, int(port)


def frame(key: ApiKey, message: Message, *, correlation_id: int = 1) -> bytes:
    """A request as it goes over the wire, its size in front."""
    version = VERSIONS[key]
    header = encode_request_header(key, version, correlation_id, CLIENT_ID)
    body = encode_request(key, version, message)
    return SIZE.pack(len(header) + len(body)) + header + body


def answer(key: ApiKey, response: bytes) -> Message:
    """The message in a response frame (without its size)."""
    version = VERSIONS[key]
    header = decode_response_header(key, version, response)
    return decode_response(key, version, response[header.body_position :])


class Connection:
    """One socket; `call` asks and waits, `send` and `receive` are for those who keep several requests in flight."""

    def __init__(self, bootstrap: str, *, timeout_s: float = TIMEOUT_S) -> None:
        self.socket = socket.create_connection(address_of(bootstrap), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def call(self, key: ApiKey, **fields: Any) -> Message:
        self.socket.sendall(frame(key, Message(**fields)))
        return answer(key, self.receive())

    def receive(self) -> bytes:
        """The next response frame, without its size."""
        while (response := self.take()) is None:
            self.fill()
        return response

    def fill(self) -> None:
        """Receive what there is, at least one byte."""
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the broker closed the connection")
        self._buffer += data

    def take(self) -> bytes | None:
        """The next response if all of it has come."""
        buffer = self._buffer
        if len(buffer) < SIZE.size:
            return None
        end = SIZE.size + SIZE.unpack_from(buffer)[0]
        if len(buffer) < end:
            return None
        response = bytes(buffer[SIZE.size : end])
        del buffer[:end]
        return response


def create_topic(bootstrap: str, name: str, *, partitions: int = 1, configs: dict[str, str] | None = None) -> UUID:
    """Make a topic of one replica and return its id, once its partitions have a leader, and it serves them."""
    asked = Message(
        name=name,
        num_partitions=min(partitions, PARTITIONS_AT_A_TIME),
        replication_factor=1,
        assignments=[],
        configs=[Message(name=key, value=value) for key, value in (configs or {}).items()],
    )
    with Connection(bootstrap, timeout_s=600) as connection:
        made = connection.call(ApiKey.CREATE_TOPICS, topics=[asked], timeout_ms=600_000, validate_only=False)
        (topic,) = made.topics
        if topic.error_code:
            raise RuntimeError(f"{name} was not created: {topic.error_code!r} {topic.error_message}")
        for count in range(2 * PARTITIONS_AT_A_TIME, partitions + PARTITIONS_AT_A_TIME, PARTITIONS_AT_A_TIME):
            _grow(connection, name, min(count, partitions))
        topic_id = UUID(bytes=topic.topic_id.bytes)
        _wait(lambda: _has_leaders(connection, name, partitions), name)
        _wait(lambda: _is_served(connection, topic_id, partitions), name)
        return topic_id


def _grow(connection: Connection, name: str, count: int) -> None:
    wanted = Message(name=name, count=count, assignments=None)
    grown = connection.call(ApiKey.CREATE_PARTITIONS, topics=[wanted], timeout_ms=600_000, validate_only=False)
    if grown.results[0].error_code:
        raise RuntimeError(f"{name} did not grow: {grown.results[0].error_code!r} {grown.results[0].error_message}")


def _wait(holds: Callable[[], bool], name: str) -> None:
    deadline = time.monotonic() + LEADERS_TIMEOUT_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name} has no leaders")
        time.sleep(0.02)  # another process's work has no event to wait for


def _has_leaders(connection: Connection, name: str, partitions: int) -> bool:
    asked = Message(topic_id=UUID(int=0), name=name)
    (topic,) = connection.call(ApiKey.METADATA, topics=[asked], allow_auto_topic_creation=False).topics
    led = sum(not each.error_code and each.leader_id >= 0 for each in topic.partitions)
    return not topic.error_code and led == partitions


def _is_served(connection: Connection, topic: UUID, partitions: int) -> bool:
    """Apache Kafka tells of a new partition's leader before that leader takes requests for it."""
    wanted = [Message(partition=index, fetch_offset=0, partition_max_bytes=1) for index in range(partitions)]
    (told,) = connection.call(ApiKey.FETCH, **fetch_fields(topic, wanted, max_wait_ms=0)).responses
    return not any(each.error_code for each in told.partitions)


def fetch_fields(topic: UUID, partitions: list[Message], *, max_wait_ms: int) -> dict[str, Any]:
    """What a Fetch outside of any session asks for."""
    return {
        "max_wait_ms": max_wait_ms,
        "min_bytes": 1,
        "max_bytes": 50 << 20,
        "isolation_level": 0,
        "session_id": 0,
        "session_epoch": -1,
        "topics": [Message(topic_id=topic, partitions=partitions)],
        "forgotten_topics_data": [],
        "rack_id": "",
    }


def delete_topic(bootstrap: str, name: str) -> None:
    """Delete a topic, so that its data do not fill the disk. RuntimeError where the broker keeps it."""
    with Connection(bootstrap) as connection:
        asked = Message(name=name, topic_id=UUID(int=0))
        (gone,) = connection.call(ApiKey.DELETE_TOPICS, topics=[asked], timeout_ms=60_000).responses
        if gone.error_code:
            raise RuntimeError(f"{name} was not deleted: {gone.error_code!r} {gone.error_message}")


def batch(records: int, size_bytes: int) -> bytes:
    """A batch of so many records whose values have so many bytes."""
    builder = BatchBuilder()
    now_ms = int(time.time() * 1000)
    for _ in range(records):
        builder.append(now_ms, None, b"v" * size_bytes)
    return bytes(builder.build())


def produce_frame(topic: UUID, partition: int, records: bytes, *, acks: int) -> bytes:
    """A Produce request for one partition."""
    data = Message(topic_id=topic, partition_data=[Message(index=partition, records=records)])
    message = Message(transactional_id=None, acks=acks, timeout_ms=30_000, topic_data=[data])
    return frame(ApiKey.PRODUCE, message)


PRODUCE_RESPONSE_BYTES = 4 + 4 + 1 + 1 + 16 + 1 + (4 + 2 + 8 + 8 + 8 + 1 + 1 + 1) + 1 + 4 + 1
"""A whole response to `produce_frame`, with its size, when all went well."""
PRODUCE_ERROR_AT = 4 + 4 + 1 + 1 + 16 + 1 + 4


def must_have_taken(response: bytes) -> None:
    """RuntimeError where the answer to `produce_frame` (without its size) is a refusal."""
    error = response[PRODUCE_ERROR_AT - SIZE.size :][:2]
    if error != b"\0\0":
        raise RuntimeError(f"the broker did not take what was produced: error {int.from_bytes(error, 'big')}")

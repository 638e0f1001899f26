"""Batches of ours in every codec, produced into Apache Kafka with our own messages and read by other clients."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from confluent_kafka import Consumer, TopicPartition
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.frames import encode_frame
from ottla.protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)
from ottla.protocol.records import BatchBuilder, Codec, iter_headers, iter_records
from support.apache_kafka import ApacheKafka, needs_java, run_tool

TOPIC = "ours"
TEXT = "words that repeat themselves, " * 40
RECORDS = 200  # a batch of some 240 KB: several blocks of snappy and lz4


class Connection:
    """One request at a time, written and read with `protocol` alone."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._stream = self._socket.makefile("rb")

    def ask(self, key: ApiKey, version: int, request: Message) -> Message:
        header = encode_request_header(key, version, 7, "ottla")
        self._socket.sendall(encode_frame(header, encode_request(key, version, request)))
        size = int.from_bytes(self._stream.read(4), "big")
        frame = memoryview(self._stream.read(size))
        answer = decode_response_header(key, version, frame)
        assert answer.correlation_id == 7
        return decode_response(key, version, frame[answer.body_position :])

    def close(self) -> None:
        self._stream.close()
        self._socket.close()


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    with ApacheKafka(tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka


@pytest.fixture(scope="module")
def connection(kafka: ApacheKafka) -> Iterator[Connection]:
    connection = Connection(kafka.port)
    request = Message(topics=[Message(name=TOPIC, num_partitions=1, replication_factor=1)], timeout_ms=20_000)
    (topic,) = connection.ask(ApiKey.CREATE_TOPICS, 7, request).topics
    assert topic.error_code == 0, topic
    for codec in Codec:
        produce(connection, codec)
    yield connection
    connection.close()


def produce(connection: Connection, codec: Codec) -> None:
    builder = BatchBuilder(codec)
    for index in range(RECORDS):
        headers: list[tuple[str, bytes | None]] = [("codec", codec.name.encode()), ("null", None)]
        builder.append(1_700_000_000_000 + index, b"%s-%d" % (codec.name.encode(), index), TEXT.encode(), headers)
    partitions = [Message(index=0, records=builder.build())]
    request = Message(acks=-1, timeout_ms=20_000, topic_data=[Message(name=TOPIC, partition_data=partitions)])
    deadline = time.monotonic() + 20
    while True:
        (partition,) = connection.ask(ApiKey.PRODUCE, 9, request).responses[0].partition_responses
        if partition.error_code != ErrorCode.NOT_LEADER_OR_FOLLOWER or time.monotonic() > deadline:
            break
        time.sleep(0.01)  # Kafka tells of a topic that it has made a moment before it leads its partitions
    assert partition.error_code == 0, partition


def all_keys() -> list[str]:
    return [f"{codec.name}-{index}" for codec in Codec for index in range(RECORDS)]


@needs_java
def test_javas_consumer_reads_them(kafka: ApacheKafka, connection: Connection):
    options = ["print.key=true", "print.headers=true", "print.timestamp=true", "print.offset=true"]
    said = run_tool(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *("--bootstrap-server", kafka.bootstrap, "--topic", TOPIC, "--from-beginning"),
        *("--max-messages", str(len(all_keys())), "--timeout-ms", "30000"),
        *(word for option in options for word in ("--formatter-property", option)),
    )
    lines = [line.split("\t") for line in said.stdout.splitlines()]
    assert [line[3] for line in lines] == all_keys()
    assert {line[4] for line in lines} == {TEXT}
    assert lines[-1][:3] == ["CreateTime:1700000000199", f"Offset:{len(lines) - 1}", "codec:ZSTD,null:null"]


@needs_java
def test_librdkafka_reads_them(kafka: ApacheKafka, connection: Connection):
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap, "group.id": "none", "check.crcs": True})
    consumer.assign([TopicPartition(TOPIC, 0, 0)])
    messages = []
    while len(messages) < len(all_keys()):
        message = consumer.poll(20)
        assert message is not None
        assert message.error() is None
        messages.append(message)
    consumer.close()
    assert [message.key().decode() for message in messages] == all_keys()
    assert {message.value().decode() for message in messages} == {TEXT}


@needs_java
def test_we_read_them_back(connection: Connection):
    partition = Message(partition=0, fetch_offset=0, partition_max_bytes=10_000_000)
    topics = [Message(topic=TOPIC, partitions=[partition])]
    answer = connection.ask(ApiKey.FETCH, 11, Message(max_wait_ms=100, min_bytes=1, topics=topics))
    (fetched,) = answer.responses[0].partitions
    records = fetched.records
    keys = [
        (record.key or b"").decode()
        for at, _ in iter_headers(records)
        for record in iter_records(records, at, max_decompressed_bytes=1_000_000)
    ]
    assert keys == all_keys()


@needs_java
def test_kafkas_dump_finds_nothing_wrong(kafka: ApacheKafka, connection: Connection):
    segment = kafka.log_directory / f"{TOPIC}-0" / "00000000000000000000.log"
    said = run_tool("org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--files", str(segment))
    batches = [line for line in said.stdout.splitlines() if line.startswith("baseOffset")]
    assert [line.split("compresscodec: ")[1].split()[0] for line in batches] == [codec.name.lower() for codec in Codec]
    assert all("isvalid: true" in line for line in batches)

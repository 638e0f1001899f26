"""A small model of a cluster's brokers, told by Kafka's rules and nothing of ours but the codecs.

It answers ApiVersions, Metadata, InitProducerId and Produce, keeps every partition as a list of records, and knows
what a leader knows of idempotent producers: the last five batches of each, by epoch and sequence.  A test moves leaders,
and sets what a broker refuses, between requests.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from uuid import UUID

from ottla.client.address import Address
from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.frames import encode_frame
from ottla.protocol.messages import (
    Message,
    decode_request,
    decode_request_header,
    encode_response,
    encode_response_header,
)
from ottla.protocol.records import BatchHeader, Record, crc_is_valid, iter_records, read_header

REMEMBERED_BATCHES = 5
_SEQUENCES = 2**31


@dataclass
class ProducerState:
    """What a partition's leader knows of a producer."""

    epoch: int
    batches: deque[tuple[int, int, int]] = field(default_factory=lambda: deque(maxlen=REMEMBERED_BATCHES))
    """First sequence, last sequence, base offset."""


@dataclass
class ModelPartition:
    """A log, and who leads it."""

    leader_id: int
    leader_epoch: int = 0
    records: list[Record] = field(default_factory=list)
    producers: dict[int, ProducerState] = field(default_factory=dict)
    max_batch_bytes: int = 1 << 30

    def append(self, batch: bytes | memoryview) -> tuple[ErrorCode, int]:
        """The error, and the offset of the first record."""
        header = read_header(batch)
        assert crc_is_valid(batch, 0, header), "the batch is damaged"
        assert header.size_bytes == len(batch), "not exactly one batch"
        if len(batch) > self.max_batch_bytes:
            return ErrorCode.MESSAGE_TOO_LARGE, -1
        error, offset = self._check_sequence(header)
        if error is not ErrorCode.NONE or offset >= 0:
            return error, offset
        offset = len(self.records)
        self.records += iter_records(batch, max_decompressed_bytes=1 << 30)
        if header.producer_id >= 0:
            state = self.producers.get(header.producer_id)
            if state is None or state.epoch != header.producer_epoch:
                state = self.producers[header.producer_id] = ProducerState(header.producer_epoch)
            state.batches.append((header.base_sequence, header.last_sequence, offset))
        return ErrorCode.NONE, offset

    def _check_sequence(self, header: BatchHeader) -> tuple[ErrorCode, int]:
        """An error, or the offset of a batch that is there already, or -1 for one to write."""
        state = self.producers.get(header.producer_id)
        if header.producer_id < 0 or state is None:
            return ErrorCode.NONE, -1  # an unknown producer may begin anywhere
        if header.producer_epoch < state.epoch:
            return ErrorCode.INVALID_PRODUCER_EPOCH, -1
        if header.producer_epoch > state.epoch:
            return (ErrorCode.NONE if header.base_sequence == 0 else ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER), -1
        for first, last, offset in state.batches:
            if (first, last) == (header.base_sequence, header.last_sequence):
                return ErrorCode.NONE, offset
        expected = (state.batches[-1][1] + 1) % _SEQUENCES
        return (ErrorCode.NONE if header.base_sequence == expected else ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER), -1


class ModelCluster:
    """Brokers with ids from 1 on, at `address_of(id)`."""

    def __init__(self, topics: dict[str, int], *, brokers: int = 1, random: Random | None = None) -> None:
        self.brokers = range(1, brokers + 1)
        self.random = random or Random(0)
        self.ids = {name: UUID(int=number + 1) for number, name in enumerate(topics)}
        self.partitions = {
            (name, index): ModelPartition(self.random.choice(self.brokers))
            for name, count in topics.items()
            for index in range(count)
        }
        self.produce_refusals: Callable[[str, int], ErrorCode] = lambda topic, index: ErrorCode.NONE
        self.topic_errors: dict[str, ErrorCode] = {}
        self.init_producer_errors: list[ErrorCode] = []
        self.silent: set[ApiKey] = set()  # requests that are done and never answered
        self.deaf: set[ApiKey] = set()  # requests that are neither done nor answered
        self.versions = {key: (api.min_version, api.max_version) for key, api in SUPPORTED.items()}
        self.asked: list[tuple[ApiKey, int]] = []
        self._next_producer_id = 1000

    @staticmethod
    def address_of(node_id: int) -> Address:
        return Address(f"broker-{node_id}", 9092)

    def accept(self, node_id: int) -> ModelConnection:
        return ModelConnection(self, node_id)

    def move(self, topic: str, index: int) -> None:
        """Elect another leader, if there is another broker."""
        partition = self.partitions[topic, index]
        partition.leader_id = self.random.choice(self.brokers)
        partition.leader_epoch += 1

    # -- answers

    def answer(self, node_id: int, key: ApiKey, version: int, request: Message) -> Message | None:
        self.asked.append((key, version))
        if key in self.deaf:
            return None
        answers = {
            ApiKey.API_VERSIONS: self._api_versions,
            ApiKey.METADATA: self._metadata,
            ApiKey.INIT_PRODUCER_ID: self._init_producer_id,
        }
        answer = self._produce(node_id, request) if key is ApiKey.PRODUCE else answers[key](request)
        return None if key in self.silent else answer

    def _api_versions(self, request: Message) -> Message:
        keys = [Message(api_key=key, min_version=low, max_version=high) for key, (low, high) in self.versions.items()]
        return Message(error_code=ErrorCode.NONE, api_keys=keys)

    def _metadata(self, request: Message) -> Message:
        names = list(self.ids) if request.topics is None else [topic.name for topic in request.topics]
        brokers = [
            Message(node_id=each, host=self.address_of(each).host, port=9092, rack=None) for each in self.brokers
        ]
        return Message(
            brokers=brokers, cluster_id="model", controller_id=1, topics=[self._topic(each) for each in names]
        )

    def _topic(self, name: str) -> Message:
        error = self.topic_errors.get(name, ErrorCode.NONE)
        if name not in self.ids and not error:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        if error:
            return Message(name=name, error_code=error, partitions=[])
        return Message(
            name=name,
            topic_id=self.ids[name],
            error_code=ErrorCode.NONE,
            partitions=[
                Message(
                    partition_index=index,
                    leader_id=partition.leader_id,
                    leader_epoch=partition.leader_epoch,
                    replica_nodes=list(self.brokers),
                    isr_nodes=list(self.brokers),
                    error_code=ErrorCode.NONE,
                )
                for (topic, index), partition in self.partitions.items()
                if topic == name
            ],
        )

    def _init_producer_id(self, request: Message) -> Message:
        if self.init_producer_errors:
            return Message(error_code=self.init_producer_errors.pop(0))
        self._next_producer_id += 1
        return Message(error_code=ErrorCode.NONE, producer_id=self._next_producer_id, producer_epoch=0)

    def _produce(self, node_id: int, request: Message) -> Message | None:
        answers = []
        for topic in request.topic_data:
            name = topic.name or next((name for name, each in self.ids.items() if each == topic.topic_id), None)
            partitions = [self._produce_one(node_id, name, each) for each in topic.partition_data]
            answers.append(Message(name=topic.name, topic_id=topic.topic_id, partition_responses=partitions))
        return Message(responses=answers) if request.acks != 0 else None

    def _produce_one(self, node_id: int, name: str | None, request: Message) -> Message:
        partition = self.partitions.get((name or "", request.index))
        offset = -1
        if partition is None or name is None:
            error = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        elif partition.leader_id != node_id:
            error = ErrorCode.NOT_LEADER_OR_FOLLOWER
        else:
            error = self.produce_refusals(name, request.index)
            if error is ErrorCode.NONE:
                error, offset = partition.append(request.records)
        return Message(
            index=request.index, error_code=error, base_offset=offset, log_append_time_ms=-1, log_start_offset=0
        )

    # -- what is written

    def values(self, topic: str, index: int) -> list[bytes | None]:
        return [record.value for record in self.partitions[topic, index].records]

    def all_values(self, topics: Sequence[str] | None = None) -> list[bytes | None]:
        return [record.value for (topic, _), each in self.partitions.items() for record in each.records]


class ModelConnection:
    """One connection to one of the brokers; requests are done in the order of their last byte."""

    def __init__(self, cluster: ModelCluster, node_id: int) -> None:
        self._cluster = cluster
        self._node_id = node_id
        self._buffer = bytearray()

    def received(self, data: bytes) -> bytes:
        self._buffer += data
        out = bytearray()
        while len(self._buffer) >= 4:
            (size,) = struct.unpack_from(">i", self._buffer)
            if len(self._buffer) < 4 + size:
                break
            frame = bytes(self._buffer[4 : 4 + size])
            del self._buffer[: 4 + size]
            out += self._answer(frame)
        return bytes(out)

    def _answer(self, frame: bytes) -> bytes:
        header = decode_request_header(frame)
        key, version = ApiKey(header.api_key), header.api_version
        request = decode_request(key, version, memoryview(frame)[header.body_position :])
        answer = self._cluster.answer(self._node_id, key, version, request)
        if answer is None:
            return b""
        body = encode_response(key, version, answer)
        return encode_frame(encode_response_header(key, version, header.correlation_id), body)

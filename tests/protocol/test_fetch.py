"""The hand-written Fetch codec beside kio's own serializer, for every version."""

import contextlib
import datetime
import io
import uuid
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from ottla.protocol.errors import ErrorCode, MalformedMessage
from ottla.protocol.fetch import (
    FetchAnswer,
    FetchPartition,
    FetchRequest,
    FetchResponse,
    read_request,
    size_of,
    write_response,
)
from ottla.protocol.produce import TopicKey

VERSIONS = range(4, 19)
TOPIC_IDS_FROM = 13

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)


def topic_keys(version: int) -> st.SearchStrategy[TopicKey]:
    return st.uuids().filter(lambda each: each.int != 0) if version >= TOPIC_IDS_FROM else names


@st.composite
def requests(draw: st.DrawFn) -> tuple[int, FetchRequest]:
    version = draw(st.sampled_from(VERSIONS))
    partitions = st.builds(
        FetchPartition,
        index=int32,
        fetch_offset=int64,
        max_bytes=int32,
        current_leader_epoch=int32 if version >= 9 else st.just(-1),
        last_fetched_epoch=int32 if version >= 12 else st.just(-1),
        log_start_offset=int64 if version >= 5 else st.just(-1),
    )
    topics = st.lists(st.tuples(topic_keys(version), st.lists(partitions, max_size=3)), max_size=3)
    forgotten = st.lists(st.tuples(topic_keys(version), st.lists(int32, max_size=3)), max_size=2)
    return version, FetchRequest(
        replica_id=draw(int32),
        max_wait_ms=draw(st.integers(0, 2**31 - 1)),
        min_bytes=draw(int32),
        max_bytes=draw(int32),
        isolation_level=draw(st.integers(0, 1)),
        session_id=draw(int32) if version >= 7 else 0,
        session_epoch=draw(int32) if version >= 7 else -1,
        topics=draw(topics),
        forgotten=draw(forgotten) if version >= 7 else [],
    )


def written(version: int, request: FetchRequest) -> bytes:
    schema = load_request_schema(1, version)
    module = __import__(schema.__module__, fromlist=["x"])
    fields = {each.name for each in schema.__dataclass_fields__.values()}
    partition_fields = set(module.FetchPartition.__dataclass_fields__)
    key = "topic_id" if version >= TOPIC_IDS_FROM else "topic"

    def partition(each: FetchPartition) -> object:
        values = {
            "partition": each.index,
            "fetch_offset": each.fetch_offset,
            "partition_max_bytes": each.max_bytes,
            "current_leader_epoch": each.current_leader_epoch,
            "last_fetched_epoch": each.last_fetched_epoch,
            "log_start_offset": each.log_start_offset,
        }
        return module.FetchPartition(**{name: value for name, value in values.items() if name in partition_fields})

    values: dict[str, object] = {
        "replica_id": request.replica_id,
        "max_wait": datetime.timedelta(milliseconds=request.max_wait_ms),
        "min_bytes": request.min_bytes,
        "max_bytes": request.max_bytes,
        "isolation_level": request.isolation_level,
        "session_id": request.session_id,
        "session_epoch": request.session_epoch,
        "topics": tuple(
            module.FetchTopic(**{key: topic}, partitions=tuple(map(partition, partitions)))
            for topic, partitions in request.topics
        ),
        "rack_id": "rack",
        "cluster_id": "cluster",
    }
    if version >= 7:
        values["forgotten_topics_data"] = tuple(
            module.ForgottenTopic(**{key: topic}, partitions=tuple(indexes)) for topic, indexes in request.forgotten
        )
    if version >= 15:
        values["replica_state"] = module.ReplicaState(replica_id=request.replica_id)
    out = io.BytesIO()
    entity_writer(schema)(out, schema(**{name: value for name, value in values.items() if name in fields}))
    return out.getvalue()


@given(requests(), st.binary(max_size=5), st.binary(max_size=5))
def test_a_request_reads_as_it_was_written(request: tuple[int, FetchRequest], before: bytes, after: bytes) -> None:
    version, expected = request
    frame = memoryview(before + written(version, expected) + after)
    assert read_request(frame, len(before), version) == expected


@given(requests(), st.data())
def test_a_request_cut_short_is_malformed(request: tuple[int, FetchRequest], data: st.DataObject) -> None:
    whole = written(*request)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedMessage):
        read_request(memoryview(whole[:cut]), 0, request[0])


@given(requests(), st.data())
def test_a_mutated_request_is_read_or_malformed(request: tuple[int, FetchRequest], data: st.DataObject) -> None:
    mutated = bytearray(written(*request))
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(MalformedMessage):
        read_request(memoryview(mutated), 0, request[0])


@dataclass
class Elsewhere:
    """Records that are still in their file."""

    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data)


answers = st.builds(
    FetchAnswer,
    index=int32,
    error=st.sampled_from(ErrorCode),
    high_watermark=int64,
    last_stable_offset=int64,
    log_start_offset=int64,
    aborted=st.none() | st.lists(st.tuples(int64, int64), max_size=2),
    records=st.binary(max_size=200) | st.builds(Elsewhere, st.binary(max_size=200)),
    diverging=st.none() | st.tuples(int32, int64),
    current_leader=st.none() | st.tuples(int32, int32),
)


def joined(parts: list[object]) -> bytes:
    return b"".join(part if isinstance(part, bytes) else part.data for part in parts)  # type: ignore[attr-defined]


@given(st.data(), st.sampled_from(VERSIONS), int32)
def test_a_response_is_what_kio_reads(data: st.DataObject, version: int, session_id: int) -> None:
    topics = data.draw(st.lists(st.tuples(topic_keys(version), st.lists(answers, max_size=3)), max_size=3))
    parts = write_response(FetchResponse(ErrorCode.NONE, session_id, topics), version)
    body = joined(list(parts))
    assert size_of(parts) == len(body)
    entity, size = entity_reader(load_response_schema(1, version))(body, 0)
    assert size == len(body)
    if version >= 7:
        assert entity.session_id == session_id
    for (topic, expected), read in zip(topics, entity.responses, strict=True):
        assert (read.topic_id if isinstance(topic, uuid.UUID) else read.topic) == topic
        for answer, partition in zip(expected, read.partitions, strict=True):
            _assert_same(answer, partition, version)


def _assert_same(answer: FetchAnswer, partition: object, version: int) -> None:
    read = {name: getattr(partition, name, None) for name in ("partition_index", "error_code", "high_watermark")}
    assert read == {
        "partition_index": answer.index,
        "error_code": answer.error,
        "high_watermark": answer.high_watermark,
    }
    records = answer.records if isinstance(answer.records, bytes) else answer.records.data  # type: ignore[attr-defined]
    assert bytes(partition.records) == records  # type: ignore[attr-defined]
    aborted = partition.aborted_transactions  # type: ignore[attr-defined]
    assert (None if aborted is None else [(each.producer_id, each.first_offset) for each in aborted]) == answer.aborted
    if version >= 12:
        diverging = partition.diverging_epoch  # type: ignore[attr-defined]
        assert (diverging.epoch, diverging.end_offset) == (answer.diverging or (-1, -1))
        leader = partition.current_leader  # type: ignore[attr-defined]
        assert (leader.leader_id, leader.leader_epoch) == (answer.current_leader or (-1, -1))

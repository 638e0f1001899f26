"""The hand-written Produce codec beside kio's own serializer, for every version."""

import io
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from ottla.protocol.errors import ErrorCode, MalformedMessage
from ottla.protocol.produce import ProduceAnswer, TopicKey, read_request, write_response

VERSIONS = range(3, 14)
TOPIC_IDS_FROM = 13

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)
int32 = st.integers(-(2**31), 2**31 - 1)
int64 = st.integers(-(2**63), 2**63 - 1)


def topic_keys(version: int) -> st.SearchStrategy[TopicKey]:
    return st.uuids().filter(lambda each: each.int != 0) if version >= TOPIC_IDS_FROM else names


def kio_request(
    version: int, body: dict[str, object], topics: list[tuple[TopicKey, list[tuple[int, bytes | None]]]]
) -> bytes:
    schema = load_request_schema(0, version)
    module = __import__(schema.__module__, fromlist=["x"])
    key = "topic_id" if version >= TOPIC_IDS_FROM else "name"
    entity = schema(
        **body,
        topic_data=tuple(
            module.TopicProduceData(
                **{key: topic},
                partition_data=tuple(module.PartitionProduceData(index=i, records=r) for i, r in partitions),
            )
            for topic, partitions in topics
        ),
    )
    out = io.BytesIO()
    entity_writer(schema)(out, entity)
    return out.getvalue()


@st.composite
def requests(
    draw: st.DrawFn,
) -> tuple[int, str | None, int, int, list[tuple[TopicKey, list[tuple[int, bytes | None]]]]]:
    version = draw(st.sampled_from(VERSIONS))
    records = st.none() | st.binary(max_size=300)
    topics = draw(st.lists(st.tuples(topic_keys(version), st.lists(st.tuples(int32, records), max_size=3)), max_size=3))
    return version, draw(st.none() | names), draw(st.integers(-1, 1)), draw(st.integers(0, 2**31 - 1)), topics


def written(request: tuple[int, str | None, int, int, list[tuple[TopicKey, list[tuple[int, bytes | None]]]]]) -> bytes:
    import datetime

    version, transactional_id, acks, timeout_ms, topics = request
    body = {
        "transactional_id": transactional_id,
        "acks": acks,
        "timeout": datetime.timedelta(milliseconds=timeout_ms),
    }
    return kio_request(version, body, topics)


@given(requests(), st.binary(max_size=5), st.binary(max_size=5))
def test_a_request_reads_as_it_was_written(request, before: bytes, after: bytes) -> None:  # type: ignore[no-untyped-def]
    version, transactional_id, acks, timeout_ms, topics = request
    frame = memoryview(before + written(request) + after)
    read = read_request(frame, len(before), version)
    assert (read.transactional_id, read.acks, read.timeout_ms) == (transactional_id, acks, timeout_ms)
    assert [
        (
            topic,
            [(each.index, bytes(frame[each.start : each.end]) if each.start >= 0 else None) for each in partitions],
        )
        for topic, partitions in read.topics
    ] == topics


@given(requests(), st.data())
def test_a_request_cut_short_is_malformed(request, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    whole = written(request)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(MalformedMessage):
        read_request(memoryview(whole[:cut]), 0, request[0])


@given(requests(), st.data())
def test_a_mutated_request_is_read_or_malformed(request, data: st.DataObject) -> None:  # type: ignore[no-untyped-def]
    mutated = bytearray(written(request))
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = read_request(memoryview(mutated), 0, request[0])
    except MalformedMessage:
        return
    for _, partitions in read.topics:
        assert all(-1 <= each.start <= each.end <= len(mutated) for each in partitions)


answers = st.builds(
    ProduceAnswer,
    index=int32,
    error=st.sampled_from(ErrorCode),
    base_offset=int64,
    log_append_time_ms=st.just(-1) | st.integers(0, 2**41),
    log_start_offset=int64,
    message=st.none() | names,
    record_errors=st.lists(st.tuples(int32, st.none() | names), max_size=2),
)


@given(st.data(), st.sampled_from(VERSIONS))
def test_a_response_is_what_kio_reads(data: st.DataObject, version: int) -> None:
    topics = data.draw(st.lists(st.tuples(topic_keys(version), st.lists(answers, max_size=3)), max_size=3))
    for _, of_topic in topics:
        for each in of_topic:
            each.log_append_time_ms = max(each.log_append_time_ms, 0)  # kio refuses -1
    schema = load_response_schema(0, version)
    body = write_response(topics, version)
    entity, size = entity_reader(schema)(body, 0)
    assert size == len(body)
    assert len(entity.responses) == len(topics)
    for (topic, expected), read in zip(topics, entity.responses, strict=True):
        assert (read.topic_id if isinstance(topic, uuid.UUID) else read.name) == topic
        for answer, partition in zip(expected, read.partition_responses, strict=True):
            assert partition.index == answer.index
            assert partition.error_code == answer.error
            assert partition.base_offset == answer.base_offset
            if version >= 5:
                assert partition.log_start_offset == answer.log_start_offset
            if version >= 8:
                assert partition.error_message == answer.message
                assert [
                    (each.batch_index, each.batch_index_error_message) for each in partition.record_errors
                ] == answer.record_errors

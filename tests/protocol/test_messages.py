"""Every message of every API and version, beside kio's own reader and writer; and what a peer may get wrong."""

from __future__ import annotations

import io
import os
import threading
import uuid
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kio.index import load_request_schema, load_response_schema
from kio.serial import entity_reader, entity_writer
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode, MalformedMessage
from ottla.protocol.messages import (
    MAX_REQUEST_STRUCTS,
    Message,
    decode_request,
    decode_request_header,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
    encode_response,
    encode_response_header,
    prepare,
)
from ottla.protocol.schemas import Direction, load, versions_of
from support.message_strategies import messages

EXAMPLES = 100 if os.environ.get("OTTLA_HEAVY") else 2
ALL = [(api, direction) for api in ApiKey for direction in Direction]
every_message = pytest.mark.parametrize(("api", "direction"), ALL, ids=lambda each: each.name.lower())


def encode(api: ApiKey, version: int, direction: Direction, message: Message) -> bytes:
    code = encode_request if direction is Direction.REQUEST else encode_response
    return code(api, version, message)


def decode(api: ApiKey, version: int, direction: Direction, body: bytes) -> Message:
    code = decode_request if direction is Direction.REQUEST else decode_response
    return code(api, version, body)


@cache
def strategy(api: ApiKey, version: int, direction: Direction) -> st.SearchStrategy[Message]:
    return messages(load(api, version, direction))


def kio_schema(api: ApiKey, version: int, direction: Direction) -> Any:
    return (load_request_schema if direction is Direction.REQUEST else load_response_schema)(api, version)


def through_kio(api: ApiKey, version: int, direction: Direction, body: bytes) -> bytes:
    schema = kio_schema(api, version, direction)
    entity, size = entity_reader(schema)(body, 0)
    assert size == len(body)
    out = io.BytesIO()
    entity_writer(schema)(out, entity)
    return out.getvalue()


def is_subset(message: Message, other: Message) -> bool:
    """Whether `other` has all that `message` has, whatever else it has."""
    return all(is_equal(value, getattr(other, name)) for name, value in vars(message).items())


def is_equal(value: Any, other: Any) -> bool:
    if isinstance(value, Message):
        return isinstance(other, Message) and is_subset(value, other)
    if isinstance(value, list):
        return len(value) == len(other) and all(map(is_equal, value, other))
    return bool(value == other)


@every_message
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_kio_reads_what_we_write_and_writes_what_we_wrote(api: ApiKey, direction: Direction, data: st.DataObject):
    version = data.draw(st.sampled_from(versions_of(api)))
    message = data.draw(strategy(api, version, direction))
    body = encode(api, version, direction, message)
    assert through_kio(api, version, direction, body) == body
    assert is_subset(message, decode(api, version, direction, body))


@every_message
def test_an_empty_message_is_all_defaults_in_every_version(api: ApiKey, direction: Direction):
    for version in versions_of(api):
        body = encode(api, version, direction, Message())
        message = decode(api, version, direction, body)
        assert encode(api, version, direction, message) == body
        assert set(vars(message)) == {field.name for field in load(api, version, direction).all_fields}


@every_message
@settings(max_examples=EXAMPLES, deadline=None)
@given(data=st.data())
def test_a_body_cut_short_is_malformed(api: ApiKey, direction: Direction, data: st.DataObject):
    version = data.draw(st.sampled_from(versions_of(api)))
    body = encode(api, version, direction, data.draw(strategy(api, version, direction)))
    if body:
        cut = data.draw(st.integers(0, len(body) - 1))
        with pytest.raises(MalformedMessage):
            decode(api, version, direction, body[:cut])


@every_message
@settings(max_examples=2 * EXAMPLES, deadline=None)
@given(data=st.data())
def test_a_mutated_body_is_a_message_or_malformed(api: ApiKey, direction: Direction, data: st.DataObject):
    version = data.draw(st.sampled_from(versions_of(api)))
    body = bytearray(encode(api, version, direction, data.draw(strategy(api, version, direction))))
    for _ in range(data.draw(st.integers(1, 4))):
        if body:
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        message = decode(api, version, direction, bytes(body))
    except MalformedMessage:
        return
    encode(api, version, direction, message)


@every_message
def test_fields_of_other_versions_are_dropped(api: ApiKey, direction: Direction):
    for version in versions_of(api):
        absent = load(api, version, direction).absent
        others = Message(**{field.name: "anything at all" for field in absent})
        assert encode(api, version, direction, others) == encode(api, version, direction, Message())


def test_metadata_has_one_shape_in_all_versions():
    names = {tuple(sorted(vars(decode_request(3, v, encode_request(3, v, Message()))))) for v in range(14)}
    assert names == {
        (
            "allow_auto_topic_creation",
            "include_cluster_authorized_operations",
            "include_topic_authorized_operations",
            "topics",
        )
    }


def test_durations_and_times_are_milliseconds_under_kafkas_names():
    answer = Message(responses=[Message(partition_responses=[Message(log_append_time_ms=-1)])], throttle_time_ms=7)
    decoded = decode_response(ApiKey.PRODUCE, 9, encode_response(ApiKey.PRODUCE, 9, answer))
    assert decoded.throttle_time_ms == 7
    assert decoded.responses[0].partition_responses[0].log_append_time_ms == -1
    assert (
        decode_request(ApiKey.CREATE_TOPICS, 7, encode_request(ApiKey.CREATE_TOPICS, 7, Message())).timeout_ms == 60_000
    )


def test_a_point_in_time_may_be_none_which_is_minus_one():
    times = Message(issue_timestamp_ms=-1, expiry_timestamp_ms=-1, max_timestamp_ms=-1)
    body = encode_response(ApiKey.CREATE_DELEGATION_TOKEN, 3, times)
    assert decode_response(ApiKey.CREATE_DELEGATION_TOKEN, 3, body).max_timestamp_ms == -1


def test_error_codes_come_as_enum_and_unknown_ones_as_numbers():
    body = encode_response(ApiKey.HEARTBEAT, 4, Message(error_code=ErrorCode.UNKNOWN_MEMBER_ID))
    assert decode_response(ApiKey.HEARTBEAT, 4, body).error_code is ErrorCode.UNKNOWN_MEMBER_ID
    body = encode_response(ApiKey.HEARTBEAT, 4, Message(error_code=31_000))
    assert decode_response(ApiKey.HEARTBEAT, 4, body).error_code == 31_000


def test_no_id_is_the_zero_uuid():
    body = encode_request(ApiKey.METADATA, 12, Message(topics=[Message(name="a")]))
    assert decode_request(ApiKey.METADATA, 12, body).topics[0].topic_id == uuid.UUID(int=0)


def test_a_negative_count_is_null_where_null_may_be():
    assert decode_request(ApiKey.METADATA, 1, b"\xff\xff\xff\xfe").topics is None
    with pytest.raises(MalformedMessage, match="topics"):
        decode_request(ApiKey.METADATA, 0, b"\xff\xff\xff\xff")


@pytest.mark.parametrize(
    "body",
    [
        b"\x7f\xff\xff\xff",  # a count of 2^31 - 1
        b"\0\0\0\x01\x7f\xff",  # a string longer than the body
        b"\0\0\0\x01\xff\xff",  # a name that is null
        b"\0\0\0",
    ],
)
def test_what_cannot_be_is_malformed(body: bytes):
    with pytest.raises(MalformedMessage):
        decode_request(ApiKey.METADATA, 0, body)


def test_a_varint_of_more_than_five_bytes_is_malformed():
    with pytest.raises(MalformedMessage):
        decode_request(ApiKey.METADATA, 9, b"\xff\xff\xff\xff\xff\xff\x01")


def test_a_string_may_have_32767_bytes_in_either_form():
    for version, size in ((8, b"\0\0\0\x01"), (9, b"\x02")):
        body = encode_request(ApiKey.METADATA, version, Message(topics=[Message(name="x" * 32767)]))
        assert body.startswith(size)
        assert decode_request(ApiKey.METADATA, version, body).topics[0].name == "x" * 32767
    with pytest.raises(MalformedMessage):  # a compact length could say 32768
        decode_request(ApiKey.METADATA, 9, b"\x02" + b"\x81\x80\x02" + b"x" * 32768 + b"\0" + b"\0\0\0\0")


def test_left_over_bytes_are_ignored():
    body = encode_request(ApiKey.METADATA, 4, Message(topics=[Message(name="a")]))
    assert decode_request(ApiKey.METADATA, 4, body + b"left over") == decode_request(ApiKey.METADATA, 4, body)


def test_unknown_tagged_fields_are_stepped_over():
    body = encode_request(ApiKey.METADATA, 12, Message(topics=None))
    assert body.endswith(b"\0")
    tags = b"\x02" + b"\x05\x03abc" + b"\x04\x00"  # unordered, too
    assert decode_request(ApiKey.METADATA, 12, body[:-1] + tags) == decode_request(ApiKey.METADATA, 12, body)


def test_the_last_of_repeated_tagged_fields_counts():
    body = encode_request(ApiKey.FETCH, 17, Message())
    tags = b"\x02" + b"\0\x02\x02a" + b"\0\x02\x02b"  # tag 0: the cluster id
    assert decode_request(ApiKey.FETCH, 17, body[:-1] + tags).cluster_id == "b"


@pytest.mark.parametrize("size", [2, 3, 5, 100])
def test_a_known_tagged_field_is_believed_before_its_size(size: int):
    body = encode_request(ApiKey.FETCH, 17, Message())
    tags = bytes((1, 0, size)) + b"\x03ab"
    assert decode_request(ApiKey.FETCH, 17, body[:-1] + tags).cluster_id == "ab"


def test_an_unknown_tagged_field_longer_than_the_body_is_malformed():
    body = encode_request(ApiKey.METADATA, 12, Message())
    with pytest.raises(MalformedMessage):
        decode_request(ApiKey.METADATA, 12, body[:-1] + b"\x01\x05\x04abc")


def test_text_that_is_not_utf_8_is_read_as_java_reads_it():
    body = b"\0\0\0\x01\0\x02\xc3\x28"
    assert decode_request(ApiKey.METADATA, 0, body).topics[0].name == "\ufffd("


def test_a_compact_count_past_two_to_the_31_is_negative_and_null():
    assert decode_request(ApiKey.METADATA, 9, b"\xff\xff\xff\xff\x0f\0\0\0\0").topics is None


def test_tagged_fields_at_their_defaults_are_not_written():
    spelled_out = Message(cluster_id=None, replica_state=Message(replica_id=-1, replica_epoch=-1))
    assert encode_request(ApiKey.FETCH, 17, spelled_out) == encode_request(ApiKey.FETCH, 17, Message())


def test_a_request_cannot_unfold_into_more_structs_than_its_bound():
    count = MAX_REQUEST_STRUCTS + 1
    body = count.to_bytes(4, "big") + b"\0\0" * count
    with pytest.raises(MalformedMessage, match="topics"):
        decode_request(ApiKey.METADATA, 0, body)
    answer = b"\0\0\0\0" + count.to_bytes(4, "big") + b"\0\0\0\0\0\0\0\0" * count
    assert len(decode_response(ApiKey.METADATA, 0, answer).topics) == count


def test_records_are_a_view_of_the_body_and_not_copied():
    request = Message(topic_data=[Message(name="t", partition_data=[Message(records=b"a batch" * 1000)])])
    body = bytearray(encode_request(ApiKey.PRODUCE, 9, request))
    decoded = decode_request(ApiKey.PRODUCE, 9, body)
    records = decoded.topic_data[0].partition_data[0].records
    assert records == b"a batch" * 1000
    assert records.obj is body


@pytest.mark.parametrize("form", [bytes, bytearray, memoryview])
def test_any_buffer_will_do(form: type):
    body = encode_request(ApiKey.CREATE_TOPICS, 7, Message(topics=[Message(name="a", num_partitions=3)]))
    assert decode_request(ApiKey.CREATE_TOPICS, 7, form(body)).topics[0].num_partitions == 3


def test_a_name_no_version_knows_is_our_bug():
    with pytest.raises(AssertionError, match="CreatableTopic has no field nmae"):
        encode_request(ApiKey.CREATE_TOPICS, 7, Message(topics=[Message(nmae="a")]))


@pytest.mark.parametrize(
    "topic", [Message(name=None), Message(name=7), Message(num_partitions="x"), Message(name="x" * 40_000), None]
)
def test_a_value_that_cannot_be_written_is_our_bug(topic: Message | None):
    for version in (4, 7):
        with pytest.raises(AssertionError, match="CREATE_TOPICS"):
            encode_request(ApiKey.CREATE_TOPICS, version, Message(topics=[topic]))


def test_unknown_apis_and_versions_are_malformed():
    for key, version in ((4, 0), (999, 0), (-1, 0), (ApiKey.METADATA, 14), (ApiKey.METADATA, -1), (ApiKey.PRODUCE, 2)):
        with pytest.raises(MalformedMessage):
            decode_request(key, version, b"")


def test_what_is_prepared_in_a_thread_is_there_for_all():
    thread = threading.Thread(target=prepare, args=(ApiKey.LEAVE_GROUP, 5))
    thread.start()
    thread.join()
    assert decode_response(ApiKey.LEAVE_GROUP, 5, encode_response(ApiKey.LEAVE_GROUP, 5, Message())).members == []
    with pytest.raises(MalformedMessage):
        prepare(ApiKey.PRODUCE, 2)


def test_defaults_are_made_anew_for_each_message():
    body = encode_response(ApiKey.METADATA, 0, Message(topics=[Message(partitions=[Message()])]))
    first, second = decode_response(ApiKey.METADATA, 0, body), decode_response(ApiKey.METADATA, 0, body)
    first.topics[0].partitions[0].offline_replicas.append(1)
    assert second.topics[0].partitions[0].offline_replicas == []


@given(
    st.sampled_from(list(ApiKey)), st.integers(0, 20), st.integers(-(2**31), 2**31 - 1), st.none() | st.text(max_size=9)
)
def test_request_headers_come_back(api: ApiKey, version: int, correlation_id: int, client_id: str | None):
    try:
        frame = encode_request_header(api, version, correlation_id, client_id)
    except UnicodeEncodeError:
        return
    header = decode_request_header(frame + b"the body")
    assert (header.api_key, header.api_version, header.correlation_id) == (api, version, correlation_id)
    assert header.client_id == client_id
    assert header.body_position == len(frame)


@given(st.sampled_from(list(ApiKey)), st.integers(0, 20), st.integers(-(2**31), 2**31 - 1))
def test_response_headers_come_back(api: ApiKey, version: int, correlation_id: int):
    frame = encode_response_header(api, version, correlation_id)
    header = decode_response_header(api, version, frame + b"the body")
    assert (header.correlation_id, header.body_position) == (correlation_id, len(frame))


@every_message
def test_headers_are_the_ones_kio_names(api: ApiKey, direction: Direction):
    for version in versions_of(api):
        frame = (
            encode_request_header(api, version, 1)
            if direction is Direction.REQUEST
            else (encode_response_header(api, version, 1))
        )
        header_version = int(kio_schema(api, version, direction).__header_schema__.__version__)
        sizes = {1: 10, 2: 11} if direction is Direction.REQUEST else {0: 4, 1: 5}
        assert len(frame) == sizes[header_version]


@given(st.binary(max_size=40))
def test_any_bytes_are_a_request_header_or_malformed(frame: bytes):
    try:
        header = decode_request_header(frame)
    except MalformedMessage:
        return
    assert header.body_position <= len(frame)


def test_the_tagged_fields_of_a_request_header_are_stepped_over():
    frame = encode_request_header(ApiKey.METADATA, 12, 5, "me")
    header = decode_request_header(frame[:-1] + b"\x01\x07\x02xy" + b"body")
    assert header.body_position == len(frame) + 4


def test_ten_thousand_partitions_are_one_answer():
    partitions = [Message(partition_index=index, replica_nodes=[1], isr_nodes=[1]) for index in range(10_000)]
    answer = Message(topics=[Message(name="wide", partitions=partitions)])
    for version in versions_of(ApiKey.METADATA):
        decoded = decode_response(ApiKey.METADATA, version, encode_response(ApiKey.METADATA, version, answer))
        assert [each.partition_index for each in decoded.topics[0].partitions] == list(range(10_000))

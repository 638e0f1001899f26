"""A client's Produce: the broker reads what it writes, and it reads what the broker and the schemas write."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode, MalformedMessage
from ottla.protocol.messages import Message, decode_request, encode_response
from ottla.protocol.produce import ProduceAnswer, read_request, write_response
from ottla.protocol.produce_client import TopicBatches, read_response, request_parts

IDS = [UUID(int=1), UUID(int=2)]
versions = st.integers(3, 13)
batches = st.lists(st.tuples(st.integers(0, 1000), st.binary(max_size=300)), min_size=1, max_size=4)


@given(version=versions, first=batches, second=batches, acks=st.sampled_from((-1, 0, 1)))
def test_the_broker_and_the_schemas_read_what_a_client_writes(
    version: int, first: list[tuple[int, bytes]], second: list[tuple[int, bytes]], acks: int
) -> None:
    topics = [TopicBatches("a", IDS[0], first), TopicBatches("b" * 200, IDS[1], second)]
    body = b"".join(request_parts(topics, version, acks=acks, timeout_ms=7, transactional_id="tx"))

    request = read_request(body, 0, version)
    message = decode_request(ApiKey.PRODUCE, version, body)

    assert (request.transactional_id, request.acks, request.timeout_ms) == ("tx", acks, 7)
    assert [key for key, _ in request.topics] == (IDS if version >= 13 else ["a", "b" * 200])
    for sent, (_, read), told in zip((first, second), request.topics, message.topic_data, strict=True):
        assert [(each.index, body[each.start : each.end]) for each in read] == sent
        assert [(each.index, bytes(each.records)) for each in told.partition_data] == sent


@given(version=versions, offset=st.integers(-1, 2**40), message=st.none() | st.text(max_size=200))
def test_a_client_reads_what_the_broker_answers(version: int, offset: int, message: str | None) -> None:
    answers = [
        ProduceAnswer(3, ErrorCode.NONE, offset, 5, 1),
        ProduceAnswer(4, ErrorCode.INVALID_RECORD, message=message, record_errors=[(7, "why"), (8, None)]),
    ]
    key = IDS[0] if version >= 13 else "topic"

    response = read_response(write_response([(key, answers)], version), 0, version)

    ((read_key, read),) = response.topics
    assert read_key == key
    assert (read[0].index, read[0].error, read[0].base_offset, read[0].log_append_time_ms) == (3, 0, offset, 5)
    assert read[0].log_start_offset == (1 if version >= 5 else -1)
    assert read[1].error is ErrorCode.INVALID_RECORD
    if version >= 8:
        assert (read[1].message, read[1].record_errors) == (message, [(7, "why"), (8, None)])


@pytest.mark.parametrize("version", [10, 13])
def test_a_client_reads_who_leads_now_and_how_long_to_wait(version: int) -> None:
    partition = Message(
        index=0,
        error_code=ErrorCode.NOT_LEADER_OR_FOLLOWER,
        base_offset=-1,
        current_leader=Message(leader_id=2, leader_epoch=9),
    )
    body = encode_response(
        ApiKey.PRODUCE,
        version,
        Message(responses=[Message(name="t", topic_id=IDS[0], partition_responses=[partition])], throttle_time_ms=40),
    )

    response = read_response(body, 0, version)

    assert response.topics[0][1][0].current_leader == (2, 9)
    assert response.throttle_time_ms == 40


def test_an_error_that_nobody_knows_is_told_by_number() -> None:
    body = bytearray(write_response([("t", [ProduceAnswer(0)])], 3))
    body[15:17] = (999).to_bytes(2, "big")

    (answer,) = read_response(body, 0, 3).topics[0][1]

    assert (answer.error, answer.message) == (ErrorCode.UNKNOWN_SERVER_ERROR, "error 999")


@given(version=versions, data=st.data())
def test_an_answer_that_is_cut_short_is_malformed(version: int, data: st.DataObject) -> None:
    body = write_response([("t" if version < 13 else IDS[0], [ProduceAnswer(0, message="m")])], version)
    needed = len(body) - (1 if version >= 9 else 0)  # the last byte says that there are no tagged fields

    with pytest.raises(MalformedMessage):
        read_response(body[: data.draw(st.integers(0, needed - 1))], 0, version)

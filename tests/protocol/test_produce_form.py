"""The form of a request beside the whole reading of it: where both say something they say the same."""

from __future__ import annotations

import uuid
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.replies import framed
from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode, MalformedMessage
from ottla.protocol.messages import Message, decode_request_header, encode_request, encode_request_header
from ottla.protocol.produce import ProduceAnswer, TopicKey, read_request, write_response
from ottla.protocol.produce_form import Place, ProduceForm

VERSIONS = range(3, 14)
TOPIC_ID = uuid.UUID(int=7)


class Sent(NamedTuple):
    """A request for one partition."""

    version: int
    topic: TopicKey = "t"
    index: int = 0
    records: bytes | None = b"r" * 80
    correlation_id: int = 1
    acks: int = 1
    client: str | None = "c"

    @property
    def frame(self) -> bytes:
        keyed = {"topic_id" if self.version >= 13 else "name": TOPIC_ID if self.version >= 13 else self.topic}
        data = Message(**keyed, partition_data=[Message(index=self.index, records=self.records)])
        message = Message(transactional_id=None, acks=self.acks, timeout_ms=9, topic_data=[data])
        header = encode_request_header(ApiKey.PRODUCE, self.version, self.correlation_id, self.client)
        return header + encode_request(ApiKey.PRODUCE, self.version, message)

    @property
    def form(self) -> ProduceForm | None:
        frame = self.frame
        request = read_request(frame, decode_request_header(frame).body_position, self.version)
        return ProduceForm.of(frame, self.version, request, framed)


def place_of(frame: bytes) -> Place:
    header = decode_request_header(frame)
    request = read_request(frame, header.body_position, header.api_version)
    ((_, (sent,)),) = request.topics
    return header.correlation_id, sent.index, sent.start, sent.end


later = st.builds(
    Sent,
    version=st.sampled_from(range(5, 14)),
    topic=st.just("t"),
    acks=st.just(1),
    client=st.just("c"),
    index=st.integers(0, 2**31 - 1),
    records=st.binary(min_size=12, max_size=40) | st.sampled_from([bytes(127), bytes(128), bytes(20_000)]),
    correlation_id=st.integers(-(2**31), 2**31 - 1),
)


@given(later)
def test_a_later_request_of_the_same_form_is_found_to_hold_what_reading_it_finds(sent: Sent) -> None:
    form = Sent(sent.version).form
    assert form is not None
    assert form.records_in(memoryview(sent.frame)) == place_of(sent.frame)


@pytest.mark.parametrize("version", range(5, 14))
def test_a_request_that_differs_in_anything_else_has_another_form(version: int) -> None:
    form = Sent(version).form
    assert form is not None
    others = [
        Sent(version, acks=-1),
        Sent(version, client="d"),
        Sent(version, client=None),
        Sent(version, records=None),
        Sent(version - 1),
        *([] if version >= 13 else [Sent(version, topic="u"), Sent(version, topic="tt")]),
    ]
    assert [form.records_in(each.frame) for each in others] == [None] * len(others)


@given(st.sampled_from(range(5, 14)), st.data())
def test_a_mutated_request_has_no_form_or_reads_as_the_form_says(version: int, data: st.DataObject) -> None:
    form = Sent(version).form
    assert form is not None
    mutated = bytearray(Sent(version, records=data.draw(st.binary(max_size=200))).frame)
    for _ in range(data.draw(st.integers(1, 3))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(mutated[: data.draw(st.integers(0, len(mutated)))])
    for frame in (bytes(mutated), cut):
        place = form.records_in(frame)
        if place is None:
            continue
        try:
            assert place == place_of(frame)
        except MalformedMessage as error:
            raise AssertionError(f"read as {place}, and is malformed: {error}") from error


@pytest.mark.parametrize("version", [3, 4])
def test_versions_whose_answers_lack_a_number_have_no_form(version: int) -> None:
    assert Sent(version).form is None


@given(st.sampled_from(range(5, 14)), st.integers(0, 2**63 - 1), st.integers(-1, 2**41))
def test_an_answer_is_what_the_whole_writer_writes(version: int, offset: int, log_append_time_ms: int) -> None:
    form = Sent(version).form
    assert form is not None
    answer = ProduceAnswer(3, ErrorCode.NONE, offset, log_append_time_ms, offset // 2)
    body = write_response([(form.topic, [answer])], version)
    assert form.answer(-5, 3, offset, log_append_time_ms, offset // 2) == framed(-5, body, flexible=version >= 9)

"""The form of a Fetch beside the whole reading and writing of it: where both say something they say the same."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.broker.replies import framed
from ottla.protocol.apis import ApiKey
from ottla.protocol.fetch import FetchAnswer, FetchRequest, FetchResponse, read_request, write_response
from ottla.protocol.fetch_form import MOST_PARTITIONS, FetchForm, RecordsForm
from ottla.protocol.messages import Message, decode_request_header, encode_request, encode_request_header
from ottla.protocol.produce import TopicKey

VERSIONS = range(7, 19)
INT64 = st.integers(0, 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)


class Sent(NamedTuple):
    """A Fetch of some partitions, (topic number, index), from these offsets on."""

    version: int = 13
    offsets: Mapping[tuple[int, int], int] = {(0, 0): 5}
    correlation_id: int = 1
    session_id: int = 0
    session_epoch: int = -1
    isolation_level: int = 0
    rack: str = ""
    forgotten: tuple[int, ...] = ()
    client: str | None = "c"

    @property
    def frame(self) -> bytes:
        topics: dict[int, list[Message]] = {}
        for (topic, index), offset in self.offsets.items():
            wanted = Message(partition=index, fetch_offset=offset, partition_max_bytes=1 << 20, current_leader_epoch=3)
            topics.setdefault(topic, []).append(wanted)
        message = Message(
            max_wait_ms=500,
            min_bytes=1,
            max_bytes=1 << 20,
            isolation_level=self.isolation_level,
            session_id=self.session_id,
            session_epoch=self.session_epoch,
            topics=[Message(**self._named(topic), partitions=each) for topic, each in topics.items()],
            forgotten_topics_data=[Message(**self._named(topic), partitions=[0]) for topic in self.forgotten],
            rack_id=self.rack,
        )
        header = encode_request_header(ApiKey.FETCH, self.version, self.correlation_id, self.client)
        return header + encode_request(ApiKey.FETCH, self.version, message)

    def _named(self, topic: int) -> dict[str, object]:
        return {"topic_id": uuid.UUID(int=topic)} if self.version >= 13 else {"topic": f"t{topic}"}

    @property
    def request(self) -> FetchRequest:
        return read_request(self.frame, decode_request_header(self.frame).body_position, self.version)

    @property
    def form(self) -> FetchForm | None:
        return FetchForm.of(self.frame, decode_request_header(self.frame), self.request)


partitions = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 300)), max_size=MOST_PARTITIONS, unique=True).map(
    sorted
)
sendings = st.builds(
    Sent,
    version=st.sampled_from(VERSIONS),
    offsets=partitions.flatmap(lambda each: st.fixed_dictionaries(dict.fromkeys(each, INT64))),
    correlation_id=INT32,
    session_id=INT32,
    session_epoch=INT32,
    isolation_level=st.integers(0, 1),
    rack=st.sampled_from(["", "rack"]),
    client=st.sampled_from([None, "", "client"]),
    forgotten=st.just(()),
)


@given(sendings, st.data())
def test_a_request_of_the_form_is_read_as_it_is_without(first: Sent, data: st.DataObject) -> None:
    later = first._replace(
        correlation_id=data.draw(INT32),
        session_epoch=data.draw(INT32),
        offsets={each: data.draw(INT64) for each in first.offsets},
    )
    form = first.form
    assert form is not None
    numbers = form.numbers_in(later.frame)
    assert numbers is not None
    assert numbers[0] == later.correlation_id
    assert form.request(numbers) == later.request


@given(sendings, sendings)
def test_another_request_has_another_form(first: Sent, other: Sent) -> None:
    form = first.form
    assert form is not None
    alike = other._replace(correlation_id=0, session_epoch=0, offsets=dict.fromkeys(other.offsets, 0))
    same = first._replace(correlation_id=0, session_epoch=0, offsets=dict.fromkeys(first.offsets, 0))
    assert (form.numbers_in(other.frame) is None) == (alike.frame != same.frame)


@pytest.mark.parametrize(
    "sent",
    [
        Sent(version=6),
        Sent(forgotten=(1,)),
        Sent(offsets={(0, index): 0 for index in range(MOST_PARTITIONS + 1)}),
    ],
    ids=["without sessions", "with a forgotten topic", "of many partitions"],
)
def test_a_request_of_another_kind_has_no_form(sent: Sent) -> None:
    assert sent.form is None


@given(
    version=st.sampled_from(VERSIONS),
    number=st.integers(0, 3),
    index=st.integers(0, 2**31 - 1),
    numbers=st.tuples(INT64, INT64, INT64),
    records=st.binary(max_size=300),
    committed=st.booleans(),
    correlation_id=INT32,
    session_id=INT32,
)
def test_the_answer_of_the_form_is_the_one_that_is_written_without(
    version: int,
    number: int,
    index: int,
    numbers: tuple[int, int, int],
    records: bytes,
    committed: bool,
    correlation_id: int,
    session_id: int,
) -> None:
    topic: TopicKey = uuid.UUID(int=number) if version >= 13 else "t" * number
    answer = FetchAnswer(index, high_watermark=numbers[0], last_stable_offset=numbers[1], log_start_offset=numbers[2])
    answer.aborted, answer.records = [] if committed else None, records
    form = RecordsForm(topic, index, version, framed, committed=committed)
    before, after = form.around(correlation_id, session_id, numbers, len(records))
    body = write_response(FetchResponse(session_id=session_id, topics=[(topic, [answer])]), version)
    whole = framed(correlation_id, b"".join(part for part in body if isinstance(part, bytes)), flexible=version >= 12)
    assert before + records + after == whole

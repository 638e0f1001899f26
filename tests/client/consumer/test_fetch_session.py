"""Fetch sessions: what the broker would remember is what is wanted, after any sequence of wishes and accidents."""

from __future__ import annotations

from types import SimpleNamespace
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from ottla.client.admin.values import TopicPartition
from ottla.client.consumer.fetch_session import FetchLimits, FetchSession, Wanted
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message, decode_request, encode_request

LIMITS = FetchLimits(max_wait_ms=500, min_bytes=1, max_bytes=1000, committed_only=False)
FETCH = 1
IDS = {"a": UUID(int=1), "b": UUID(int=2)}

partitions = st.builds(TopicPartition, st.sampled_from(("a", "b")), st.integers(0, 2))
wishes = st.dictionaries(partitions, st.integers(0, 3), max_size=5)


def wanted_of(offsets: dict[TopicPartition, int]) -> dict[TopicPartition, Wanted]:
    return {id_: Wanted(offset, 100, 0, IDS[id_.topic]) for id_, offset in offsets.items()}


class RememberingBroker:
    """What a broker makes of the requests of one session (KIP-227)."""

    def __init__(self) -> None:
        self.session: SimpleNamespace | None = None
        self.ids = 0

    def fetch(self, request: Message) -> tuple[ErrorCode, int]:
        told = {
            (topic.topic_id, each.partition): each.fetch_offset for topic in request.topics for each in topic.partitions
        }
        if request.session_epoch == 0:
            self.ids += 1
            self.session = SimpleNamespace(id=self.ids, epoch=1, offsets=told)
            return ErrorCode.NONE, self.ids
        if self.session is None or self.session.id != request.session_id:
            return ErrorCode.FETCH_SESSION_ID_NOT_FOUND, 0
        if self.session.epoch != request.session_epoch:
            return ErrorCode.INVALID_FETCH_SESSION_EPOCH, 0
        for topic in request.forgotten_topics_data:
            for index in topic.partitions:
                del self.session.offsets[topic.topic_id, index]
        self.session.offsets.update(told)
        self.session.epoch += 1
        return ErrorCode.NONE, self.session.id


def over_the_wire(request: Message) -> Message:
    return decode_request(FETCH, 13, encode_request(FETCH, 13, request))


@given(
    st.lists(
        st.tuples(wishes, st.sampled_from(("fine", "fine", "lost before", "lost after", "forgotten"))), max_size=12
    )
)
def test_the_broker_remembers_exactly_what_is_wanted(history: list[tuple[dict[TopicPartition, int], str]]) -> None:
    session, broker = FetchSession(), RememberingBroker()
    for offsets, accident in history:
        if accident == "forgotten":
            broker.session = None
        request = over_the_wire(session.request(wanted_of(offsets), LIMITS, version=13))
        if accident == "lost before":
            session.lost()
            continue
        code, session_id = broker.fetch(request)
        if accident == "lost after":
            session.lost()
        elif session.answered(code, session_id):
            assert broker.session is not None
            assert broker.session.offsets == {(IDS[id_.topic], id_.partition): each for id_, each in offsets.items()}
        else:
            assert accident == "forgotten" or code is not ErrorCode.NONE


def test_an_incremental_request_says_only_what_changed() -> None:
    session = FetchSession()
    a0, a1 = TopicPartition("a", 0), TopicPartition("a", 1)
    session.request(wanted_of({a0: 0, a1: 0}), LIMITS, version=13)
    session.answered(ErrorCode.NONE, 7)

    request = session.request(wanted_of({a0: 5, a1: 0}), LIMITS, version=13)

    assert (request.session_id, request.session_epoch) == (7, 1)
    assert [[each.partition for each in topic.partitions] for topic in request.topics] == [[0]]
    assert request.forgotten_topics_data == []


def test_a_broker_without_sessions_is_asked_in_full_every_time() -> None:
    session = FetchSession()
    wanted = wanted_of({TopicPartition("a", 0): 0})
    session.request(wanted, LIMITS, version=13)
    session.answered(ErrorCode.NONE, 0)

    request = session.request(wanted, LIMITS, version=13)

    assert request.session_epoch == 0
    assert len(request.topics) == 1


def test_a_topic_that_was_made_anew_is_forgotten_and_told_again() -> None:
    session = FetchSession()
    a0 = TopicPartition("a", 0)
    session.request({a0: Wanted(0, 100, 0, UUID(int=1))}, LIMITS, version=13)
    session.answered(ErrorCode.NONE, 7)

    request = session.request({a0: Wanted(0, 100, 0, UUID(int=9))}, LIMITS, version=13)

    assert [topic.topic_id for topic in request.topics] == [UUID(int=9)]
    assert [topic.topic_id for topic in request.forgotten_topics_data] == [UUID(int=1)]


def test_between_names_and_ids_a_session_begins_anew() -> None:
    session = FetchSession()
    wanted = wanted_of({TopicPartition("a", 0): 0})
    session.request(wanted, LIMITS, version=13)
    session.answered(ErrorCode.NONE, 7)

    assert session.request(wanted, LIMITS, version=12).session_epoch == 0
    assert not session.can_use_ids({TopicPartition("a", 0): Wanted(0, 100, 0)})

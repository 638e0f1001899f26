from random import Random

import pytest
from ottla.broker.fetch_sessions import FetchContext, FetchSessions, SessionRefused
from ottla.protocol.errors import ErrorCode
from ottla.protocol.fetch import FetchAnswer, FetchPartition, FetchRequest

TWO_MINUTES_MS = 120_000


class Records:
    """Records that are somewhere else."""

    size_bytes = 10


def a_request(
    *indexes: int, session_id: int = 0, epoch: int = 0, forget: tuple[int, ...] = (), topic: str = "t"
) -> FetchRequest:
    return FetchRequest(
        replica_id=-1,
        max_wait_ms=0,
        min_bytes=1,
        max_bytes=1000,
        isolation_level=0,
        session_id=session_id,
        session_epoch=epoch,
        topics=[(topic, [FetchPartition(index, 0, 100) for index in indexes])] if indexes else [],
        forgotten=[(topic, list(forget))] if forget else [],
    )


def begin(sessions: FetchSessions, request: FetchRequest, *, ids: bool = False, now_ms: int = 0) -> FetchContext:
    return sessions.begin(request, uses_topic_ids=ids, now_ms=now_ms)


def wanted_indexes(context: FetchContext) -> list[int]:
    return [partition.index for _, partition in context.wanted]


def answered(context: FetchContext, *answers: FetchAnswer) -> list[int]:
    return [answer.index for _, answer in context.select([("t", each) for each in answers])]


def nothing_new(index: int) -> FetchAnswer:
    return FetchAnswer(index, high_watermark=5, log_start_offset=0)


def test_a_full_fetch_makes_a_session_and_answers_every_partition() -> None:
    sessions = FetchSessions(10, Random(1))
    context = begin(sessions, a_request(0, 1))
    assert context.session_id > 0
    assert answered(context, nothing_new(0), nothing_new(1)) == [0, 1]


def test_an_incremental_fetch_reads_what_was_asked_before_and_answers_only_what_is_new() -> None:
    sessions = FetchSessions(10, Random(1))
    first = begin(sessions, a_request(0, 1, 2))
    answered(first, nothing_new(0), nothing_new(1), nothing_new(2))
    again = begin(sessions, a_request(session_id=first.session_id, epoch=1))
    assert wanted_indexes(again) == [0, 1, 2]
    with_records = FetchAnswer(1, high_watermark=5, log_start_offset=0, records=Records())
    moved = FetchAnswer(2, high_watermark=6, log_start_offset=0)
    assert answered(again, nothing_new(0), with_records, moved) == [1, 2]


def test_partitions_with_records_go_to_the_end_of_the_line() -> None:
    sessions = FetchSessions(10, Random(1))
    first = begin(sessions, a_request(0, 1, 2))
    answered(first, FetchAnswer(0, records=Records()), nothing_new(1), nothing_new(2))
    again = begin(sessions, a_request(session_id=first.session_id, epoch=1))
    assert wanted_indexes(again) == [1, 2, 0]


def test_an_error_is_told_each_time_and_so_is_its_end() -> None:
    sessions = FetchSessions(10, Random(1))
    first = begin(sessions, a_request(0))
    answered(first, nothing_new(0))
    for epoch in (1, 2):
        context = begin(sessions, a_request(session_id=first.session_id, epoch=epoch))
        assert answered(context, FetchAnswer(0, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)) == [0]
    context = begin(sessions, a_request(session_id=first.session_id, epoch=3))
    assert answered(context, nothing_new(0)) == [0]


def test_partitions_are_added_changed_and_forgotten() -> None:
    sessions = FetchSessions(10, Random(1))
    first = begin(sessions, a_request(0, 1))
    again = begin(sessions, a_request(2, session_id=first.session_id, epoch=1, forget=(0,)))
    assert wanted_indexes(again) == [1, 2]


def test_a_session_that_has_forgotten_everything_ends() -> None:
    sessions = FetchSessions(10, Random(1))
    first = begin(sessions, a_request(0))
    empty = begin(sessions, a_request(session_id=first.session_id, epoch=1, forget=(0,)))
    assert empty.session_id == 0
    assert len(sessions) == 0


@pytest.mark.parametrize(
    ("session_offset", "epoch", "ids", "code"),
    [
        (1, 1, False, ErrorCode.FETCH_SESSION_ID_NOT_FOUND),
        (0, 2, False, ErrorCode.INVALID_FETCH_SESSION_EPOCH),
        (0, 1, True, ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR),
    ],
)
def test_a_session_that_is_not_the_one_meant_is_refused(
    session_offset: int, epoch: int, ids: bool, code: ErrorCode
) -> None:
    sessions = FetchSessions(10, Random(1))
    session_id = begin(sessions, a_request(0)).session_id + session_offset
    with pytest.raises(SessionRefused) as refused:
        begin(sessions, a_request(session_id=session_id, epoch=epoch), ids=ids)
    assert refused.value.code is code


def test_closing_an_unknown_session_is_served_without_one() -> None:
    sessions = FetchSessions(10, Random(1))
    context = begin(sessions, a_request(0, session_id=77, epoch=-1))
    assert context.session_id == 0
    assert wanted_indexes(context) == [0]


def test_a_full_cache_serves_without_a_session() -> None:
    sessions = FetchSessions(1, Random(1))
    begin(sessions, a_request(0))
    assert begin(sessions, a_request(0), now_ms=TWO_MINUTES_MS).session_id == 0


def test_a_stale_session_makes_room() -> None:
    sessions = FetchSessions(1, Random(1))
    stale = begin(sessions, a_request(0))
    assert begin(sessions, a_request(0), now_ms=TWO_MINUTES_MS + 1).session_id not in (0, stale.session_id)
    assert len(sessions) == 1


def test_a_larger_session_takes_the_place_of_an_old_smaller_one() -> None:
    sessions = FetchSessions(1, Random(1))
    old = begin(sessions, a_request(0))
    begin(sessions, a_request(session_id=old.session_id, epoch=1), now_ms=TWO_MINUTES_MS)
    assert begin(sessions, a_request(0), now_ms=TWO_MINUTES_MS + 1).session_id == 0
    assert begin(sessions, a_request(0, 1), now_ms=TWO_MINUTES_MS + 1).session_id != 0

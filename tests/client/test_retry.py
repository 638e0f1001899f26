"""When to try again, and after how long."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.client.errors import CannotConnect, ClientClosed, ConnectionLost, RequestTimedOut, UnsupportedApi
from ottla.client.retry import (
    Backoff,
    Deadline,
    coordinator_may_have_moved,
    is_retriable,
    leader_may_have_moved,
)
from ottla.protocol.errors import ErrorCode, KafkaError


@given(attempt=st.integers(1, 10_000), seed=st.integers(0, 1000))
def test_waits_double_up_to_the_maximum_a_fifth_more_or_less(attempt: int, seed: int) -> None:
    plain_s = min(1.0, 0.1 * 2 ** min(attempt - 1, 20))

    delay_s = Backoff(100, 1000).delay_s(attempt, Random(seed))

    assert 0.8 * plain_s - 1e-9 <= delay_s <= 1.2 * plain_s + 1e-9


def test_the_first_attempt_waits_for_nothing() -> None:
    assert Backoff().delay_s(0, Random(1)) == 0


def test_clients_that_failed_together_do_not_come_back_together() -> None:
    assert len({Backoff().delay_s(3, Random(seed)) for seed in range(20)}) == 20


def test_a_deadline_passes() -> None:
    deadline = Deadline.after(2, now_s=10)

    assert [deadline.has_passed(now_s) for now_s in (11.9, 12.0)] == [False, True]
    assert [deadline.left_s(now_s) for now_s in (11.5, 13.0)] == [0.5, 0]


@pytest.mark.parametrize(
    ("error", "retriable", "leader", "coordinator"),
    [
        (KafkaError(ErrorCode.NOT_LEADER_OR_FOLLOWER), True, True, False),
        (KafkaError(ErrorCode.NOT_COORDINATOR), True, False, True),
        (KafkaError(ErrorCode.NOT_ENOUGH_REPLICAS), True, False, False),
        (KafkaError(ErrorCode.MESSAGE_TOO_LARGE), False, False, False),
        (KafkaError(ErrorCode.TOPIC_AUTHORIZATION_FAILED), False, False, False),
        (ConnectionLost("gone"), True, True, True),
        (CannotConnect("nobody"), True, True, True),
        (RequestTimedOut("late"), True, True, True),
        (UnsupportedApi("old"), False, False, False),
        (ClientClosed("closed"), False, False, False),
        (ValueError("a bug"), False, False, False),
    ],
)
def test_each_error_says_what_to_do(error: Exception, retriable: bool, leader: bool, coordinator: bool) -> None:
    assert is_retriable(error) is retriable
    assert leader_may_have_moved(error) is leader
    assert coordinator_may_have_moved(error) is coordinator

"""Whether to try again, and when.

Pure: the attempt's number and a Random in, seconds out; an error in, yes or no out.  Waiting grows by doubling from
`retry_backoff_ms` to `retry_backoff_max_ms`, each wait a fifth shorter or longer by chance, so that clients that lost
the same broker do not all come back at once (KIP-580; Kafka's `ExponentialBackoff`).

An error is *retriable* when the same request may succeed later.  Some say besides that what we believe of the cluster
is out of date: who leads a partition, or who coordinates a group.
"""

from __future__ import annotations

from random import Random

from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .errors import CannotConnect, ConnectionLost, RequestTimedOut

JITTER = 0.2
_MAX_DOUBLINGS = 30  # beyond that every backoff is at its maximum, and the number needlessly long


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before an attempt."""

    base_ms: int = 100
    max_ms: int = 1_000

    def delay_s(self, attempt: int, random: Random) -> float:
        """Seconds before the attempt after `attempt` failed ones (1, 2, …); 0 before the first."""
        if attempt <= 0:
            return 0.0
        delay_ms = min(self.max_ms, self.base_ms << min(attempt - 1, _MAX_DOUBLINGS))
        return delay_ms * random.uniform(1 - JITTER, 1 + JITTER) / 1000


@dataclass(frozen=True, slots=True)
class Deadline:
    """A point in time, in seconds of the loop's clock."""

    at_s: float

    @classmethod
    def after(cls, timeout_s: float, *, now_s: float) -> Deadline:
        return cls(now_s + timeout_s)

    def has_passed(self, now_s: float) -> bool:
        return now_s >= self.at_s

    def left_s(self, now_s: float) -> float:
        """Seconds that are left, never less than 0."""
        return max(0.0, self.at_s - now_s)


LEADER_IS_OLD = frozenset(
    {
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.LEADER_NOT_AVAILABLE,
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.REPLICA_NOT_AVAILABLE,
        ErrorCode.BROKER_NOT_AVAILABLE,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.LISTENER_NOT_FOUND,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.OFFSET_NOT_AVAILABLE,
    }
)
"""Refusals after which metadata is to be asked anew (Kafka's InvalidMetadataException)."""

COORDINATOR_IS_OLD = frozenset({ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR})
"""Refusals after which the coordinator is to be found anew."""

_NO_ANSWER = (CannotConnect, ConnectionLost, RequestTimedOut)


def is_retriable(error: BaseException) -> bool:
    """Whether the same request may succeed when it is sent again.

    True also where no answer came: then what was asked may have been done already.
    """
    if isinstance(error, KafkaError):
        return error.code.retriable or error.code is ErrorCode.BROKER_NOT_AVAILABLE
    return isinstance(error, _NO_ANSWER)


def leader_may_have_moved(error: BaseException) -> bool:
    """Whether metadata should be asked anew."""
    return error.code in LEADER_IS_OLD if isinstance(error, KafkaError) else isinstance(error, _NO_ANSWER)


def coordinator_may_have_moved(error: BaseException) -> bool:
    """Whether the coordinator should be found anew."""
    return error.code in COORDINATOR_IS_OLD if isinstance(error, KafkaError) else isinstance(error, _NO_ANSWER)

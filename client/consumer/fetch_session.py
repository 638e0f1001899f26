"""A fetch session (KIP-227): the broker remembers what is fetched, and is told only what changes.

    full request, epoch 0        ──► answer with a session id ──► incremental requests, epochs 1, 2, …
         ▲                                                            │
         └── the broker forgot the session, or an answer was lost ◄───┘

An incremental request names the partitions that are new or whose offset moved, and those to forget; the answer has those
with news.  A broker that gives id 0 keeps no session, and then every request is full.

Topics go by id from version 13 on; a session does not change between names and ids, and a topic that was made anew under
its old name is another one.  Pure.  Corresponds to Java's `FetchSessionHandler`.
"""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from ...protocol.consumer_protocol import by_topic
from ...protocol.errors import ErrorCode
from ...protocol.fetch import TOPIC_IDS_FROM
from ...protocol.messages import Message
from ...protocol.values import dataclass, field
from ..admin.values import TopicPartition
from ..metadata import NO_ID

NO_SESSION = 0
FIRST_EPOCH = 0
_MAX_EPOCH = 2**31 - 1
_SESSION_IS_GONE = frozenset(
    {
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
    }
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to fetch of one partition."""

    offset: int
    max_bytes: int
    leader_epoch: int
    topic_id: UUID = NO_ID


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What holds for every request.  The names are Kafka's."""

    max_wait_ms: int
    min_bytes: int
    max_bytes: int
    committed_only: bool
    rack: str = ""


@dataclass(slots=True)
class FetchSession:
    """The session with one broker; one request at a time."""

    id: int = NO_SESSION
    epoch: int = FIRST_EPOCH
    _by_id: bool | None = None
    _told: dict[TopicPartition, Wanted] = field(default_factory=dict)

    def can_use_ids(self, wanted: Mapping[TopicPartition, Wanted]) -> bool:
        """Whether all topics have an id; if not the request must be of a version below 13."""
        return all(each.topic_id != NO_ID for each in wanted.values())

    def request(self, wanted: Mapping[TopicPartition, Wanted], limits: FetchLimits, *, version: int) -> Message:
        """The next request, in order of `wanted`; tell `answered` or `lost` before the next."""
        by_id = version >= TOPIC_IDS_FROM
        if self._by_id is not by_id:
            self.epoch = FIRST_EPOCH
            self._by_id = by_id
        is_full = self.epoch == FIRST_EPOCH
        told = {} if is_full else self._told
        changed = {id_: each for id_, each in wanted.items() if told.get(id_) != each}
        gone = [id_ for id_, each in told.items() if id_ not in wanted or wanted[id_].topic_id != each.topic_id]
        forgotten = [
            Message(topic=topic, topic_id=told[TopicPartition(topic, indexes[0])].topic_id, partitions=list(indexes))
            for topic, indexes in by_topic((each.topic, each.partition) for each in gone).items()
        ]
        self._told = dict(wanted)
        return Message(
            replica_id=-1,
            max_wait_ms=limits.max_wait_ms,
            min_bytes=limits.min_bytes,
            max_bytes=limits.max_bytes,
            isolation_level=1 if limits.committed_only else 0,
            session_id=self.id,
            session_epoch=self.epoch,
            topics=_topics(wanted if is_full else changed),
            forgotten_topics_data=forgotten,
            rack_id=limits.rack,
        )

    def names(self) -> dict[UUID, str]:
        """The topics of the last request by their ids: an answer by ids is read with these."""
        return {each.topic_id: id_.topic for id_, each in self._told.items()}

    def answered(self, code: ErrorCode, session_id: int) -> bool:
        """Whether the answer is good; if not, the next request begins a session anew."""
        if code is not ErrorCode.NONE:
            if code in _SESSION_IS_GONE:
                self.id = NO_SESSION
            self.epoch = FIRST_EPOCH
            return False
        self.id = session_id
        if session_id == NO_SESSION:
            self.epoch = FIRST_EPOCH
        else:
            self.epoch = 1 if self.epoch == _MAX_EPOCH else self.epoch + 1
        return True

    def lost(self) -> None:
        """No answer came: the next request closes the session, if there still is one, and begins anew."""
        self.epoch = FIRST_EPOCH


def _topics(wanted: Mapping[TopicPartition, Wanted]) -> list[Message]:
    topics: dict[tuple[str, UUID], list[Message]] = {}
    for id_, each in wanted.items():
        partition = Message(
            partition=id_.partition,
            current_leader_epoch=each.leader_epoch,
            fetch_offset=each.offset,
            last_fetched_epoch=-1,
            log_start_offset=-1,
            partition_max_bytes=each.max_bytes,
        )
        topics.setdefault((id_.topic, each.topic_id), []).append(partition)
    return [
        Message(topic=topic, topic_id=topic_id, partitions=partitions)
        for (topic, topic_id), partitions in topics.items()
    ]

"""Incremental fetch sessions (KIP-227): what a consumer asked for before, so that it need not say it again.

A session holds partitions in the order in which they are served, and what was last answered for each; an incremental
response leaves out what has nothing new. Partitions that had records move to the end, so that none starves behind a
busy one. Pure: time arrives as an argument, ids from a `Random`.

    session_id 0, epoch 0     full fetch, a new session if there is room
    session_id s, epoch 0     the same, and session s ends
    session_id s, epoch e     incremental: must be the next epoch of s
    any id,       epoch -1    full fetch without a session; session s, if it exists, ends

The cache is bounded by `max.incremental.fetch.session.cache.slots`. A new session takes the place of one unused for two
minutes, or of one as old that is smaller; otherwise its consumer is served without. (Kafka: `FetchSession.scala`.)
"""

from collections import OrderedDict
from collections.abc import Iterable
from random import Random

from ..protocol.errors import ErrorCode
from ..protocol.fetch import FetchAnswer, FetchPartition, FetchRequest
from ..protocol.produce import TopicKey
from ..protocol.values import dataclass

INITIAL_EPOCH = 0
FINAL_EPOCH = -1
MAX_EPOCH = 2**31 - 1
MIN_EVICTION_MS = 120_000

PartitionKey = tuple[TopicKey, int]


class SessionRefused(Exception):
    """The session of a request cannot be used: `code` goes into the response as a whole."""

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.name)
        self.code = code


@dataclass(slots=True)
class CachedPartition:
    """One partition of a session: what is wanted of it and what was last said of it."""

    wanted: FetchPartition
    high_watermark: int = -1
    log_start_offset: int = -1

    def must_answer(self, answer: FetchAnswer) -> bool:
        """Whether the answer says anything new; remembers what it says."""
        has_records = not isinstance(answer.records, bytes) or len(answer.records) > 0
        changed = (
            has_records
            or answer.high_watermark != self.high_watermark
            or answer.log_start_offset != self.log_start_offset
            or answer.diverging is not None
        )
        self.high_watermark = answer.high_watermark
        self.log_start_offset = answer.log_start_offset
        if answer.error is not ErrorCode.NONE:
            self.high_watermark = -1  # so that the recovery from the error is told, too
            return True
        return changed


class FetchSession:
    """One consumer's partitions, in the order they are served."""

    __slots__ = ("created_ms", "epoch", "id", "partitions", "used_ms", "uses_topic_ids")

    def __init__(self, session_id: int, *, uses_topic_ids: bool, now_ms: int) -> None:
        self.id = session_id
        self.epoch = 1
        self.uses_topic_ids = uses_topic_ids
        self.created_ms = now_ms
        self.used_ms = now_ms
        self.partitions: OrderedDict[PartitionKey, CachedPartition] = OrderedDict()

    def update(self, request: FetchRequest) -> None:
        """Take in what an incremental request adds, changes and forgets."""
        for topic, wanted in request.topics:
            for each in wanted:
                cached = self.partitions.get((topic, each.index))
                if cached is None:
                    self.partitions[topic, each.index] = CachedPartition(each)
                else:
                    cached.wanted = each
        for topic, indexes in request.forgotten:
            for index in indexes:
                self.partitions.pop((topic, index), None)


@dataclass(slots=True)
class FetchContext:
    """What one Fetch reads, and how its answers are cut down to what its session has not been told."""

    session: FetchSession | None
    incremental: bool
    wanted: list[tuple[TopicKey, FetchPartition]]

    @property
    def session_id(self) -> int:
        """What the response says; 0 means that there is no session."""
        return self.session.id if self.session else 0

    def select(self, answers: Iterable[tuple[TopicKey, FetchAnswer]]) -> list[tuple[TopicKey, FetchAnswer]]:
        """The answers to send, in order; called once, when the response is final."""
        if self.session is None:
            return list(answers)
        sent = []
        for topic, answer in answers:
            cached = self.session.partitions.get((topic, answer.index))
            if cached is None:
                continue
            if cached.must_answer(answer) or not self.incremental:
                sent.append((topic, answer))
                if not isinstance(answer.records, bytes):
                    self.session.partitions.move_to_end((topic, answer.index))
        return sent


class FetchSessions:
    """The bounded cache of sessions, least recently used first."""

    def __init__(self, slots: int, random: Random) -> None:
        self.slots = slots
        self._random = random
        self._sessions: OrderedDict[int, FetchSession] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, request: FetchRequest, *, uses_topic_ids: bool, now_ms: int) -> FetchContext:
        """Find or make the request's session. Raises SessionRefused."""
        if request.session_epoch in (INITIAL_EPOCH, FINAL_EPOCH):
            self._sessions.pop(request.session_id, None)
            named = {(topic, each.index): each for topic, partitions in request.topics for each in partitions}
            wanted = [(topic, each) for (topic, _), each in named.items()]
            session = None
            if request.session_epoch == INITIAL_EPOCH:
                session = self._create(request, len(wanted), uses_topic_ids=uses_topic_ids, now_ms=now_ms)
            return FetchContext(session, False, wanted)
        return self._resume(request, uses_topic_ids=uses_topic_ids, now_ms=now_ms)

    def _resume(self, request: FetchRequest, *, uses_topic_ids: bool, now_ms: int) -> FetchContext:
        session = self._sessions.get(request.session_id)
        if session is None:
            raise SessionRefused(ErrorCode.FETCH_SESSION_ID_NOT_FOUND)
        if session.epoch != request.session_epoch:
            raise SessionRefused(ErrorCode.INVALID_FETCH_SESSION_EPOCH)
        if session.uses_topic_ids != uses_topic_ids:
            raise SessionRefused(ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR)
        session.update(request)
        if not session.partitions:
            del self._sessions[session.id]
            return FetchContext(None, False, [])
        session.epoch = 1 if session.epoch == MAX_EPOCH else session.epoch + 1
        session.used_ms = now_ms
        self._sessions.move_to_end(session.id)
        wanted = [(topic, cached.wanted) for (topic, _), cached in session.partitions.items()]
        return FetchContext(session, True, wanted)

    def _create(self, request: FetchRequest, size: int, *, uses_topic_ids: bool, now_ms: int) -> FetchSession | None:
        if len(self._sessions) >= self.slots and not self._evict(size, now_ms):
            return None
        session_id = 0
        while session_id == 0 or session_id in self._sessions:
            session_id = self._random.randrange(1, 2**31)
        session = FetchSession(session_id, uses_topic_ids=uses_topic_ids, now_ms=now_ms)
        session.update(request)
        self._sessions[session_id] = session
        return session

    def _evict(self, size: int, now_ms: int) -> bool:
        """Make room for a session of `size` partitions, if an old one may go."""
        if not self._sessions:
            return False
        stalest = next(iter(self._sessions.values()))
        if now_ms - stalest.used_ms > MIN_EVICTION_MS:
            del self._sessions[stalest.id]
            return True
        old = (each for each in self._sessions.values() if now_ms - each.created_ms > MIN_EVICTION_MS)
        smallest = min(old, key=lambda each: len(each.partitions), default=None)
        if smallest is None or len(smallest.partitions) >= size:
            return False
        del self._sessions[smallest.id]
        return True

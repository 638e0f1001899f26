"""All that a producer has taken and not yet delivered: what to send to which broker now, and when to look again.

    add ──► lanes (one per partition) ──► drain ──► requests ──► answered, or lost
                                            ▲                        │
                                            └────────────────────────┘

A request to a broker has at most one batch of each partition that it leads, up to `max_request_size`, and each broker
has at most `max_in_flight` requests.  Lanes are served in turn, who was served goes to the end, so a busy partition
does not starve the others.  What the lanes guarantee is told in `lane`; Kafka's counterparts are `RecordAccumulator`
and `Sender`.

Records are taken as long as `has_room`: all that is taken and undecided counts, also what is in flight.

Pure: events, answers and the time in seconds in, requests out; who owns the sockets is `producer`.  After any event
the shell drains, then looks at `wants_metadata` and `wants_identity`, and comes back at `wake_at`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random

from ..protocol.produce import ProduceAnswer
from ..protocol.values import dataclass
from .batch import Batch, ProducerIdentity
from .delivery import Acknowledged, GivenUp
from .lane import Lane, LaneSettings, Verdict, is_about_leaders
from .metadata import NO_LEADER, Metadata

_NEVER = float("inf")
RECORD_OVERHEAD_BYTES = 21
"""At most so much is added to key, value and headers: the numbers of a record (Kafka's MAX_RECORD_OVERHEAD)."""
_MOST_AHEAD_BYTES = 256 * 1024
"""So much of the buffer at most a batch is given before it needs it: who has to ask is noted one by one, not by columns."""
_SHARES = 8
"""And at most this part, divided among all partitions that something is on its way to, of what is left of the buffer."""


@dataclass(frozen=True, slots=True)
class AccumulatorSettings:
    """The bounds of a producer."""

    lanes: LaneSettings
    max_request_size: int
    buffer_memory: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One Produce request: the batches for partitions of which a broker is the leader."""

    node_id: int
    batches: Sequence[tuple[Lane, Batch]]


class Accumulator:
    """Everything on its way."""

    def __init__(self, settings: AccumulatorSettings, random: Random) -> None:
        self.identity: ProducerIdentity | None = None
        self.buffered_bytes = 0
        self.wants_metadata = False
        self._settings = settings
        self._buffer_memory = settings.buffer_memory
        self._random = random
        self._lanes: dict[tuple[str, int], Lane] = {}
        self._active: dict[Lane, None] = {}  # lanes that are not empty, next to be served first
        self._in_flight: Counter[int] = Counter()  # requests by broker
        self._muted_until_s: dict[int, float] = {}
        self._expires_at_s = _NEVER  # nothing waits for too long before

    # -- taking records

    def lane(self, topic: str, partition: int) -> Lane:
        """The lane of a partition, made when it is first asked for."""
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = Lane(topic, partition, self._settings.lanes, self._random)
        return lane

    @property
    def has_room(self) -> bool:
        """Whether another record may be added."""
        return self.buffered_bytes < self._buffer_memory

    def begin(self, lane: Lane, now_s: float) -> Batch:
        """Open a new batch in a lane; what was open is full."""
        batch = lane.begin(now_s)
        self._active[lane] = None
        self._expires_at_s = min(self._expires_at_s, now_s + self._settings.lanes.delivery_timeout_s)
        batch.fate.watch(lambda: self._release(batch))
        return batch

    def reserve(self, batch: Batch) -> bool:
        """Records were appended to a batch: it has as much of the buffer as they take; whether that is full now.

        It is given some more ahead of need, while there is room, so that most records find that there is enough
        (`Batch.reserved_bytes`) without asking here: as much again, or as the batch before had, within a bound.
        """
        size_bytes = batch.builder.most_bytes
        needed = size_bytes - batch.reserved_bytes
        if needed > 0:
            left = self._buffer_memory - self.buffered_bytes - needed
            likely = max(batch.reserved_bytes, batch.expected_bytes)
            share = left // (_SHARES * max(1, len(self._active)))
            ahead = min(likely, _MOST_AHEAD_BYTES, share, self._settings.lanes.batch_size - size_bytes)
            granted = needed + max(0, ahead)
            batch.reserved_bytes += granted
            self.buffered_bytes += granted
        return self.buffered_bytes >= self._buffer_memory

    def _release(self, batch: Batch) -> None:
        self.buffered_bytes -= batch.reserved_bytes

    # -- what is known of the cluster

    def believe(self, metadata: Metadata, now_s: float) -> None:
        """Take over who leads which partition."""
        for lane in self._lanes.values():
            self.find_leader(lane, metadata, now_s)

    def find_leader(self, lane: Lane, metadata: Metadata, now_s: float) -> None:
        """Take over who leads the partition of a lane."""
        partition = metadata.partition(lane.topic, lane.partition)
        lane.leader_changed(NO_LEADER if partition is None else partition.leader_id, now_s)

    @property
    def wants_identity(self) -> bool:
        """Whether a producer id is to be had from the cluster before everything can be sent."""
        if not self._settings.lanes.is_idempotent:
            return False
        return self.identity is None or any(lane.needs_identity for lane in self._active)

    def identify(self, identity: ProducerIdentity) -> None:
        """The cluster gave an identity; partitions that have used up their last one go on with it."""
        self.identity = identity
        for lane in self._active:
            if lane.needs_identity:
                lane.begin_anew(identity)

    def begin_anew(self, identity: ProducerIdentity) -> None:
        """Go on under another identity in every partition; nothing may be in flight."""
        self.identity = identity
        for lane in self._lanes.values():
            lane.begin_anew(identity)

    @property
    def has_in_flight(self) -> bool:
        """Whether answers are still to come."""
        return any(lane.has_in_flight for lane in self._active)

    # -- sending

    def drain(self, now_s: float, can_send: Callable[[int], bool]) -> list[Outgoing]:
        """All requests to send now, to brokers that `can_send`; their batches are in flight from now on."""
        if self._settings.lanes.is_idempotent and self.identity is None:
            return []
        requests: list[Outgoing] = []
        while more := self._one_to_each(now_s, can_send):
            requests += more
        return requests

    def _one_to_each(self, now_s: float, can_send: Callable[[int], bool]) -> list[Outgoing]:
        """At most one request to each broker."""
        chosen: dict[int, list[tuple[Lane, Batch]]] = {}
        sizes: Counter[int] = Counter()
        for lane in self._ready(now_s):
            node_id = lane.leader_id
            size = lane.next_size_bytes()
            if node_id not in chosen:
                if not self._is_free(node_id, now_s) or not can_send(node_id):
                    continue
                chosen[node_id] = []
            elif sizes[node_id] + size > self._settings.max_request_size:
                continue
            sizes[node_id] += size
            chosen[node_id].append((lane, lane.take(self.identity)))
        return [self._request(node_id, batches) for node_id, batches in chosen.items()]

    def _ready(self, now_s: float) -> list[Lane]:
        ready = [lane for lane in self._active if lane.ready_at() <= now_s and not lane.needs_identity]
        if any(lane.leader_id == NO_LEADER for lane in ready):
            self.wants_metadata = True
            ready = [lane for lane in ready if lane.leader_id != NO_LEADER]
        return ready

    def _is_free(self, node_id: int, now_s: float) -> bool:
        if now_s < self._muted_until_s.get(node_id, now_s):
            return False
        return self._in_flight[node_id] < self._settings.lanes.max_in_flight

    def _request(self, node_id: int, batches: Sequence[tuple[Lane, Batch]]) -> Outgoing:
        for lane, _ in batches:  # who was served goes to the end
            del self._active[lane]
            self._active[lane] = None
        if self._settings.lanes.expects_answers:
            self._in_flight[node_id] += 1
        return Outgoing(node_id, batches)

    def leaders_to_reach(self, now_s: float) -> set[int]:
        """The brokers for which something is ready."""
        return {lane.leader_id for lane in self._ready(now_s)}

    # -- answers

    def answered(
        self, request: Outgoing, answers: Mapping[tuple[str, int], ProduceAnswer], throttle_time_ms: int, now_s: float
    ) -> None:
        """Every batch of the request has its answer; the broker wants to be left alone for `throttle_time_ms`."""
        self._in_flight[request.node_id] -= 1
        if throttle_time_ms > 0:  # KIP-219: the client, not the broker, waits
            self._muted_until_s[request.node_id] = now_s + throttle_time_ms / 1000
        for lane, batch in request.batches:
            answer = answers.get((lane.topic, lane.partition))
            if answer is None:
                lane.lost(batch, f"the answer of broker {request.node_id} leaves it out", now_s)
            elif lane.answered(batch, answer, now_s) is not Verdict.WRITTEN and is_about_leaders(answer.error):
                self.wants_metadata = True
            self._rest(lane)

    def lost(self, request: Outgoing, why: str, now_s: float) -> None:
        """The request will not be answered."""
        self._in_flight[request.node_id] -= 1
        self.wants_metadata = True
        for lane, batch in request.batches:
            lane.lost(batch, why, now_s)
            self._rest(lane)

    def note_unreachable(self, node_id: int, why: str) -> None:
        """The broker cannot be reached: what waits for it can say so, if it is given up."""
        for lane in self._active:
            if lane.leader_id == node_id:
                lane.trouble = why

    def sent_unanswered(self, request: Outgoing) -> None:
        """The request is on its way, and that is all there is to know (acks 0)."""
        for lane, batch in request.batches:
            batch.decide(Acknowledged())
            self._rest(lane)

    def _rest(self, lane: Lane) -> None:
        if lane.is_empty:
            self._active.pop(lane, None)

    # -- time

    def wake_at(self, now_s: float) -> float:
        """When something is to be done though nothing happens: a time to come, or infinity."""
        times = [self._expires_at_s if self._active else _NEVER]
        times += [at for lane in self._active if (at := lane.ready_at()) > now_s]
        times += [at for at in self._muted_until_s.values() if at > now_s]
        return min(times)

    def expire(self, now_s: float) -> None:
        """Give up what was not delivered in time."""
        if now_s < self._expires_at_s:  # asked at every turn
            return
        for lane in list(self._active):
            lane.expire(now_s)
            self._rest(lane)
        self._expires_at_s = min((lane.expires_at() for lane in self._active), default=_NEVER)

    def give_up(self, outcome: GivenUp) -> None:
        """Give up everything that is not decided."""
        for lane in list(self._active):
            lane.give_up(outcome)
            self._rest(lane)

    @property
    def topics(self) -> set[str]:
        """The topics that something is on its way to."""
        return {lane.topic for lane in self._active}

    # -- flushing

    def hurry(self) -> None:
        """Send the open batches without waiting for more records."""
        for lane in self._active:
            lane.close_open()

    def undecided(self) -> list[Batch]:
        """All batches that have no outcome yet."""
        return [batch for lane in self._active for batch in lane.undecided()]

    def queue_sizes(self, topic: str, partitions: Iterable[int]) -> dict[int, int]:
        """How many batches each of these partitions has that are not delivered."""
        lanes = ((each, self._lanes.get((topic, each))) for each in partitions)
        return {each: lane.queue_size for each, lane in lanes if lane is not None}

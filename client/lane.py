"""One partition's batches, in order: which may be sent now, and what an answer means for them.

    open ──► waiting ──► in flight ──► decided
                             │  ▲
                   refused,  ▼  │ alone, when nothing of the partition is in flight
                   or lost  again

Records are written in the order they were given, once, whatever happens in between, for an idempotent producer:

- A batch is given its place in the sequence when it is first sent, and keeps it however often it is sent again.  The
  broker takes a sequence once and in order, so a batch of which no answer came can simply be sent again.
- At most five batches are in flight, for of so many the broker remembers the sequences.  While there are batches to be
  sent again nothing new is sent, and those go one at a time, each alone until it is decided: so what may be written
  never has more than four batches behind it, and the broker still knows it.  What was sent behind them comes back as
  well, refused for being out of order, and takes its place in the queue.
- OUT_OF_ORDER_SEQUENCE_NUMBER for a batch that nothing is missing before says that there is a gap in the sequence
  which nothing will fill: a batch was refused for good, or given up, or the log lost records it had acknowledged.
  Then no batch from here on is written, or the broker would know it.  So, once nothing is in flight, the partition
  goes on in a new epoch with a sequence from 0, in which the broker also refuses whatever of the old epoch may still
  come (KIP-360).  Kafka's `TransactionManager` moves to the next epoch for all partitions together; the broker keeps
  epoch and sequence by partition, and so do we.
- A broker that knows nothing of a producer lets it begin anywhere in its sequence.  So until the first batch is
  acknowledged, and while batches are in flight to one leader and another leads now, nothing is sent behind them: what
  was refused would otherwise be overtaken.
- A batch that is given up while its answer may still come stays in flight, decided, until that answer or the end of
  the connection: its place in the order is taken.

Without idempotence batches are sent again in order, too, but what was in flight behind them may have been written
before: as in Kafka, who needs the order then allows one request in flight.

Pure: time is an argument in seconds.  What to do about a refusal that is not ours to repair (metadata to be asked,
an identity to be had) is the answer of `answered`, or asked of the lane by the accumulator.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from operator import attrgetter
from random import Random

from ..protocol.errors import ErrorCode
from ..protocol.produce import ProduceAnswer
from ..protocol.records import BatchBuilder
from ..protocol.values import dataclass
from .batch import Batch, ProducerIdentity, next_sequence
from .delivery import Acknowledged, GivenUp, Refused
from .errors import DeliveryTimedOut
from .retry import LEADER_IS_OLD, Backoff

MAX_IN_FLIGHT = 5
"""Of so many batches a broker remembers the sequences (Kafka's ProducerStateEntry)."""
_MAX_EPOCH = 2**15 - 1
_NEVER = float("inf")
_place = attrgetter("place")

_GAP = frozenset(
    {
        ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER,
        ErrorCode.UNKNOWN_PRODUCER_ID,
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.INVALID_PRODUCER_ID_MAPPING,
    }
)
"""What a broker says of a batch that is not the next in its sequence."""


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """What all lanes of a producer have in common."""

    batch_size: int
    linger_s: float
    delivery_timeout_s: float
    max_in_flight: int
    is_idempotent: bool
    expects_answers: bool  # acks is not 0
    backoff: Backoff
    new_builder: Callable[[], BatchBuilder]
    is_transactional: bool = False


class Verdict(Enum):
    """What an answer means for a batch."""

    WRITTEN = auto()
    AGAIN = auto()
    NEW_EPOCH = auto()
    DIVIDE = auto()
    REFUSED = auto()


def judge(
    error: ErrorCode, batch: Batch, *, is_first: bool, is_idempotent: bool, is_transactional: bool = False
) -> Verdict:
    """What to do about an answer; `is_first` says that all batches before this one are decided."""
    if error in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
        return Verdict.WRITTEN
    if error in _GAP and is_transactional and (is_first or error is not ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER):
        return Verdict.REFUSED  # the transaction has failed; its epochs are the coordinator's
    if error in _GAP and is_idempotent:
        return Verdict.NEW_EPOCH if is_first else Verdict.AGAIN
    if error is ErrorCode.MESSAGE_TOO_LARGE and batch.record_count > 1 and not batch.is_maybe_written:
        return Verdict.DIVIDE
    return Verdict.AGAIN if error.retriable else Verdict.REFUSED


class Lane:
    """The batches of one partition.  `leader_id` is the accumulator's to set; -1 while nobody leads."""

    def __init__(self, topic: str, partition: int, settings: LaneSettings, random: Random) -> None:
        self.topic = topic
        self.partition = partition
        self.leader_id = -1
        self.open: Batch | None = None
        self.identity: ProducerIdentity | None = None
        self.next_sequence = 0
        self.needs_new_epoch = False
        self.trouble: str | None = None  # why its leader could not be reached
        self.last_filled_bytes = 0  # what the batch that was closed last took
        self._settings = settings
        self._random = random
        self._waiting: deque[Batch] = deque()
        self._again: list[Batch] = []
        self._in_flight: list[Batch] = []
        self._in_flight_to = -1  # the leader they were sent to
        self._is_known = not settings.is_idempotent  # the brokers know our sequence
        self._failures = 0  # in a row
        self._not_before_s = 0.0
        self._batch_count = 0

    # -- taking records

    def begin(self, now_s: float) -> Batch:
        """Open a new batch; the one that was open waits to be sent."""
        self.close_open()
        self._batch_count += 1
        batch = Batch(
            self.topic,
            self.partition,
            place=(self._batch_count,),
            created_s=now_s,
            builder=self._settings.new_builder(),
        )
        batch.expected_bytes = self.last_filled_bytes
        self.open = batch
        return batch

    def close_open(self) -> None:
        """Send the open batch as soon as may be, and take no more records into it."""
        if self.open is not None:
            self.last_filled_bytes = self.open.builder.most_bytes
            self._waiting.append(self.open)
            self.open = None

    # -- sending

    @property
    def has_in_flight(self) -> bool:
        """Whether answers are still to come, also for batches that were given up."""
        return bool(self._in_flight)

    @property
    def is_empty(self) -> bool:
        """Whether everything is decided and answered."""
        return not (self.open or self._waiting or self._again or self._in_flight)

    @property
    def queue_size(self) -> int:
        """How many batches are not yet decided."""
        return len(self._waiting) + len(self._again) + len(self._in_flight)

    def undecided(self) -> list[Batch]:
        """All batches that have no outcome yet, the oldest first."""
        batches = [*sorted((*self._again, *self._in_flight), key=_place), *self._waiting]
        return [each for each in (*batches, *([self.open] if self.open else ())) if not each.is_decided]

    def ready_at(self) -> float:
        """When the next batch may be sent: a time that has passed, one to come, or infinity if none can just now."""
        if self._again:
            return _NEVER if self._in_flight else self._not_before_s
        if self._in_flight and not self._may_follow():
            return _NEVER
        if self._waiting:
            return self._not_before_s
        return _NEVER if self.open is None else max(self._not_before_s, self.open.created_s + self._settings.linger_s)

    def _may_follow(self) -> bool:
        """Whether another batch may be sent behind those in flight."""
        if self.needs_new_epoch or not self._is_known or self._in_flight_to != self.leader_id:
            return False
        if self._in_flight[0].attempts > 1:  # then it is alone
            return False  # it may be written, and the broker remembers only so many batches behind it
        return len(self._in_flight) < self._settings.max_in_flight

    def next_size_bytes(self) -> int:
        """At most so many bytes has the batch that `take` would give."""
        batch = self._again[0] if self._again else self._waiting[0] if self._waiting else self.open
        assert batch is not None, "nothing to send"
        return batch.builder.size_bytes

    def take(self, base: ProducerIdentity | None) -> Batch:
        """The batch that `ready_at` spoke of, from now on in flight; `base` is the identity to begin with."""
        if self.needs_new_epoch:
            self._begin_new_epoch()
        if self._again:
            batch = self._again.pop(0)
        else:
            if not self._waiting:
                self.close_open()
            batch = self._waiting.popleft()
            if self._settings.is_idempotent:
                self._identify(batch, base)
        batch.attempts += 1
        if self._settings.expects_answers:
            self._in_flight.append(batch)
            self._in_flight_to = self.leader_id
        return batch

    @property
    def needs_identity(self) -> bool:
        """Whether it can only go on with another producer id, because its epochs are used up."""
        if not self.needs_new_epoch or self._in_flight:
            return False
        return self.identity is not None and self.identity.epoch >= _MAX_EPOCH

    def begin_anew(self, identity: ProducerIdentity) -> None:
        """Go on under another identity; nothing may be in flight."""
        assert not self._in_flight, "batches in flight have an identity"
        self.identity, self.next_sequence, self.needs_new_epoch = identity, 0, False
        self._is_known = False
        for batch in self._again:
            self._identify(batch, identity)

    def _identify(self, batch: Batch, base: ProducerIdentity | None) -> None:
        self.identity = self.identity or base
        assert self.identity is not None, "an idempotent producer has an identity before it sends"
        batch.identify(self.identity, self.next_sequence)
        self.next_sequence = next_sequence(self.next_sequence, batch.record_count)

    def _begin_new_epoch(self) -> None:
        assert self.identity is not None, "there was a sequence"
        self.begin_anew(ProducerIdentity(self.identity.producer_id, self.identity.epoch + 1))

    # -- answers

    def answered(self, batch: Batch, answer: ProduceAnswer, now_s: float) -> Verdict:
        """Draw the conclusion from an answer; the batch is no longer in flight."""
        is_first = batch.place == min(each.place for each in (*self._again, *self._in_flight))
        self._in_flight.remove(batch)
        verdict = judge(
            answer.error,
            batch,
            is_first=is_first,
            is_idempotent=self._settings.is_idempotent,
            is_transactional=self._settings.is_transactional,
        )
        if verdict is Verdict.WRITTEN:
            self._is_known, self._failures = True, 0
        if batch.is_decided:
            return verdict
        if verdict is Verdict.WRITTEN:
            batch.decide(_acknowledged(answer))
        elif verdict is Verdict.REFUSED:
            batch.decide(Refused(answer.error, answer.message, answer.record_errors))
        else:
            self._send_again(batch, verdict, answer, now_s)
        return verdict

    def lost(self, batch: Batch, why: str, now_s: float) -> None:
        """No answer will come; whether the batch is written nobody knows."""
        self._in_flight.remove(batch)
        batch.is_maybe_written = True
        if not batch.is_decided:
            batch.last_error = why
            self._again_in_order(batch)
            self._back_off(now_s)

    def leader_changed(self, leader_id: int, now_s: float) -> None:
        """Somebody else leads now, who has refused nothing yet."""
        if leader_id != self.leader_id:
            self.leader_id = leader_id
            self.trouble = None
            self._not_before_s = min(self._not_before_s, now_s)

    def _send_again(self, batch: Batch, verdict: Verdict, answer: ProduceAnswer, now_s: float) -> None:
        batch.last_error = f"{answer.error.name}: {answer.message}" if answer.message else answer.error.name
        if verdict is Verdict.DIVIDE:
            for half in batch.halves(self._settings.new_builder):
                self._again_in_order(half)
            return
        self._again_in_order(batch)
        if verdict is Verdict.NEW_EPOCH:
            self.needs_new_epoch = True
        if answer.error not in _GAP or verdict is Verdict.NEW_EPOCH:
            self._back_off(now_s)

    def _again_in_order(self, batch: Batch) -> None:
        insort(self._again, batch, key=_place)

    def _back_off(self, now_s: float) -> None:
        self._failures += 1
        self._not_before_s = now_s + self._settings.backoff.delay_s(self._failures, self._random)

    # -- giving up

    def expires_at(self) -> float:
        """When the oldest batch will have waited for too long."""
        oldest = [*self._again[:1], *[each for each in self._in_flight if not each.is_decided][:1]]
        oldest += [self._waiting[0]] if self._waiting else [self.open] if self.open else []
        return min((each.created_s for each in oldest), default=_NEVER) + self._settings.delivery_timeout_s

    def expire(self, now_s: float) -> list[Batch]:
        """Give up what has waited for too long; what was given up."""
        if now_s < self.expires_at():
            return []
        timeout_s = self._settings.delivery_timeout_s  # the very sum of `expires_at`, or rounding keeps us in between
        expired = [each for each in self.undecided() if each.created_s + timeout_s <= now_s]
        for batch in expired:
            batch.decide(GivenUp(DeliveryTimedOut, self._why_expired(batch)))
        self._forget_decided()
        return expired

    def give_up(self, outcome: GivenUp) -> list[Batch]:
        """Give up everything."""
        given_up = self.undecided()
        for batch in given_up:
            batch.decide(outcome)
        self._forget_decided()
        return given_up

    def _forget_decided(self) -> None:
        """But those in flight: they have their place until the answer comes."""
        self._again = [each for each in self._again if not each.is_decided]
        self._waiting = deque(each for each in self._waiting if not each.is_decided)
        if self.open is not None and self.open.is_decided:
            self.open = None

    def _why_expired(self, batch: Batch) -> str:
        timeout_ms = round(self._settings.delivery_timeout_s * 1000)
        why = f"not acknowledged within delivery_timeout_ms ({timeout_ms})"
        leader = "the partition has no leader" if self.leader_id < 0 else f"broker {self.leader_id} leads it"
        if batch.attempts == 0:
            return f"{why}, and never sent; {self.trouble or leader}"
        last = batch.last_error or self.trouble or "no answer"
        return f"{why}, sent {batch.attempts} time(s), it may have been written; last: {last}"


def is_about_leaders(error: ErrorCode) -> bool:
    """Whether metadata should be asked anew."""
    return error in LEADER_IS_OLD


def _acknowledged(answer: ProduceAnswer) -> Acknowledged:
    return Acknowledged(answer.base_offset, answer.log_append_time_ms, answer.log_start_offset)

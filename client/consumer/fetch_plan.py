"""What to fetch next from one broker, and what its answer does to the partitions.  Pure.

A partition is fetched while less than half an answer of it (`max_partition_fetch_bytes`) waits behind the one that the
user reads, or waits for and is about to read, so that the next is there when that is done.  All answers of a broker
together stay within its share of the budget.  The first batch of an answer is always whole, even if larger: by so much
the bound may be passed.

An answer is believed only about a partition that is assigned still, and whose fetch offset is the one that was asked
for: a seek or a rebalance meanwhile makes it worthless.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...protocol.values import dataclass, field
from ..admin.values import TopicPartition
from ..metadata import NO_LEADER, Metadata
from ..retry import LEADER_IS_OLD
from .batch_walk import extent_of
from .chunk import Budget, Chunk, Frame
from .fetch_session import Wanted
from .fetched_batch import CorruptRecords
from .offset_reset import NONE, OffsetReset
from .partition_state import PartitionState
from .subscription import SubscriptionState

WAIT_WHILE_SOME_ARE_FULL_MS = 50
"""How long the broker may wait for news of the others while a partition is left out because it is full here."""


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """The names are Kafka's, but for `prefetch_max_bytes`: the bound on what is in memory or on its way.

    `max_partition_fetch_bytes` is four times what Kafka's own clients ask for.  Batches are cut off at the end of an answer and
    come again in the next: of those of 1 MB, librdkafka's, four fit for the price of one question and one wait.
    """

    fetch_min_bytes: int = 1
    fetch_max_bytes: int = 50 * 1024 * 1024
    fetch_max_wait_ms: int = 500
    max_partition_fetch_bytes: int = 4 * 1024 * 1024
    prefetch_max_bytes: int = 64 * 1024 * 1024
    committed_only: bool = False
    check_crcs: bool = True
    rack: str = ""
    reset: OffsetReset = NONE


@dataclass(slots=True)
class Plan:
    """A request to be; nothing to ask when `wanted` is empty, and then `retry_at_s` says when there may be."""

    wanted: dict[TopicPartition, Wanted] = field(default_factory=dict)
    states: dict[TopicPartition, PartitionState] = field(default_factory=dict)
    max_bytes: int = 0
    some_are_full: bool = False
    retry_at_s: float | None = None


def plan_fetch(
    states: Iterable[PartitionState],
    metadata: Metadata,
    node_id: int,
    *,
    settings: FetchSettings,
    budget: Budget,
    user_waits: bool,
    now_s: float,
) -> Plan:
    """What to ask this broker for, in the order of `states`."""
    plan = Plan()
    for state in states:
        known = metadata.partition(state.id.topic, state.id.partition)
        if known is None or known.leader_id != node_id or not state.is_fetchable:
            continue
        if state.not_before_s > now_s:
            plan.retry_at_s = min(state.not_before_s, plan.retry_at_s or state.not_before_s)
        elif (state.bytes_behind_first if user_waits else state.waiting_bytes) >= max(
            1, settings.max_partition_fetch_bytes // 2
        ):
            plan.some_are_full = True
        else:
            topic_id = metadata.topics[state.id.topic].id
            size = settings.max_partition_fetch_bytes
            plan.wanted[state.id] = Wanted(state.fetch_offset, size, known.leader_epoch, topic_id)
            plan.states[state.id] = state
    most = min(settings.fetch_max_bytes, len(plan.wanted) * settings.max_partition_fetch_bytes)
    plan.max_bytes = min(most, budget.room_bytes)
    if is_starved(budget, settings):
        plan.wanted.clear()
    return plan


def is_starved(budget: Budget, settings: FetchSettings) -> bool:
    """Whether a broker's share has so little room that a request is not worth it."""
    least = min(settings.max_partition_fetch_bytes, settings.fetch_max_bytes, budget.limit_bytes)
    return budget.room_bytes < max(1, least // 2)


def leaders_of(states: Iterable[PartitionState], metadata: Metadata) -> set[int]:
    """The brokers that lead any of these."""
    known = (metadata.partition(state.id.topic, state.id.partition) for state in states)
    return {each.leader_id for each in known if each is not None and each.leader_id != NO_LEADER}


def leaderless(states: Iterable[PartitionState], metadata: Metadata) -> list[PartitionState]:
    """Partitions that nobody is known to lead."""
    known = ((state, metadata.partition(state.id.topic, state.id.partition)) for state in states)
    return [state for state, each in known if each is None or each.leader_id == NO_LEADER]


# -- answers


@dataclass(slots=True)
class Taken:
    """What an answer changed: something for the user, something to ask metadata about."""

    has_news: bool = False
    metadata_is_old: bool = False
    needs_position: bool = False
    leaders: list[tuple[TopicPartition, int, int]] = field(default_factory=list)  # KIP-951: node id, epoch


def take_answer(
    plan: Plan,
    answer: Message,
    frame: Frame,
    *,
    subscription: SubscriptionState,
    names: Mapping[UUID, str],
    settings: FetchSettings,
    retry_at_s: float,
) -> Taken:
    """Give each partition what came for it; `names` are the topics by id, for answers that have only ids."""
    taken = Taken()
    for topic in answer.responses:
        name = topic.topic or names.get(topic.topic_id)
        for each in topic.partitions:
            id_ = None if name is None else TopicPartition(name, each.partition_index)
            state = None if id_ is None else plan.states.get(id_)
            if state is None or id_ is None:
                continue  # of a session: not asked for this time, and not wanted
            if not subscription.holds(state) or state.fetch_offset != plan.wanted[id_].offset or not state.is_fetchable:
                continue
            if each.error_code == ErrorCode.NONE:
                _take_records(state, each, frame, taken)
            else:
                _take_refusal(state, each, settings, retry_at_s, taken)
    return taken


def _take_records(state: PartitionState, each: Message, frame: Frame, taken: Taken) -> None:
    state.high_watermark = each.high_watermark
    state.last_stable_offset = each.last_stable_offset
    state.log_start_offset = each.log_start_offset
    if not each.records:
        return
    try:
        extent = extent_of(state.id, each.records, state.fetch_offset)
    except CorruptRecords as error:
        state.failure = KafkaError(ErrorCode.CORRUPT_MESSAGE, str(error))
        taken.has_news = True
        return
    if extent is None or extent.next_offset <= state.fetch_offset:
        return
    aborted = tuple((txn.producer_id, txn.first_offset) for txn in each.aborted_transactions or ())
    records = each.records[: extent.end_position]
    chunk = Chunk(frame, records, extent.next_offset, extent.leader_epoch, aborted)
    state.add(chunk)
    taken.has_news = True


def _take_refusal(
    state: PartitionState, each: Message, settings: FetchSettings, retry_at_s: float, taken: Taken
) -> None:
    code = each.error_code if isinstance(each.error_code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR
    state.not_before_s = retry_at_s
    if code is ErrorCode.OFFSET_OUT_OF_RANGE:
        if state.fetch_offset == state.position:  # else what was fetched before is handed out first
            out_of_range(state, settings.reset)
            taken.needs_position, taken.has_news = True, state.failure is not None
    elif code in LEADER_IS_OLD:
        taken.metadata_is_old = code is not ErrorCode.UNKNOWN_LEADER_EPOCH or taken.metadata_is_old
        leader = each.current_leader
        if leader is not None and leader.leader_id >= 0:
            taken.leaders.append((state.id, leader.leader_id, leader.leader_epoch))
    elif not code.retriable and code is not ErrorCode.UNKNOWN_SERVER_ERROR:
        state.failure = KafkaError(code, f"{state.id} cannot be fetched: {_WHY.get(code, code.name)}")
        taken.has_news = True


_WHY = {
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "not authorized; its ACLs must allow this client to READ the topic",
}


def out_of_range(state: PartitionState, reset: OffsetReset) -> None:
    """The log has nothing at the position: begin elsewhere, or ask the user."""
    if reset is NONE:
        what = f"{state.id} has no offset {state.position}, and auto_offset_reset is none: seek"
        state.await_user(KafkaError(ErrorCode.OFFSET_OUT_OF_RANGE, what))
    else:
        state.await_reset(reset)

"""Consumer groups without a loop and without a disk: decisions, records and deadlines in virtual time.

`VirtualGroups` does what the shell does: it lets a decision happen, writes and applies its records, sets timers, and gives
the answer. `crash` forgets everything but the log, whose last batch may be missing. Clients behave as Kafka's do: they give
up what they must at their own pace, report what they own, join again when fenced, and send a full request after an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import UUID, uuid5

from ottla.broker.coordinators.consumer_groups.classic_members import (
    ClassicJoin,
    ClassicSync,
    heartbeat_classic,
    join_classic,
    sync_classic,
)
from ottla.broker.coordinators.consumer_groups.classic_picture import Downgrade
from ottla.broker.coordinators.consumer_groups.decision import Decision, TimerKind
from ottla.broker.coordinators.consumer_groups.group import ConsumerGroup
from ottla.broker.coordinators.consumer_groups.heartbeat import Heartbeat, HeartbeatAnswer, heartbeat
from ottla.broker.coordinators.consumer_groups.leaving import leave, rebalance_expired, session_expired
from ottla.broker.coordinators.consumer_groups.member import AWAY_EPOCH, LEFT_EPOCH, MemberState
from ottla.broker.coordinators.consumer_groups.record_format import decode, encode_key, encode_value
from ottla.broker.coordinators.consumer_groups.regex import resolve
from ottla.broker.coordinators.consumer_groups.settings import ConsumerGroupSettings, GroupTimes, MigrationPolicy
from ottla.broker.coordinators.consumer_groups.topic_image import TopicImage, TopicSeen
from ottla.broker.coordinators.consumer_groups.topic_patterns import resolved
from ottla.broker.coordinators.timers import Timers
from ottla.protocol.consumer_protocol import Subscription, by_topic, decode_assignment, encode_subscription
from ottla.protocol.errors import ErrorCode, KafkaError

T = TypeVar("T")

GROUP = "readers"
SESSION_MS = 45_000
HEARTBEAT_MS = 5_000
REBALANCE_MS = 60_000
ASSIGNMENT_MS = 1_000
_NAMESPACE = UUID(int=848)

Partition = tuple[UUID, int]


def topic_id(name: str, life: int = 0) -> UUID:
    return uuid5(_NAMESPACE, f"{name}/{life}")


def settings_for_tests(
    *,
    max_size: int = 100,
    migration: MigrationPolicy = MigrationPolicy.UPGRADE,
    assignment_ms: int = ASSIGNMENT_MS,
    assignors: tuple[str, ...] = ("uniform", "range"),
) -> ConsumerGroupSettings:
    times = GroupTimes(SESSION_MS, HEARTBEAT_MS, assignment_ms)
    return ConsumerGroupSettings(assignors, max_size, 100, migration, 600_000, lambda group_id: times)


class VirtualGroups:
    """One group, `readers`, and its topics."""

    def __init__(self, settings: ConsumerGroupSettings | None = None) -> None:
        self.settings = settings or settings_for_tests()
        self.now_ms = 1_000_000
        self.topics = TopicImage()
        self.batches: list[list[tuple[bytes, bytes | None]]] = []
        self.timers: Timers[tuple[TimerKind, str]] = Timers()
        self.group = ConsumerGroup(GROUP)
        self.wanted: frozenset[str] = frozenset()  # expressions being resolved
        self.downgraded: Downgrade | None = None

    # -- topics

    def create(self, name: str, count: int, *, life: int = 0) -> None:
        self.topics.put(TopicSeen(name, topic_id(name, life), count))
        self._topic_changed(name)

    def delete(self, name: str) -> None:
        self.topics.remove(name)
        self._topic_changed(name)

    def _topic_changed(self, name: str) -> None:
        if self.group.subscriptions.wants(name):
            self.group.note_topics_changed()

    # -- decisions

    def decide(self, decide: Callable[[Decision], T]) -> T:
        decision = Decision(self.group, self.topics, self.settings, self.now_ms)
        result = decide(decision)
        if decision.records:
            self.batches.append([(encode_key(each), encode_value(each)) for each in decision.records])
        for record in decision.records:
            self.group.apply(record)
        for change in decision.timers:
            key = (change.kind, change.member_id)
            if change.after_ms is None:
                self.timers.cancel(key)
            elif not (change.unless_running and key in self.timers):
                self.timers.start(key, self.now_ms + change.after_ms)
        self.downgraded = decision.downgrade or self.downgraded
        if decision.seen_epoch is not None:
            self.group.note_topics_seen(decision.seen_epoch)
        if decision.resolve:
            self.wanted, self.group.is_resolving = decision.resolve, True
        return result

    def heartbeat(self, request: Heartbeat) -> HeartbeatAnswer:
        if request.member_epoch in (LEFT_EPOCH, AWAY_EPOCH):
            return self.decide(lambda decision: leave(decision, request))
        return self.decide(lambda decision: heartbeat(decision, request))

    def finish_resolving(self) -> None:
        if self.wanted:
            found = resolve(self.wanted, self.topics.names, version=self.topics.version, now_ms=self.now_ms)
            self.wanted, self.group.is_resolving = frozenset(), False
            self.decide(lambda decision: resolved(decision, found))

    # -- time and crashes

    def pass_time(self, duration_ms: int) -> None:
        end_ms = self.now_ms + duration_ms
        while (next_ms := self.timers.next_at_ms()) is not None and next_ms <= end_ms:
            self.now_ms = max(self.now_ms, next_ms)
            for kind, member_id in self.timers.due(self.now_ms):
                expired = rebalance_expired if kind is TimerKind.REBALANCE else session_expired
                self.decide(lambda decision, who=member_id, what=expired: what(decision, who))  # type: ignore[misc]
        self.now_ms = end_ms

    def crash(self, *, lose_last: bool = False) -> None:
        """Begin anew from the log, perhaps without its last batch, whose answer nobody has got."""
        if lose_last and self.batches:
            del self.batches[-1]
        self.group = ConsumerGroup(GROUP)
        for batch in self.batches:
            for key, value in batch:
                self.group.apply(decode(key, value))
        self.timers, self.wanted = Timers(), frozenset()
        for member in self.group.members.values():
            self.timers.start((TimerKind.SESSION, member.member_id), self.now_ms + SESSION_MS)
            if member.standing.state is MemberState.UNREVOKED_PARTITIONS:
                timeout_ms = member.subscription.rebalance_timeout_ms
                self.timers.start((TimerKind.REBALANCE, member.member_id), self.now_ms + timeout_ms)

    def compact(self) -> None:
        """Of each key the last value stays, where it is; of a tombstone the tombstone."""
        last = {
            key: (number, place) for number, batch in enumerate(self.batches) for place, (key, _) in enumerate(batch)
        }
        self.batches = [
            [(key, value) for place, (key, value) in enumerate(batch) if last[key] == (number, place)]
            for number, batch in enumerate(self.batches)
        ]

    def check(self) -> None:
        self.group.check()
        self.timers.check()
        for member in self.group.members.values():
            assert (TimerKind.SESSION, member.member_id) in self.timers, "a member without a session"
            waits = member.standing.state is MemberState.UNREVOKED_PARTITIONS and member.epoch != AWAY_EPOCH
            assert not waits or member.is_classic or (TimerKind.REBALANCE, member.member_id) in self.timers


@dataclass(slots=True)
class Consumer:
    """A consumer of the new protocol. `granted` is what it was told last, `owned` what it works on."""

    groups: VirtualGroups
    member_id: str
    topics: frozenset[str] | None = frozenset()
    regex: str | None = None
    instance_id: str | None = None
    assignor: str | None = None
    epoch: int = 0
    granted: frozenset[Partition] = frozenset()
    owned: frozenset[Partition] = frozenset()
    must_say_all: bool = True
    is_out: bool = False  # another process has its instance id
    epochs: list[int] = field(default_factory=list)

    def request(self, epoch: int) -> Heartbeat:
        full = self.must_say_all or epoch == 0
        reported: dict[UUID, frozenset[int]] = {}
        for topic, index in self.owned:
            reported[topic] = reported.get(topic, frozenset()) | {index}
        says = full or self.owned != self.granted
        return Heartbeat(
            member_id=self.member_id,
            member_epoch=epoch,
            instance_id=self.instance_id,
            rack_id=None,
            rebalance_timeout_ms=REBALANCE_MS if full else -1,
            topics=self.topics if full else None,
            regex=self.regex if full else None,
            assignor=self.assignor if full else None,
            reported=reported if says or not (self.granted - self.owned) else None,
            client_id=self.member_id,
            client_host="/host",
        )

    def beat(self) -> ErrorCode:
        """One heartbeat, whose answer arrives."""
        try:
            answer = self.groups.heartbeat(self.request(self.epoch))
        except KafkaError as refusal:
            self._refused(refusal.code)
            return refusal.code
        self.must_say_all = False
        if answer.member_epoch != self.epoch:
            self.epochs.append(answer.member_epoch)
        self.epoch = answer.member_epoch
        if answer.assigned is not None:
            self.granted = frozenset((topic, index) for topic, each in answer.assigned.items() for index in each)
            # What it gets it may work on at once; what it loses it gives up with `give_up`.
            self.owned |= self.granted
        return ErrorCode.NONE

    def lose_answer(self) -> None:
        """One heartbeat, whose answer is lost on the way."""
        try:
            self.groups.heartbeat(self.request(self.epoch))
        except KafkaError as refusal:
            self._refused(refusal.code)
        self.must_say_all = True

    def _refused(self, code: ErrorCode) -> None:
        match code:
            case ErrorCode.FENCED_MEMBER_EPOCH | ErrorCode.UNKNOWN_MEMBER_ID:
                self._begin_anew()
            case ErrorCode.FENCED_INSTANCE_ID | ErrorCode.UNRELEASED_INSTANCE_ID:
                self._begin_anew()
                self.is_out = True
            case ErrorCode.GROUP_ID_NOT_FOUND | ErrorCode.GROUP_MAX_SIZE_REACHED:
                self._begin_anew()
            case other:
                raise AssertionError(f"told {other!r}")

    def _begin_anew(self) -> None:
        self.epoch, self.owned, self.granted, self.must_say_all = 0, frozenset(), frozenset(), True

    def give_up(self) -> None:
        """Finish the work on what it must give up."""
        self.owned &= self.granted

    def subscribe(self, topics: frozenset[str], regex: str | None = None) -> None:
        """Send the new subscription with the next heartbeat."""
        self.topics, self.regex, self.must_say_all = topics, "" if regex is None else regex, True

    def leave(self) -> None:
        self._go(LEFT_EPOCH)

    def go_away(self) -> None:
        self._go(AWAY_EPOCH)

    def _go(self, epoch: int) -> None:
        try:
            self.groups.heartbeat(self.request(epoch))
        except KafkaError as refusal:
            if refusal.code not in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.FENCED_INSTANCE_ID):
                raise
        self._begin_anew()


def subscription_bytes(
    topics: frozenset[str], owned: frozenset[tuple[str, int]] = frozenset(), version: int = 1
) -> bytes:
    """A classic consumer's metadata."""
    return encode_subscription(Subscription(tuple(topics), owned=by_topic(owned)), version)


@dataclass(slots=True)
class ClassicConsumer:
    """A consumer of the classic protocol with a cooperative assignor, in a consumer group."""

    groups: VirtualGroups
    member_id: str
    topics: frozenset[str]
    instance_id: str | None = None
    epoch: int = -1
    owned: frozenset[Partition] = frozenset()
    next_is: str = "join"
    is_out: bool = False
    epochs: list[int] = field(default_factory=list)

    def beat(self) -> ErrorCode:
        """Whatever it does next."""
        try:
            match self.next_is:
                case "join":
                    self._join()
                case "sync":
                    self._sync()
                case _:
                    code = self.groups.decide(lambda decision: heartbeat_classic(decision, self._at_epoch()))
                    self.next_is = "heartbeat" if code is ErrorCode.NONE else "join"
        except KafkaError as refusal:
            self._refused(refusal.code)
            return refusal.code
        return ErrorCode.NONE

    def _refused(self, code: ErrorCode) -> None:
        match code:
            case ErrorCode.UNKNOWN_MEMBER_ID | ErrorCode.ILLEGAL_GENERATION:
                self.owned, self.next_is, self.epoch = frozenset(), "join", -1
            case ErrorCode.REBALANCE_IN_PROGRESS:
                self.next_is = "join"
            case ErrorCode.FENCED_INSTANCE_ID:
                self.owned, self.is_out = frozenset(), True
            case other:
                raise AssertionError(f"told {other!r}")

    def _at_epoch(self) -> ClassicSync:
        return ClassicSync(self.member_id, self.instance_id, self.epoch)

    def _join(self) -> None:
        names = frozenset((self.groups.topics.name_of(topic) or "", index) for topic, index in self.owned)
        metadata = subscription_bytes(self.topics, frozenset(each for each in names if each[0]))
        request = ClassicJoin(
            member_id=self.member_id,
            instance_id=self.instance_id,
            client_id=self.member_id,
            client_host="/host",
            rebalance_timeout_ms=REBALANCE_MS,
            session_timeout_ms=SESSION_MS,
            protocol_type="consumer",
            protocols=(("cooperative-sticky", metadata),),
            new_id="",
            must_know_its_id=True,
        )
        joined = self.groups.decide(lambda decision: join_classic(decision, request))
        if joined.generation != self.epoch:
            self.epochs.append(joined.generation)
        self.epoch, self.next_is = joined.generation, "sync"

    def _sync(self) -> None:
        assignment = decode_assignment(self.groups.decide(lambda decision: sync_classic(decision, self._at_epoch())))
        granted = frozenset(
            (topic, index)
            for name, indexes in assignment.partitions.items()
            if (topic := self.groups.topics.id_of(name)) is not None
            for index in indexes
        )
        # It gives up what it must, and joins again for it at once (cooperative).
        self.next_is = "join" if self.owned - granted else "heartbeat"
        self.owned = granted

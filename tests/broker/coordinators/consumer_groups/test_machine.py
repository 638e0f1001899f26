"""Consumers of both protocols come and go, fall silent, lose answers; topics come and go; the coordinator crashes.

The model is what the consumers were told: whatever the coordinator keeps, no two of them may work on one partition.
"""

from __future__ import annotations

from hypothesis import settings, strategies
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from ottla.broker.coordinators.consumer_groups.group import ConsumerGroupState
from ottla.broker.coordinators.consumer_groups.member import AWAY_EPOCH
from ottla.protocol.errors import ErrorCode
from support.virtual_consumer_groups import (
    HEARTBEAT_MS,
    SESSION_MS,
    ClassicConsumer,
    Consumer,
    Partition,
    VirtualGroups,
    topic_id,
)

AnyConsumer = Consumer | ClassicConsumer

TOPICS = ("apples", "bread", "carrots")
topic_sets = strategies.frozensets(strategies.sampled_from(TOPICS))
regexes = strategies.sampled_from(["", "a.*", ".*r.*", "nothing"])
instances = strategies.sampled_from([None, None, "one", "two"])


class ConsumerGroupMachine(RuleBasedStateMachine):
    consumers = Bundle("consumers")

    def __init__(self) -> None:
        super().__init__()
        self.groups = VirtualGroups()
        self.alive: list[AnyConsumer] = []
        self.count = 0
        self.lives = 0
        self.group_epoch = 0
        self.last_beat: dict[int, int] = {}

    @initialize()
    def there_are_topics(self) -> None:
        self.groups.create("apples", 3)
        self.groups.create("bread", 2)

    # -- consumers

    @rule(
        target=consumers,
        topics=topic_sets,
        regex=regexes,
        instance=instances,
        assignor=strategies.sampled_from([None, "range"]),
    )
    def a_consumer_starts(
        self, topics: frozenset[str], regex: str, instance: str | None, assignor: str | None
    ) -> object:
        self.count += 1
        consumer = Consumer(self.groups, f"member-{self.count}", topics, regex, instance, assignor)
        self.alive.append(consumer)
        self._beat(consumer)
        return consumer

    @precondition(lambda self: self.groups.group.members)
    @rule(target=consumers, topics=topic_sets)
    def a_classic_consumer_joins_the_group(self, topics: frozenset[str]) -> object:
        self.count += 1
        consumer = ClassicConsumer(self.groups, f"member-{self.count}", topics)
        self.alive.append(consumer)
        self._beat(consumer)
        return consumer

    @rule(consumer=consumers)
    def a_consumer_shows_that_it_lives(self, consumer: AnyConsumer) -> None:
        self._beat(consumer)

    def _beat(self, consumer: AnyConsumer) -> None:
        if consumer in self.alive and not consumer.is_out and self._can_beat(consumer):
            consumer.beat()
            self.last_beat[id(consumer)] = self.groups.now_ms

    def _can_beat(self, consumer: AnyConsumer) -> bool:
        """A classic consumer in an empty group would make it a classic group, which is another story."""
        return isinstance(consumer, Consumer) or bool(self.groups.group.members)

    @rule(consumer=consumers)
    def an_answer_is_lost(self, consumer: AnyConsumer) -> None:
        if isinstance(consumer, Consumer) and consumer in self.alive and not consumer.is_out:
            consumer.lose_answer()
            self.last_beat[id(consumer)] = self.groups.now_ms

    @rule(consumer=consumers)
    def a_consumer_gives_up_what_it_must(self, consumer: AnyConsumer) -> None:
        if isinstance(consumer, Consumer):
            consumer.give_up()

    @rule(consumer=consumers, topics=topic_sets, regex=regexes)
    def a_consumer_wants_something_else(self, consumer: AnyConsumer, topics: frozenset[str], regex: str) -> None:
        if isinstance(consumer, Consumer):
            consumer.subscribe(topics, regex)

    @rule(consumer=consumes(consumers), how=strategies.sampled_from(["leaves", "goes away", "dies"]))
    def a_consumer_ends(self, consumer: AnyConsumer, how: str) -> None:
        if consumer not in self.alive:
            return
        self.alive.remove(consumer)
        if isinstance(consumer, Consumer) and not consumer.is_out:
            if how == "leaves":
                consumer.leave()
            elif how == "goes away" and consumer.instance_id is not None:
                consumer.go_away()

    @rule(target=consumers, consumer=consumes(consumers))
    def a_static_consumer_is_started_again(self, consumer: AnyConsumer) -> object:
        if (
            not isinstance(consumer, Consumer)
            or consumer.instance_id is None
            or consumer not in self.alive
            or consumer.is_out
        ):
            return consumer
        self.alive.remove(consumer)
        consumer.go_away()
        self.count += 1
        again = Consumer(self.groups, f"member-{self.count}", consumer.topics, consumer.regex, consumer.instance_id)
        self.alive.append(again)
        self._beat(again)
        return multiple(again)

    # -- the world

    @rule(duration_ms=strategies.sampled_from([100, 1_000, HEARTBEAT_MS, 11_000, SESSION_MS]))
    def time_passes(self, duration_ms: int) -> None:
        self.groups.pass_time(duration_ms)

    @rule(name=strategies.sampled_from(TOPICS), count=strategies.integers(1, 4))
    def a_topic_is_made_or_grows(self, name: str, count: int) -> None:
        known = self.groups.topics.id_of(name)
        if known is None:
            self.lives += 1
            self.groups.create(name, count, life=self.lives)
        elif self.groups.topics.partition_count(known) < count:
            life = next(life for life in range(self.lives + 1) if topic_id(name, life) == known)
            self.groups.create(name, count, life=life)

    @rule(name=strategies.sampled_from(TOPICS))
    def a_topic_is_deleted(self, name: str) -> None:
        self.groups.delete(name)

    @rule()
    def expressions_are_resolved(self) -> None:
        self.groups.finish_resolving()

    @rule(compacted=strategies.booleans())
    def the_coordinator_crashes(self, compacted: bool) -> None:
        if compacted:
            self.groups.compact()
        before = (self.groups.group.members, self.groups.group.targets, self.groups.group.epoch)
        self.groups.crash()
        assert (self.groups.group.members, self.groups.group.targets, self.groups.group.epoch) == before
        self._sessions_begin_anew()

    def _sessions_begin_anew(self) -> None:
        for consumer in self.alive:
            if consumer.member_id in self.groups.group.members:
                self.last_beat[id(consumer)] = self.groups.now_ms

    @rule(consumer=consumers)
    def the_coordinator_crashes_before_an_answer_is_durable(self, consumer: AnyConsumer) -> None:
        if not isinstance(consumer, Consumer) or consumer not in self.alive or consumer.is_out:
            return
        count = len(self.groups.batches)
        state = (consumer.epoch, consumer.owned, consumer.granted)
        consumer.lose_answer()
        consumer.epoch, consumer.owned, consumer.granted = state
        self.groups.crash(lose_last=len(self.groups.batches) > count)
        self.group_epoch = self.groups.group.epoch
        self._sessions_begin_anew()

    # -- what always holds

    @invariant()
    def no_partition_has_two_owners(self) -> None:
        owners: dict[Partition, str] = {}
        for consumer in self.alive:
            if consumer.member_id in self.groups.group.members:
                for partition in consumer.owned:
                    assert partition not in owners, f"{partition} of {owners[partition]} and {consumer.member_id}"
                    owners[partition] = consumer.member_id

    @invariant()
    def epochs_only_grow(self) -> None:
        assert self.groups.group.epoch >= self.group_epoch
        self.group_epoch = self.groups.group.epoch

    @invariant()
    def the_state_is_sound(self) -> None:
        self.groups.check()

    @invariant()
    def nobody_live_is_forgotten(self) -> None:
        for consumer in self.alive:
            if consumer.is_out or consumer.epoch <= 0 or isinstance(consumer, ClassicConsumer):
                continue
            if self.groups.now_ms - self.last_beat.get(id(consumer), 0) < SESSION_MS and not self._is_slow(consumer):
                assert consumer.member_id in self.groups.group.members

    def _is_slow(self, consumer: Consumer) -> bool:
        """It has been told to give up something and has not, so it may have been fenced for it."""
        return bool(consumer.owned - consumer.granted) or consumer.must_say_all

    @rule()
    def every_reconciliation_ends(self) -> None:
        """When all consumers that live do what they are told, the group is stable, and every partition is somebody's."""
        for _ in range(40):
            for consumer in self.alive:
                if isinstance(consumer, Consumer):
                    consumer.give_up()
                self._beat(consumer)
            self.groups.finish_resolving()
            self.groups.pass_time(HEARTBEAT_MS)
        group = self.groups.group
        if any(each.epoch == AWAY_EPOCH for each in group.members.values()) or not any(map(self._can_beat, self.alive)):
            return
        live = [each for each in self.alive if not each.is_out]
        assert group.state is (ConsumerGroupState.STABLE if live else ConsumerGroupState.EMPTY)
        self._check_all_is_owned(live)

    def _check_all_is_owned(self, live: list[AnyConsumer]) -> None:
        group, topics = self.groups.group, self.groups.topics
        owned = {partition for each in live for partition in each.owned}
        wanted = topics.ids_of({name for member in group.members.values() for name in group.topics_of(member)})
        assert owned == {(topic, index) for topic in wanted for index in range(topics.partition_count(topic))}
        for each in live:
            member = group.members[each.member_id]
            assert {topic for topic, _ in each.owned} <= topics.ids_of(group.topics_of(member))


TestConsumerGroupMachine = ConsumerGroupMachine.TestCase
TestConsumerGroupMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_fenced_member_comes_back_with_nothing_and_is_given_its_share_again() -> None:
    groups = VirtualGroups()
    groups.create("apples", 2)
    consumer = Consumer(groups, "member", frozenset({"apples"}))
    consumer.beat()
    groups.pass_time(SESSION_MS + 1)

    assert consumer.beat() is ErrorCode.UNKNOWN_MEMBER_ID or groups.group.members
    assert not consumer.owned
    consumer.beat()

    assert len(consumer.owned) == 2

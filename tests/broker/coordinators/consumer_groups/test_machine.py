"""Consumers of both protocols come and go, fall silent, lose answers; topics come and go; the coordinator crashes.

The model is what the consumers were told: whatever the coordinator keeps, no two of them may work on one partition.
"""

from __future__ import annotations

import os
import re

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
    settings_for_tests,
    topic_id,
)

EXAMPLES = 1_000 if os.environ.get("OTTLA_HEAVY") else 40
AnyConsumer = Consumer | ClassicConsumer

TOPICS = ("apples", "bread", "carrots")
APPLES, ALL = frozenset({"apples"}), frozenset(TOPICS)
topic_sets = strategies.sampled_from([APPLES, ALL]) | strategies.frozensets(strategies.sampled_from(TOPICS))
regexes = strategies.sampled_from(["", "", "", "a.*", ".*r.*", "nothing"])
assignors = strategies.sampled_from([None, None, "range"])
instances = strategies.sampled_from([None, None, None, "one", "two"])


class ConsumerGroupMachine(RuleBasedStateMachine):
    consumers = Bundle("consumers")

    def __init__(self) -> None:
        super().__init__()
        self.groups = VirtualGroups(settings_for_tests(assignment_ms=0))
        self.alive: list[AnyConsumer] = []
        self.count = 0
        self.lives = 0
        self.group_epoch = 0
        self.last_beat: dict[int, int] = {}
        self.unaware: set[str] = set()  # removed, and not yet told what they own since

    @initialize(target=consumers, assignment_ms=strategies.sampled_from([0, 0, 1_000]), count=strategies.integers(1, 3))
    def there_are_topics_and_consumers(self, assignment_ms: int, count: int) -> object:
        self.groups.settings = settings_for_tests(assignment_ms=assignment_ms)
        self.groups.create("apples", 3)
        self.groups.create("bread", 2)
        return multiple(*(self._start(APPLES, "", None, None) for _ in range(count)))

    # -- consumers

    @rule(target=consumers, topics=topic_sets, regex=regexes, instance=instances, assignor=assignors)
    def a_consumer_starts(
        self, topics: frozenset[str], regex: str, instance: str | None, assignor: str | None
    ) -> object:
        return self._start(topics, regex, instance, assignor)

    def _start(self, topics: frozenset[str], regex: str, instance: str | None, assignor: str | None) -> Consumer:
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

    @rule()
    def everybody_shows_that_it_lives(self) -> None:
        for consumer in self.alive:
            self._beat(consumer)

    def _beat(self, consumer: AnyConsumer) -> None:
        if consumer in self.alive and not consumer.is_out and self._can_beat(consumer):
            learns = isinstance(consumer, Consumer) or consumer.next_is == "sync"
            consumer.beat()
            if learns:
                self.unaware.discard(consumer.member_id)
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
        """Among those that are members and know it: no protocol can keep one that fell silent from going on for a while.
        A classic one that comes back learns with its sync that it has lost its partitions.
        """
        owners: dict[Partition, str] = {}
        for consumer in self.alive:
            if consumer.member_id not in self.groups.group.members:
                self.unaware.add(consumer.member_id)
            if consumer.member_id not in self.unaware:
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
        self._pass_rounds(30)
        for _ in range(20):
            if self._is_settled():
                break
            self._pass_rounds(1)  # the time had come to look at the expressions again
        if self._is_waiting_for_somebody():
            return
        assert self._is_settled()
        if self._live:
            self._check_all_is_owned(self._live)

    def _pass_rounds(self, count: int) -> None:
        for _ in range(count):
            for consumer in self.alive:
                if isinstance(consumer, Consumer):
                    consumer.give_up()
                self._beat(consumer)
            self.groups.finish_resolving()
            self.groups.pass_time(HEARTBEAT_MS)

    @property
    def _live(self) -> list[AnyConsumer]:
        return [each for each in self.alive if not each.is_out]

    def _is_settled(self) -> bool:
        return self.groups.group.state is (ConsumerGroupState.STABLE if self._live else ConsumerGroupState.EMPTY)

    def _is_waiting_for_somebody(self) -> bool:
        """A static member is away, or nobody is left but classic consumers that found the group empty."""
        is_away = any(each.epoch == AWAY_EPOCH for each in self.groups.group.members.values())
        return is_away or not any(map(self._can_beat, self.alive))

    def _check_all_is_owned(self, live: list[AnyConsumer]) -> None:
        group, topics = self.groups.group, self.groups.topics
        owned = {partition for each in live for partition in each.owned}
        wanted = {each.member_id: topics.ids_of(self._topics_of(each)) for each in live}
        everything = set().union(*wanted.values())
        assert owned == {(topic, index) for topic in everything for index in range(topics.partition_count(topic))}
        for each in live:
            assert each.member_id in group.members
            assert {topic for topic, _ in each.owned} <= wanted[each.member_id]

    def _topics_of(self, consumer: AnyConsumer) -> frozenset[str]:
        """What it wants, of the topics that there are."""
        regex = consumer.regex if isinstance(consumer, Consumer) else None
        matching = (name for name in self.groups.topics.names if regex and re.fullmatch(regex, name))
        return frozenset(consumer.topics or ()) | frozenset(matching)


TestConsumerGroupMachine = ConsumerGroupMachine.TestCase
TestConsumerGroupMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None)


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

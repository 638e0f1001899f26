"""What a started consumer consists of, and what moves between its parts.

    metadata changed ──► topics of the pattern ──► the group (or, without one, the assignment)
    assignment changed ──► positions ──► fetcher ──► the user, who waits

The tasks are owned here: positions, automatic commits, commits that nobody waits for; the group and the fetcher own
theirs.  `changed` is the one thing that anybody calls who has moved something: it wakes all that may have to do with it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Coroutine, Iterable
from random import Random
from typing import Any

from ...protocol.errors import ErrorCode, KafkaError
from ..admin.values import TopicPartition
from ..cluster import Cluster
from ..errors import ClientClosed
from ..metadata import NO_ID
from .chunk import Budget
from .classic_membership import ClassicMembership
from .committing import Commitable, Committing, offsets_of
from .consumer_settings import CONSUMER, ConsumerSettings
from .fetcher import Fetcher
from .group import Group, GroupHooks, is_unknown_to_group
from .handing_out import HandingOut
from .membership import GroupSettings, Membership
from .new_membership import NewMembership
from .offset_requests import Committer
from .offsets import CommitFailed, Offsets
from .poll_clock import PollClock
from .positions import Positions
from .subscription import SubscriptionState
from .waking import Wake, ended

_LAST_COMMIT_TIMEOUT_S = 5.0
_REFUSED = {
    ErrorCode.INVALID_TOPIC_EXCEPTION: "no topic can have this name",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "not authorized; its ACLs must allow this client to DESCRIBE it",
}


class ConsumerCore:
    """Made and `start`ed once the cluster is known; `stop` ends it, the cluster is closed by its owner."""

    def __init__(
        self, settings: ConsumerSettings, cluster: Cluster, subscription: SubscriptionState, random: Random
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._subscription = subscription
        self._random = random
        self._group_settings = settings.group
        self._group: Group | None = None
        self._is_stopped = False
        self._tasks: list[asyncio.Task[None]] = []
        self._commits: set[asyncio.Task[None]] = set()
        self.moved = Wake()
        self.loop = asyncio.get_running_loop()
        self.clock = PollClock(settings.max_poll_interval_ms, self.loop.time())
        self.offsets = Offsets(
            cluster,
            self.committer,
            tells_member=settings.group_protocol == CONSUMER,
            committed_only=settings.committed_only,
            random=random,
        )
        self._positions = Positions(
            cluster,
            subscription,
            self.offsets,
            reset=settings.reset,
            has_group=settings.group_id is not None,
            changed=self.changed,
            random=random,
        )
        self._fetcher = Fetcher(
            cluster, subscription, settings.fetch, position_needed=self._positions.wake, random=random
        )
        self.handing_out = HandingOut(
            subscription, self._fetcher, settings.handing_out, self.clock, check=self._check, came_back=self._came_back
        )
        self._committing = Committing(
            subscription,
            self.offsets,
            timeout_s=settings.request_timeout_ms / 1000,
            must_be_member=self._must_be_member,
            refused=self._commit_refused,
        )

    # -- its life

    def start(self) -> None:
        self._run(self._positions.run(), "positions of the consumer")
        if self._commits_itself:
            interval_s = self._settings.auto_commit_interval_ms / 1000
            self._run(self._committing.run(interval_s), "automatic commits of the consumer")
        self._cluster.add_listener(self._metadata_changed)
        self.wants_changed()

    def _run(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(ended)
        self._tasks.append(task)

    async def stop(self, *, in_hand_is_done: bool) -> None:
        """Nothing is raised."""
        self._is_stopped = True
        self._cluster.remove_listener(self._metadata_changed)
        if in_hand_is_done:
            self.handing_out.settle()
        self._fetcher.arrival.set()  # who still waits is told
        self.moved.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._commits_itself:
            await self._commit_within(None, _LAST_COMMIT_TIMEOUT_S)
        if self._group is not None:
            await self._group.give_up()
            await self._end_of_commits()  # after the goodbye they would be refused
            await self._group.leave()
        await asyncio.gather(*self._commits, return_exceptions=True)
        await self._fetcher.close()

    async def _end_of_commits(self) -> None:
        """Of those that nobody waits for, or a few seconds."""
        if self._commits:
            await asyncio.wait(self._commits, timeout=_LAST_COMMIT_TIMEOUT_S)

    @property
    def prefetched(self) -> Budget:
        """The memory of answers."""
        return self._fetcher.budget

    # -- what the user wants

    def wants_changed(self) -> None:
        """The user subscribed or assigned, or the consumer was started."""
        want_topics(self._cluster, self._subscription)
        self._metadata_changed()

    def abandon_group(self) -> None:
        """The user has unsubscribed: its partitions are given up, and the group is told."""
        if self._group is not None:
            self._group.abandon()

    def changed(self) -> None:
        """Positions, the assignment, or what is wrong have changed: whoever has to do with it looks."""
        self._positions.wake.set()
        self._fetcher.poke()
        self._fetcher.arrival.set()
        self.moved.set()

    def _metadata_changed(self) -> None:
        metadata, subscription = self._cluster.metadata, self._subscription
        excluded = self._settings.exclude_internal_topics
        subscription.match(
            name
            for name, topic in metadata.topics.items()
            if not topic.error and topic.partitions and not (topic.is_internal and excluded)
        )
        if subscription.uses_group and self._group_settings is not None:
            group = self._group or self._join_group(self._group_settings)
            group.membership.subscribe(subscription.topics)
            group.membership.counts_changed({name: len(topic.partitions) for name, topic in metadata.topics.items()})
            group.wake()
        elif subscription.uses_group:
            known = (metadata.topics.get(name) for name in sorted(subscription.topics))
            subscription.replace(
                TopicPartition(topic.name, index) for topic in known if topic is not None for index in topic.partitions
            )
        self._positions.notice()
        self.changed()

    def _check(self) -> None:
        """Raise what is wrong with the consumer as a whole."""
        if self._is_stopped:
            raise ClientClosed("the consumer was stopped")
        if self._group is not None and self._group.failure is not None:
            raise self._group.failure.with_traceback(None)  # kept, and would grow with each raise
        if self._subscription.pattern is not None:
            return
        for name in self._subscription.topics:
            known = self._cluster.metadata.topics.get(name)
            if known is not None and known.error in _REFUSED:
                raise KafkaError(ErrorCode(known.error), f"topic {name}: {_REFUSED[ErrorCode(known.error)]}")

    # -- the group

    def _join_group(self, settings: GroupSettings) -> Group:
        hooks = GroupHooks(settle=self._settle, commit=self._commit_before_revoking, changed=self.changed)
        membership = self._membership(settings)
        self._group = Group(self._cluster, self._subscription, membership, settings, hooks, self.clock, self._random)
        self._group.start()
        return self._group

    def _membership(self, settings: GroupSettings) -> Membership:
        if self._settings.group_protocol != CONSUMER:
            return ClassicMembership(settings)
        member_id = str(uuid.UUID(int=self._random.getrandbits(128), version=4))
        return NewMembership(settings, member_id, topic_of=self._topic_of, id_of=self._id_of)

    def _topic_of(self, topic_id: uuid.UUID) -> str | None:
        topic = self._cluster.metadata.topic_by_id(topic_id)
        if topic is None:
            self._cluster.request_update()
        return None if topic is None else topic.name

    def _id_of(self, name: str) -> uuid.UUID | None:
        topic = self._cluster.metadata.topics.get(name)
        return None if topic is None or topic.id == NO_ID else topic.id

    def committer(self) -> Committer:
        """A member of the group, or somebody from outside where partitions are assigned by hand."""
        group_id = self._settings.group_id or ""
        if self._group is None or not self._subscription.uses_group:
            return Committer(group_id)
        membership = self._group.membership
        return Committer(group_id, membership.generation, membership.member_id, self._settings.group_instance_id)

    def _must_be_member(self) -> None:
        """CommitFailed for who is out of its group: without a generation, a group that is empty takes anybody's offsets."""
        if self._reads_as_member and self.committer().generation < 0:
            raise self._left_out()

    @property
    def _reads_as_member(self) -> bool:
        return self._group is not None and self._subscription.uses_group

    @property
    def _has_lost_what_it_was_given(self) -> bool:
        """Whether partitions were taken away since the user last asked, of which it does not know yet."""
        is_parked = self._group is not None and self._group.is_parked
        return self._reads_as_member and (is_parked or self.handing_out.has_lost_some)

    def _left_out(self) -> CommitFailed:
        what = (
            "nothing is committed: the group went on without this consumer, and what it was given since it last committed"
            " is read again, by whoever has the partitions now"
        )
        return CommitFailed(ErrorCode.UNKNOWN_MEMBER_ID, what, self.committer())

    def _commit_refused(self, error: CommitFailed) -> None:
        if self._group is not None and is_unknown_to_group(error):
            self._group.membership.commit_refused(error.code, error.committer)
            self._group.wake()

    def _came_back(self) -> None:
        if self._group is not None:
            self._group.unpark()

    async def _settle(self, partitions: frozenset[TopicPartition], timeout_s: float) -> None:
        """Return when the user is done with these, or the time is up."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self.handing_out.has_in_hand(partitions):
            left_s = deadline_s - asyncio.get_running_loop().time()
            if left_s <= 0 or not await self.handing_out.settled.wait(left_s):
                return

    # -- commits

    @property
    def _commits_itself(self) -> bool:
        return self._settings.enable_auto_commit and self._group_settings is not None

    async def commit(self, what: Commitable) -> None:
        await self._begin_commit(what)

    def commit_soon(self, what: Commitable) -> asyncio.Task[None]:
        task = asyncio.create_task(self._begin_commit(what), name="a commit of the consumer")
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return task

    def _begin_commit(self, what: Commitable) -> Coroutine[Any, Any, None]:
        """What is meant is what it is now, whenever that is run."""
        if what is None and self._has_lost_what_it_was_given:
            return self._refuse(self._left_out())
        return self._committing.commit(self._meant(what))

    async def _refuse(self, error: CommitFailed) -> None:
        raise error

    def _meant(self, what: Commitable) -> dict[TopicPartition, Any]:
        if what is None:
            self.handing_out.settle()
        return offsets_of(what, self._subscription)

    async def _commit_before_revoking(self, partitions: frozenset[TopicPartition]) -> None:
        if self._commits_itself:
            await self._commit_within(partitions, self._settings.request_timeout_ms / 1000)

    async def _commit_within(self, partitions: Iterable[TopicPartition] | None, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._committing.commit_what_is_done(partitions)
        except TimeoutError:
            return  # what was not committed is read again


def want_topics(cluster: Cluster, subscription: SubscriptionState) -> None:
    """Have metadata kept up to date of what is subscribed to; for a pattern of everything."""
    cluster.want_all_topics(subscription.pattern is not None)
    if subscription.pattern is None:
        cluster.add_topics({state.id.topic for state in subscription} | subscription.topics)

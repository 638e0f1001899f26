"""Being a member of a group: the tasks that carry out what the membership machine decides.

    stepping   asks the machine for the next step: requests to the coordinator, listeners to call
    beating    heartbeats, which go on while a step takes its time; here, too, a user who does not come back is noticed

A user that takes longer than `max_poll_interval_ms` between two calls is taken for stuck: the member leaves the group,
so that others get its partitions, and joins again when the user comes back.

Partitions are taken away in this order: nothing of them is handed out any more; the user is done with what it was given
last (it asks for more, or commits), or the time is up; positions are committed, where that is automatic; the listener is
called; they are gone.  A request that waits for others (JoinGroup) has a connection of its own, so that commits and
heartbeats do not wait behind it.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.values import dataclass
from ..admin.values import TopicPartition
from ..assignors.assignor import Pair
from ..cluster import COORDINATOR_LANE, Cluster, CoordinatorKind
from ..errors import ClientError
from ..retry import COORDINATOR_IS_OLD, coordinator_may_have_moved, is_retriable
from .listener import RebalanceListener
from .membership import Ask, Assign, Failed, GroupSettings, Lead, Membership, Revoke, Wait
from .poll_clock import PollClock
from .subscription import SubscriptionState
from .waking import Wake, ended

REBALANCE_LANE = "rebalance"
_JOINING_GRACE_S = 5.0
"""How much longer than the rebalance may take its requests are waited for."""
_LEAVING_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class GroupHooks:
    """What the consumer does at the turns of a rebalance."""

    settle: Callable[[frozenset[TopicPartition], float], Coroutine[Any, Any, None]]
    """Return when the user is done with these, at the latest after so many seconds."""
    commit: Callable[[frozenset[TopicPartition]], Coroutine[Any, Any, None]]
    changed: Callable[[], None]
    """Something was assigned or taken away, or has failed."""


class Group:
    """One consumer's part in its group.  `start` it once; `leave` ends it."""

    def __init__(
        self,
        cluster: Cluster,
        subscription: SubscriptionState,
        membership: Membership,
        settings: GroupSettings,
        hooks: GroupHooks,
        clock: PollClock,
        random: Random,
    ) -> None:
        self.membership = membership
        self.failure: Exception | None = None
        self._cluster = cluster
        self._subscription = subscription
        self._settings = settings
        self._hooks = hooks
        self._clock = clock
        self._random = random
        self._stepping_wake = Wake()
        self._beating_wake = Wake()
        self._attempt = 0
        self.is_parked = False  # the user did not come back in time, and has not come since
        self._must_leave = False
        self._tasks: list[asyncio.Task[None]] = []

    # -- its life

    def start(self) -> None:
        for name, run in (("stepping", self._keep_stepping()), ("beating", self._keep_beating())):
            task = asyncio.create_task(run, name=f"{name} in group {self._settings.group_id}")
            task.add_done_callback(ended)
            self._tasks.append(task)

    def wake(self) -> None:
        """The subscription, metadata, or what the user does has changed."""
        self._stepping_wake.set()
        self._beating_wake.set()

    def unpark(self) -> None:
        """The user is back."""
        if self.is_parked:
            self.is_parked = False
            self.wake()

    def abandon(self) -> None:
        """The user wants nothing from the group any more, but may come back."""
        self._must_leave = True
        self.wake()

    async def give_up(self) -> None:
        """Take no more part in it, with the listener told, who may commit; nothing is raised."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        owned = _partitions(self.membership.owned)
        if owned and self.failure is None:
            await self._call_listener("on_partitions_revoked", owned)

    async def leave(self) -> None:
        """Say goodbye to the coordinator, at the end; nothing is raised."""
        await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        ask = self.membership.leave()
        if ask is None:
            return
        try:
            async with asyncio.timeout(_LEAVING_TIMEOUT_S):
                connection = await self._cluster.coordinator(
                    CoordinatorKind.GROUP, self._settings.group_id, _LEAVING_TIMEOUT_S
                )
                await connection.request(ask.key, ask.request)
        except (ClientError, KafkaError, TimeoutError) as error:
            # The session ends by itself; the group only learns of it later.
            log.info("could not leave group %s: %s", self._settings.group_id, error)

    # -- stepping

    async def _keep_stepping(self) -> None:
        while self.failure is None:
            self._stepping_wake.clear()
            if self._must_leave:
                self._must_leave = False
                await self._say_goodbye()
            if self.is_parked:
                await self._stepping_wake.wait()
                continue
            step = self.membership.step(_now_s())
            match step:
                case Ask():
                    await self._ask(step)
                case Revoke():
                    await self._revoke(step)
                case Assign():
                    await self._assign(step)
                case Lead():
                    await self._lead(step)
                case Failed():
                    self._fail(step.error)
                case Wait():
                    until_s = step.until_s
                    await self._stepping_wake.wait(None if until_s is None else max(0.001, until_s - _now_s()))
            self._beating_wake.set()

    def _fail(self, error: Exception) -> None:
        self.failure = error
        self._hooks.changed()

    async def _revoke(self, step: Revoke) -> None:
        partitions = _partitions(step.partitions)
        self._hold(partitions)
        if not step.lost:
            await self._hooks.settle(partitions, self._settings.rebalance_timeout_ms / 1000)
            await self._hooks.commit(partitions)
        name = "on_partitions_lost" if step.lost else "on_partitions_revoked"
        await self._call_listener(name, partitions)
        self._subscription.remove(partitions)
        self.membership.revoked(step)
        self._hooks.changed()

    async def _assign(self, step: Assign) -> None:
        partitions = _partitions(step.added)
        self._subscription.add(sorted(partitions))
        self._hold(partitions)
        self._hooks.changed()
        await self._call_listener("on_partitions_assigned", partitions)
        for state in self._states(partitions):
            state.held = False
        self.membership.assigned(step)
        self._hooks.changed()

    def _hold(self, partitions: Iterable[TopicPartition]) -> None:
        for state in self._states(partitions):
            state.held = True
            state.interrupt()

    def _states(self, partitions: Iterable[TopicPartition]) -> list[Any]:
        return [state for state in map(self._subscription.get, partitions) if state is not None]

    async def _lead(self, step: Lead) -> None:
        """Divide what metadata knows; topics that nobody else asks about are asked for first."""
        self._cluster.add_topics(step.topics)
        if any(self._cluster.known_topic(topic) is None for topic in step.topics):
            try:
                await self._cluster.update()
            except (ClientError, KafkaError) as error:
                log.info("dividing with the metadata there is: %s", error)
        topics = self._cluster.metadata.topics
        self.membership.lead(
            {name: len(topics[name].partitions) for name in step.topics if name in topics and topics[name].partitions}
        )

    async def _call_listener(self, name: str, partitions: frozenset[TopicPartition]) -> None:
        """The user's own code: what it raises is logged, and the rebalance goes on, as in Java."""
        listener = self._subscription.listener
        if listener is None:
            return
        try:
            outcome = getattr(listener, name, RebalanceListener().on_partitions_lost)(partitions)
            if inspect.isawaitable(outcome):
                await outcome
        except Exception:
            log.exception("the rebalance listener's %s raised", name)

    # -- asking

    async def _ask(self, ask: Ask) -> None:
        joins = ask.key in (ApiKey.JOIN_GROUP, ApiKey.SYNC_GROUP)
        timeout_s = self._cluster.settings.request_timeout_s
        if joins:
            timeout_s = max(timeout_s, self._settings.rebalance_timeout_ms / 1000 + _JOINING_GRACE_S)
        try:
            connection = await self._cluster.coordinator(
                CoordinatorKind.GROUP, self._settings.group_id, lane=REBALANCE_LANE if joins else COORDINATOR_LANE
            )
            answer = await connection.request(ask.key, ask.request, timeout_s=timeout_s)
        except (ClientError, KafkaError) as error:
            self._not_answered(ask, error)
            return
        self._attempt = 0
        if answer.error_code in COORDINATOR_IS_OLD:
            self._cluster.forget_coordinator(CoordinatorKind.GROUP, self._settings.group_id)
        self.membership.answered(ask, answer, _now_s())

    def _not_answered(self, ask: Ask, error: ClientError | KafkaError) -> None:
        if coordinator_may_have_moved(error):
            self._cluster.forget_coordinator(CoordinatorKind.GROUP, self._settings.group_id)
        elif not is_retriable(error):
            self._fail(error)
            return
        self._attempt += 1
        delay_s = self._cluster.settings.backoff.delay_s(self._attempt, self._random)
        log.info("group %s: %s", self._settings.group_id, error)
        self.membership.failed(ask, _now_s(), _now_s() + delay_s)

    # -- beating

    async def _keep_beating(self) -> None:
        while self.failure is None:
            self._beating_wake.clear()
            now_s = _now_s()
            if self._clock.is_overdue(self._subscription, now_s):
                await self._leave_for_now()
                continue
            ask = None if self.is_parked else self.membership.heartbeat(now_s)
            if ask is not None:
                await self._ask(ask)
                self._stepping_wake.set()
                continue
            await self._beating_wake.wait(self._pause_s(now_s))

    def _pause_s(self, now_s: float) -> float | None:
        due_s = None if self.is_parked else self.membership.next_heartbeat_s()
        times = [each for each in (due_s, self._clock.look_again_s(now_s)) if each is not None]
        return max(0.001, min(times) - now_s) if times else None

    async def _leave_for_now(self) -> None:
        """The user has not come back in time: let others have the partitions."""
        if self.is_parked:
            await self._beating_wake.wait()
            return
        log.warning(
            "group %s: more than max_poll_interval_ms (%d) between two polls; leaving the group until the next one."
            " Make the work between polls shorter, take fewer records at a time, or allow more time",
            self._settings.group_id,
            self._clock.max_interval_ms,
        )
        self.is_parked = True
        lost = _partitions(self.membership.owned)
        await self._say_goodbye()
        self._hold(lost)
        await self._call_listener("on_partitions_lost", lost)
        self._subscription.remove(lost)
        self._hooks.changed()


def _partitions(pairs: Iterable[Pair]) -> frozenset[TopicPartition]:
    return frozenset(TopicPartition(*pair) for pair in pairs)


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def is_unknown_to_group(error: KafkaError) -> bool:
    """Whether a refused commit says that the group goes on without this member."""
    return error.code in (ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION)

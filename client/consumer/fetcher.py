"""Fetching in the background: one task a broker asks for the partitions it leads, one request at a time.

    plan ──► request ──► answer ──► partitions' chunks ──► the user takes them ──► `poke`: there is room again

The decisions are `fetch_plan`'s; this is the part that waits.  A task sleeps when there is nothing to ask its broker
for, and is woken by `poke`: whoever changes what may be fetched (a position, an assignment, a resume, a chunk that was
handed out, metadata) calls it.  A broker that does not answer is tried again after a backoff, with metadata asked anew.

The user waits for `arrival`.  If nothing is there for it and others' chunks fill the budget (of partitions that are
paused, or that it does not ask for), they are dropped and fetched again later: nobody waits for a memory that is full.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from random import Random

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, MalformedMessage
from ...protocol.fetch import TOPIC_IDS_FROM
from ...protocol.messages import decode_response, encode_request
from ...protocol.values import dataclass, field
from ..admin.values import TopicPartition
from ..cluster import Cluster
from ..connection import Connection, RawAnswer
from ..errors import ClientError
from .chunk import Budget, Frame
from .fetch_plan import (
    WAIT_WHILE_SOME_ARE_FULL_MS,
    FetchSettings,
    Plan,
    is_starved,
    leaders_of,
    plan_fetch,
    take_answer,
)
from .fetch_session import FetchLimits, FetchSession
from .subscription import SubscriptionState
from .waking import Wake, ended

FETCH_LANE = "fetch"
"""Fetches wait at the broker, so that they take a connection of their own."""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Node:
    id: int
    budget: Budget
    session: FetchSession = field(default_factory=FetchSession)
    wake: Wake = field(default_factory=Wake)
    task: asyncio.Task[None] | None = None


class Fetcher:
    """Keeps the partitions of a subscription filled.  Started by the first `poke`; end it with `close`."""

    def __init__(
        self,
        cluster: Cluster,
        subscription: SubscriptionState,
        settings: FetchSettings,
        *,
        position_needed: Wake,
        random: Random,
    ) -> None:
        """`position_needed` is woken when a partition has lost its position."""
        self.budget = Budget(settings.prefetch_max_bytes)
        self.arrival = Wake()
        self._cluster = cluster
        self._subscription = subscription
        self._settings = settings
        self._position_needed = position_needed
        self._random = random
        self._nodes: dict[int, _Node] = {}
        self._turn = 0
        self._is_closed = False

    def poke(self) -> None:
        """Something changed: there may be more to fetch."""
        if self._is_closed:
            return
        leaders = leaders_of(self._subscription, self._cluster.metadata)
        for node_id in leaders - self._nodes.keys():
            node = self._nodes[node_id] = _Node(node_id, Budget(0, self.budget))
            node.task = asyncio.create_task(self._keep_fetching(node), name=f"fetching from broker {node.id}")
            node.task.add_done_callback(ended)
        for node in self._nodes.values():
            node.budget.limit_bytes = self._settings.prefetch_max_bytes // max(1, len(leaders))
            node.wake.set()

    async def wait(self, among: Collection[TopicPartition] | None, timeout_s: float | None) -> bool:
        """Return when something has arrived (not necessarily for `among`), or the time has passed: then False."""
        if any(is_starved(node.budget, self._settings) for node in self._nodes.values()):
            kept = frozenset(among or ())
            for state in self._subscription:
                if state.id not in kept:
                    state.drop()
            self.poke()
        return await self.arrival.wait(timeout_s)

    async def close(self) -> None:
        """End the tasks, and give back all memory."""
        self._is_closed = True
        tasks = [node.task for node in self._nodes.values() if node.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for state in self._subscription:
            state.drop()

    # -- one broker

    async def _keep_fetching(self, node: _Node) -> None:
        attempt = 0
        while True:
            node.wake.clear()
            plan = self._plan(node)
            if not plan.wanted:
                await node.wake.wait(None if plan.retry_at_s is None else max(0.001, plan.retry_at_s - _now_s()))
                continue
            try:
                await self._fetch(node, plan)
                attempt = 0
            except ClientError as error:
                attempt += 1
                log.info("fetching from broker %d: %s", node.id, error)
                node.session.lost()
                self._cluster.request_update()
                await asyncio.sleep(self._cluster.settings.backoff.delay_s(attempt, self._random))

    def _plan(self, node: _Node) -> Plan:
        """The partitions take turns in being named first: the broker serves them in this order."""
        states = list(self._subscription)
        for topic in sorted({state.id.topic for state in states}):
            self._cluster.known_topic(topic)  # keeps it up to date
        self._turn += 1
        start = self._turn % max(1, len(states))
        return plan_fetch(
            states[start:] + states[:start],
            self._cluster.metadata,
            node.id,
            settings=self._settings,
            budget=node.budget,
            now_s=_now_s(),
        )

    async def _fetch(self, node: _Node, plan: Plan) -> None:
        frame = Frame.reserve(node.budget, plan.max_bytes)
        try:
            connection = await self._cluster.connection_to(node.id, FETCH_LANE)
            answer = await self._ask(connection, node.session, plan)
            frame.received(len(answer.frame))
            self._take(connection, node.session, plan, answer, frame)
        except asyncio.CancelledError:
            node.session.lost()
            raise
        finally:
            frame.done()

    async def _ask(self, connection: Connection, session: FetchSession, plan: Plan) -> RawAnswer:
        at_most = None if session.can_use_ids(plan.wanted) else TOPIC_IDS_FROM - 1
        version = connection.version_of(ApiKey.FETCH, at_most=at_most)
        settings = self._settings
        wait_ms = settings.fetch_max_wait_ms
        limits = FetchLimits(
            max_wait_ms=min(wait_ms, WAIT_WHILE_SOME_ARE_FULL_MS) if plan.some_are_full else wait_ms,
            min_bytes=settings.fetch_min_bytes,
            max_bytes=plan.max_bytes,
            committed_only=settings.committed_only,
            rack=settings.rack,
        )
        request = session.request(plan.wanted, limits, version=version)
        timeout_s = self._cluster.settings.request_timeout_s + wait_ms / 1000
        body = encode_request(ApiKey.FETCH, version, request)
        return await connection.send(ApiKey.FETCH, version, body, timeout_s=timeout_s)

    def _take(self, connection: Connection, session: FetchSession, plan: Plan, raw: RawAnswer, frame: Frame) -> None:
        try:
            answer = decode_response(ApiKey.FETCH, raw.version, memoryview(raw.frame)[raw.position :])
        except MalformedMessage as error:
            raise connection.give_up(error) from error
        code = answer.error_code if isinstance(answer.error_code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR
        names = session.names()
        if not session.answered(code, answer.session_id):
            log.info("%s ends the fetch session: %s", connection.address, code.name)
            for state in plan.states.values():
                state.not_before_s = max(state.not_before_s, self._retry_at_s())
            return
        taken = take_answer(
            plan,
            answer,
            frame,
            subscription=self._subscription,
            names=names,
            settings=self._settings,
            retry_at_s=self._retry_at_s(),
        )
        for id_, leader_id, leader_epoch in taken.leaders:
            self._cluster.leader_told(id_.topic, id_.partition, leader_id=leader_id, leader_epoch=leader_epoch)
        if taken.metadata_is_old:
            self._cluster.request_update()
        if taken.needs_position:
            self._position_needed.set()
        if taken.has_news:
            self.arrival.set()

    def _retry_at_s(self) -> float:
        return _now_s() + self._cluster.settings.backoff.delay_s(1, self._random)


def _now_s() -> float:
    return asyncio.get_running_loop().time()

"""Asking about offsets and committing them, with retries: leaders are asked all at once, the coordinator by itself.

Every question has a deadline.  Until then what is retriable is asked again after a backoff, with metadata or the
coordinator found anew where the answer says that it moved; what is not, and the last failure at the deadline, is raised.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from random import Random
from typing import TypeVar
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..admin.values import TopicPartition
from ..cluster import Cluster, CoordinatorKind
from ..errors import ClientError
from ..metadata import NO_ID, NO_LEADER
from ..retry import Deadline, coordinator_may_have_moved, is_retriable, leader_may_have_moved
from .offset_requests import (
    BY_NAME_UNTIL,
    Committer,
    OffsetAndMetadata,
    OffsetAndTimestamp,
    commit_request,
    epochs_request,
    fetch_request,
    ids_are_known,
    list_request,
    read_commit,
    read_epochs,
    read_fetch,
    read_list,
    topics_of,
)

T = TypeVar("T")
Outcomes = dict[TopicPartition, T | KafkaError | ClientError]


class CommitFailed(KafkaError):
    """The group refused a commit: it goes on without this member, and others may have its partitions.

    What was read since the last commit will be read again, by whoever has the partitions now.
    """

    def __init__(self, code: ErrorCode, message: str, committer: Committer) -> None:
        super().__init__(code, message)
        self.committer = committer


class TopicIsGone(KafkaError):
    """The topic of a commit was deleted; what there may be under its name now is another, of which the offset says nothing."""


NOT_A_MEMBER = frozenset(
    {
        ErrorCode.UNKNOWN_MEMBER_ID,
        ErrorCode.ILLEGAL_GENERATION,
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.FENCED_MEMBER_EPOCH,
        ErrorCode.REBALANCE_IN_PROGRESS,
    }
)
"""Refusals that say: the group goes on without this member."""
_NO_TOPIC = frozenset({ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, ErrorCode.UNKNOWN_TOPIC_ID})
_ASK_AGAIN = frozenset({ErrorCode.STALE_MEMBER_EPOCH, ErrorCode.UNKNOWN_TOPIC_ID, ErrorCode.COORDINATOR_NOT_AVAILABLE})


class Offsets:
    """Asks for one consumer; `committer` says in whose name at the time."""

    def __init__(
        self,
        cluster: Cluster,
        committer: Callable[[], Committer],
        *,
        tells_member: bool,
        committed_only: bool,
        random: Random,
    ) -> None:
        """`tells_member`: by the new protocol the coordinator wants to know who asks for committed offsets."""
        self._cluster = cluster
        self._committer = committer
        self._tells_member = tells_member
        self._committed_only = committed_only
        self._random = random
        self._committing = asyncio.Lock()

    # -- the coordinator

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], timeout_s: float) -> None:
        """Commit, one call after the other, so that a later one is never overtaken by one before it.

        CommitFailed when the group refuses it, also by giving out partitions anew before it was accepted; TopicIsGone when
        a topic was deleted; another KafkaError or ClientError when it did not succeed in time.
        """
        if not offsets:
            return
        deadline = self._deadline(timeout_s)
        meant, since = topics_of(offsets, self._cluster.metadata), self._committer()
        async with self._committing:
            await self._until_done(lambda: self._commit_once(offsets, meant, since, deadline), deadline)

    async def _commit_once(
        self,
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        meant: Mapping[str, UUID],
        since: Committer,
        deadline: Deadline,
    ) -> None:
        """`meant` are the topics by id for which the offsets hold, `since` is who this was when it read up to them."""
        metadata, committer = self._cluster.metadata, self._committer()
        if not self._is_the_same(committer, since):
            # Others may have read on from there, or this consumer itself, from where the group had it begin again.
            what = "not committed: the group has given out its partitions anew since it was read"
            raise CommitFailed(ErrorCode.ILLEGAL_GENERATION, what, since)
        for name, topic_id in topics_of(offsets, metadata).items():
            if topic_id != meant[name] != NO_ID:
                raise TopicIsGone(ErrorCode.UNKNOWN_TOPIC_ID, f"nothing is committed of topic {name}: it was deleted")
        request = commit_request(offsets, committer, metadata)
        at_most = None if ids_are_known(offsets, metadata) else BY_NAME_UNTIL
        answer = await self._ask_coordinator(ApiKey.OFFSET_COMMIT, request, at_most, deadline)
        for id_, code in read_commit(answer, offsets, metadata).items():
            if code != ErrorCode.NONE:
                known = code if isinstance(code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR
                what = f"offset {offsets[id_].offset} of {id_} is not committed: {_why(known)}"
                if known in NOT_A_MEMBER:
                    raise CommitFailed(known, what, committer)
                is_gone = metadata.partition(id_.topic, id_.partition) is None
                raise (TopicIsGone if is_gone and known in _NO_TOPIC else KafkaError)(known, what)

    def _is_the_same(self, committer: Committer, since: Committer) -> bool:
        """Whether partitions are still those of then; by the new protocol epochs change without anything being taken away."""
        if self._tells_member:
            return committer.member_id == since.member_id and committer.generation >= since.generation
        return committer == since

    async def committed(
        self, partitions: Iterable[TopicPartition], timeout_s: float
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        """What is committed of each; None where nothing is."""
        wanted = list(partitions)
        deadline = self._deadline(timeout_s)
        return await self._until_done(lambda: self._committed_once(wanted, deadline), deadline)

    async def _committed_once(
        self, partitions: list[TopicPartition], deadline: Deadline
    ) -> dict[TopicPartition, OffsetAndMetadata | None]:
        metadata = self._cluster.metadata
        committer = self._committer()
        if not self._tells_member:
            committer = Committer(committer.group_id)
        request = fetch_request(partitions, committer, metadata, stable=self._committed_only)
        at_most = None if ids_are_known(partitions, metadata) else BY_NAME_UNTIL
        answer = await self._ask_coordinator(ApiKey.OFFSET_FETCH, request, at_most, deadline)
        found: dict[TopicPartition, OffsetAndMetadata | None] = dict.fromkeys(partitions)
        for id_, each in read_fetch(answer, partitions, metadata).items():
            if isinstance(each, KafkaError):
                raise KafkaError(each.code, f"the committed offset of {id_}: {each.message}")
            found[id_] = each
        return found

    async def _ask_coordinator(self, key: ApiKey, request: Message, at_most: int | None, deadline: Deadline) -> Message:
        left_s = max(0.001, deadline.left_s(_now_s()))
        group_id = self._committer().group_id
        connection = await self._cluster.coordinator(CoordinatorKind.GROUP, group_id, left_s)
        return await connection.request(
            key, request, timeout_s=min(left_s, self._cluster.settings.request_timeout_s), at_most=at_most
        )

    # -- the leaders

    async def list(
        self, timestamps: Mapping[TopicPartition, int], timeout_s: float
    ) -> dict[TopicPartition, OffsetAndTimestamp]:
        """The offset at or after each timestamp (ms, or a number of OffsetSpec); -1 where there is none so young."""
        deadline = self._deadline(timeout_s)
        found: dict[TopicPartition, OffsetAndTimestamp] = {}
        self._cluster.add_topics({each.topic for each in timestamps})

        async def once() -> None:
            missing = {id_: each for id_, each in timestamps.items() if id_ not in found}
            failures = []
            for id_, outcome in (await self.try_list(missing)).items():
                if isinstance(outcome, OffsetAndTimestamp):
                    found[id_] = outcome
                else:
                    failures.append(outcome)
            if failures:
                raise next((each for each in failures if not is_retriable(each)), failures[0])

        await self._until_done(once, deadline)
        return found

    async def try_list(self, timestamps: Mapping[TopicPartition, int]) -> Outcomes[OffsetAndTimestamp]:
        """The same, asked once, with what went wrong in place of an offset."""

        def request(ids: Iterable[TopicPartition]) -> Message:
            wanted = {id_: timestamps[id_] for id_ in ids}
            return list_request(wanted, self._cluster.metadata, committed_only=self._committed_only)

        return await self._ask_leaders(ApiKey.LIST_OFFSETS, timestamps, request, read_list)

    async def try_epochs(self, epochs: Mapping[TopicPartition, int]) -> Outcomes[tuple[int, int]]:
        """Where each leader says that the epoch ends: the epoch it knows up to that one, and its end offset."""

        def request(ids: Iterable[TopicPartition]) -> Message:
            return epochs_request({id_: epochs[id_] for id_ in ids}, self._cluster.metadata)

        return await self._ask_leaders(ApiKey.OFFSET_FOR_LEADER_EPOCH, epochs, request, read_epochs)

    async def _ask_leaders(
        self,
        key: ApiKey,
        partitions: Iterable[TopicPartition],
        request: Callable[[Iterable[TopicPartition]], Message],
        read: Callable[[Message], Mapping[TopicPartition, T | KafkaError]],
    ) -> Outcomes[T]:
        outcomes: Outcomes[T] = {}
        by_leader: dict[int, list[TopicPartition]] = defaultdict(list)
        for id_ in partitions:
            known = self._cluster.metadata.partition(id_.topic, id_.partition)
            if known is None:
                outcomes[id_] = KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no {id_}")
            elif known.leader_id == NO_LEADER:
                outcomes[id_] = KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"{id_} has no leader just now")
            else:
                by_leader[known.leader_id].append(id_)

        async def ask(leader: int, ids: list[TopicPartition]) -> None:
            try:
                connection = await self._cluster.connection_to(leader)
                told = read(await connection.request(key, request(ids)))
            except ClientError as error:
                outcomes.update(dict.fromkeys(ids, error))
            else:
                missing = KafkaError(ErrorCode.UNKNOWN_SERVER_ERROR, "the broker did not speak of it")
                for id_ in ids:
                    outcome = told.get(id_, missing)
                    if isinstance(outcome, KafkaError):
                        outcome = KafkaError(outcome.code, f"{id_}: {outcome.message}")
                    outcomes[id_] = outcome

        await asyncio.gather(*(ask(leader, ids) for leader, ids in by_leader.items()))
        if any(isinstance(each, Exception) and leader_may_have_moved(each) for each in outcomes.values()):
            self._cluster.request_update()
        return outcomes

    # -- again

    async def _until_done(self, once: Callable[[], Awaitable[T]], deadline: Deadline) -> T:
        attempt = 0
        while True:
            try:
                return await once()
            except (KafkaError, ClientError) as error:
                attempt += 1
                if coordinator_may_have_moved(error):
                    self._cluster.forget_coordinator(CoordinatorKind.GROUP, self._committer().group_id)
                if leader_may_have_moved(error) and isinstance(error, KafkaError):
                    self._cluster.request_update()
                delay_s = self._cluster.settings.backoff.delay_s(attempt, self._random)
                again = is_retriable(error) or (isinstance(error, KafkaError) and error.code in _ASK_AGAIN)
                if isinstance(error, (CommitFailed, TopicIsGone)) or not again or deadline.left_s(_now_s()) <= delay_s:
                    raise
            await asyncio.sleep(delay_s)

    def _deadline(self, timeout_s: float) -> Deadline:
        return Deadline.after(timeout_s, now_s=_now_s())


def _why(code: ErrorCode) -> str:
    if code in NOT_A_MEMBER:
        return f"the group goes on without this consumer ({code.name})"
    return code.name


def _now_s() -> float:
    return asyncio.get_running_loop().time()

"""Whom an administrator's request is for, and when it is asked again.

    any broker     what the cluster as a whole answers: topics, configs, quotas (a broker passes changes on)
    a node         what one broker answers: its own configs, its log directories
    leaders        what concerns partitions, each leader asked once for all of its own
    coordinators   what concerns groups, found in one request where the broker can (KIP-699)

An administrator's questions are few and far between, so nothing is believed from one to the next: each call asks the
cluster anew who leads and who coordinates.

Asked again, with growing pauses until the call's time is over, is what cannot do harm: a question to which no answer
came, a change that never left because nobody was there, what a broker refused because it does not lead or coordinate
(any more, or yet).  A change whose answer was lost may have been made; that is the caller's to find out.  Before the
first connection nobody waits: an address where nobody is is most likely the wrong one.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from random import Random
from typing import TypeVar

from ...protocol.apis import SUPPORTED, ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..address import Address
from ..cluster import BootstrapServers, addresses_of
from ..connection import Connection
from ..errors import CannotConnect, ClientError, RequestTimedOut, UnsupportedApi
from ..home_loop import must_be_on
from ..network import Network
from ..pool import ConnectionPool
from ..retry import Backoff, Deadline, is_retriable
from . import arguments
from .placement import leaders_of, nodes_of, why_no_leader
from .values import TopicPartition, refusal

T = TypeVar("T")

GROUP = 0
KEYS_FROM = 4
"""FindCoordinator takes several keys from this version on."""
NOT_THE_LEADER = frozenset(
    {ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.UNKNOWN_LEADER_EPOCH}
)
NOT_THE_COORDINATOR = frozenset(
    {
        ErrorCode.NOT_COORDINATOR,
        ErrorCode.COORDINATOR_NOT_AVAILABLE,
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        ErrorCode.UNSTABLE_OFFSET_COMMIT,
    }
)
"""Refusals of today that may be an answer tomorrow."""
_GRACE_S = 5.0
"""A broker waits up to the request's own timeout before it answers REQUEST_TIMED_OUT: that answer is given time."""

RequestOf = Callable[[Sequence[TopicPartition]], Message]
"""Makes the request for the partitions of one leader."""
AskCoordinator = Callable[[Connection, Sequence[str]], Awaitable[Mapping[str, T | KafkaError]]]
"""Asks one coordinator about groups of its own: an outcome for each."""


class Asking:
    """Connections to a cluster, and the ways to ask over them.  Each way has `timeout_s` for all it takes."""

    def __init__(
        self,
        bootstrap_servers: BootstrapServers,
        *,
        client_id: str,
        timeout_s: float,
        network: Network | None,
        random: Random,
    ) -> None:
        self.timeout_ms = arguments.number(int(arguments.real(timeout_s, "timeout_s") * 1000), "timeout_s in ms")
        self._timeout_s = timeout_s
        self._random = random
        self._backoff = Backoff()
        self._was_connected = False
        self._home: asyncio.AbstractEventLoop | None = None  # from the first use on, until it is closed
        self._pool = ConnectionPool(
            addresses_of(bootstrap_servers), client_id=client_id, timeout_s=timeout_s, network=network
        )

    async def close(self) -> None:
        if self._home is not None:
            self._be_home()
            self._home = None
        await self._pool.close()

    # -- any broker, and a certain one

    async def connect(self) -> Connection:
        """A connection to whichever broker answers; CannotConnect when none does."""
        self._be_home()
        connection = await self._pool.any()
        self._was_connected = True
        return connection

    async def any(self, key: ApiKey, message: Message) -> Message:
        """The answer to a question that any broker can answer, asked until there is one."""
        return await self._until_answered(lambda: self._once(self.connect, key, message), is_retriable)

    async def change(self, key: ApiKey, message: Message) -> Message:
        """The answer to a change that any broker takes; sent again only if it never left."""
        return await self._until_answered(lambda: self._once(self.connect, key, message), _never_left)

    async def node(self, node_id: int, key: ApiKey, message: Message) -> Message:
        """A certain broker's answer to a question.  KafkaError(BROKER_NOT_AVAILABLE) if the cluster does not know it."""
        return await self._until_answered(
            lambda: self._once(lambda: self._connection_to(node_id), key, message), is_retriable
        )

    async def change_node(self, node_id: int, key: ApiKey, message: Message) -> Message:
        """A certain broker's answer to a change, sent again only if it never left.  KafkaError as for `node`."""
        return await self._until_answered(
            lambda: self._once(lambda: self._connection_to(node_id), key, message), _never_left
        )

    async def every_node(self, key: ApiKey, message: Message) -> dict[int, Message]:
        """The answers of all brokers, by node id; ClientError when one does not answer."""
        nodes = sorted(nodes_of(await self.metadata([])))
        answers = await asyncio.gather(*(self.node(node_id, key, message) for node_id in nodes))
        return dict(zip(nodes, answers, strict=True))

    async def metadata(self, names: Sequence[str] | None) -> Message:
        """Metadata of these topics, or with None of all; none is created by asking."""
        topics = None if names is None else [Message(name=name) for name in names]
        return await self.any(ApiKey.METADATA, Message(topics=topics, allow_auto_topic_creation=False))

    async def _connection_to(self, node_id: int) -> Connection:
        nodes = nodes_of(await self.metadata([]))
        address = nodes.get(node_id)
        if address is None:
            known = ", ".join(map(str, sorted(nodes)))
            raise KafkaError(ErrorCode.BROKER_NOT_AVAILABLE, f"no broker {node_id} in the cluster, known are: {known}")
        return await self._pool.at(address)

    async def _once(self, connect: Callable[[], Awaitable[Connection]], key: ApiKey, message: Message) -> Message:
        connection = await connect()
        return await connection.request(key, message, timeout_s=self._timeout_s + _GRACE_S)

    async def _until_answered(
        self, ask: Callable[[], Awaitable[T]], may_ask_again: Callable[[BaseException], bool]
    ) -> T:
        self._be_home()
        deadline, attempt = self._deadline(), 0
        while True:
            try:
                async with asyncio.timeout_at(deadline.at_s + _GRACE_S):
                    return await ask()
            except TimeoutError:
                raise RequestTimedOut(f"no answer within {self._timeout_s:g} s") from None
            except ClientError as error:
                attempt += 1
                if not self._was_connected or not may_ask_again(error) or not await self._pause(attempt, deadline):
                    raise

    # -- leaders

    async def leaders(
        self, key: ApiKey, partitions: Iterable[TopicPartition], request_of: RequestOf
    ) -> dict[TopicPartition, Message | KafkaError]:
        """What each partition's leader answers about it; a refusal of ours where there is no leader.

        Asked again, at a new leader if there is one, where no answer came: it must do no harm to be asked twice.
        ClientError when a leader does not answer to the end.
        """
        left = list(partitions)
        outcomes: dict[TopicPartition, Message | KafkaError] = {}
        deadline, attempt = self._deadline(), 0
        while left:
            answered, lost = await self._ask_leaders(key, left, request_of)
            outcomes |= answered
            left = [each for each in left if each in lost or _code_of(outcomes.get(each)) in NOT_THE_LEADER]
            attempt += 1
            if left and not await self._pause(attempt, deadline):
                if lost:
                    raise next(iter(lost.values()))
                break
        return outcomes

    async def _ask_leaders(
        self, key: ApiKey, partitions: Sequence[TopicPartition], request_of: RequestOf
    ) -> tuple[dict[TopicPartition, Message | KafkaError], dict[TopicPartition, ClientError]]:
        """What was answered, and why for the other partitions nothing was."""
        metadata = await self.metadata(sorted({each.topic for each in partitions}))
        leaders = leaders_of(metadata)
        outcomes: dict[TopicPartition, Message | KafkaError] = {}
        shares: dict[Address, list[TopicPartition]] = defaultdict(list)
        for each in partitions:
            if each in leaders:
                shares[leaders[each]].append(each)
            else:
                outcomes[each] = why_no_leader(each, metadata)
        lost: dict[TopicPartition, ClientError] = {}

        async def ask_one(address: Address, share: Sequence[TopicPartition]) -> None:
            try:
                answer = await self._once(lambda: self._pool.at(address), key, request_of(share))
            except ClientError as error:
                if not is_retriable(error):
                    raise
                lost.update(dict.fromkeys(share, error))
                return
            for topic in answer.topics:
                for partition in topic.partitions:
                    outcomes[TopicPartition(topic.name, partition.partition_index)] = partition

        await asyncio.gather(*(ask_one(*each) for each in shares.items()))
        return outcomes, lost

    # -- coordinators

    async def coordinators(self, groups: Iterable[str], ask: AskCoordinator[T]) -> dict[str, T | KafkaError]:
        """An outcome for each group, of its coordinator, which is found anew where it moved or still loads.

        ClientError when a coordinator does not answer to the end.
        """
        left = list(dict.fromkeys(groups))
        outcomes: dict[str, T | KafkaError] = {}
        deadline, attempt = self._deadline(), 0
        while left:
            answered, lost = await self._ask_coordinators(left, ask)
            outcomes |= answered
            left = [each for each in left if _code_of(outcomes.get(each)) in NOT_THE_COORDINATOR or each in lost]
            attempt += 1
            if left and not await self._pause(attempt, deadline):
                if lost:
                    raise next(iter(lost.values()))
                break
        return outcomes

    async def _ask_coordinators(
        self, groups: Sequence[str], ask: AskCoordinator[T]
    ) -> tuple[dict[str, T | KafkaError], dict[str, ClientError]]:
        """What was answered, and why for the other groups nothing was."""
        answered: dict[str, T | KafkaError] = {}
        lost: dict[str, ClientError] = {}
        shares: dict[Address, list[str]] = defaultdict(list)
        for group, found in (await self._find_coordinators(groups)).items():
            if isinstance(found, KafkaError):
                answered[group] = found
            else:
                shares[found].append(group)

        async def ask_one(address: Address, share: Sequence[str]) -> None:
            try:
                answered.update(await ask(await self._pool.at(address), share))
            except ClientError as error:
                if not is_retriable(error):
                    raise
                lost.update(dict.fromkeys(share, error))

        await asyncio.gather(*(ask_one(*each) for each in shares.items()))
        return answered, lost

    async def _find_coordinators(self, groups: Sequence[str]) -> dict[str, Address | KafkaError]:
        async def find() -> dict[str, Address | KafkaError]:
            connection = await self.connect()
            if connection.version_of(ApiKey.FIND_COORDINATOR) >= KEYS_FROM:
                request = Message(key_type=GROUP, coordinator_keys=list(groups))
                answer = await connection.request(ApiKey.FIND_COORDINATOR, request)
                return {each.key: _address(each) for each in answer.coordinators}
            requests = (Message(key=group, key_type=GROUP) for group in groups)
            answers = await asyncio.gather(*(connection.request(ApiKey.FIND_COORDINATOR, each) for each in requests))
            return {group: _address(each) for group, each in zip(groups, answers, strict=True)}

        return await self._until_answered(find, is_retriable)

    # -- loop and time

    def _be_home(self) -> None:
        self._home = self._home or asyncio.get_running_loop()
        must_be_on(self._home, "admin")

    def _deadline(self) -> Deadline:
        return Deadline.after(self._timeout_s, now_s=_now_s())

    async def _pause(self, attempt: int, deadline: Deadline) -> bool:
        """Wait before the next attempt; False, without waiting, when it would come too late."""
        delay_s = self._backoff.delay_s(attempt, self._random)
        if deadline.left_s(_now_s()) <= delay_s:
            return False
        await asyncio.sleep(delay_s)
        return True


class AdminPart:
    """A family of requests."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking


def can_ask(connection: Connection, key: ApiKey) -> bool:
    """Whether the broker and we have a version of this API in common."""
    if key not in SUPPORTED:
        return False
    try:
        connection.version_of(key)
    except UnsupportedApi:
        return False
    return True


def _never_left(error: BaseException) -> bool:
    return isinstance(error, CannotConnect)


def _code_of(outcome: object) -> int:
    if isinstance(outcome, KafkaError):
        return outcome.code
    return int(outcome.error_code) if isinstance(outcome, Message) else ErrorCode.NONE  # of a partition


def _address(found: Message) -> Address | KafkaError:
    return refusal(found.error_code, found.error_message) or Address(found.host, found.port)


def _now_s() -> float:
    return asyncio.get_running_loop().time()

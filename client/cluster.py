"""The cluster as producer, consumer and admin see it: who leads, who coordinates, and connections to them.

    cluster = Cluster("a:9092,b:9092", settings)
    await cluster.start()                              # CannotConnect, naming the addresses, if nobody is there
    topic = await cluster.topic("orders")              # asks until it is known, or says why not
    connection = await cluster.connection_to(leader)   # a node id of `cluster.metadata`
    connection = await cluster.coordinator(CoordinatorKind.GROUP, "my-group")
    await cluster.close()

What is believed is `metadata`, a value that is replaced, never changed (see there).  One task asks for it: at the
start, when it is `metadata_max_age_ms` old, and when somebody who was refused by a deposed leader calls
`request_update`.  However many call, there is one request at a time; after a failure it waits, longer each time, and
before it asks again a little, so that many who are refused at once cost one request.  Nobody waits for that who
awaits `topic` or `update`.  Who must know of every change, a consumer with a pattern or a producer with batches to
send, is called back (`add_listener`: in the loop, not a coroutine).

It asks for the topics that were named (`topic`, `add_topics`), or with `want_all_topics` for all.  Named ones that
nobody asked about for `metadata_max_idle_ms` are dropped, so that a producer over many topics does not remember all.

Every wait has a deadline and survives cancellation.  Retries of single requests are the caller's (see `retry`), but
for `ask_any`, which any broker can answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from random import Random

from ..protocol.apis import ApiKey
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.messages import Message
from ..protocol.values import dataclass
from .address import Address, parse_addresses
from .connection import SOFTWARE_NAME, Connection
from .errors import CannotConnect, ClientClosed, ClientError, RequestTimedOut, UnsupportedApi
from .metadata import Metadata, Topic, merged, with_leader
from .network import Network
from .pool import ConnectionPool
from .retry import Backoff, Deadline, coordinator_may_have_moved, is_retriable

COORDINATOR_LANE = "coordinator"
"""Coordinators are asked over connections of their own: a heartbeat must not wait behind a fetch."""

_NEVER_THERE = frozenset({ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.TOPIC_AUTHORIZATION_FAILED})
"""What a topic's metadata may say that waiting does not change."""

BootstrapServers = str | Sequence[str] | Sequence[Address]
"""`host:port`, several with commas, or a list of them."""


class CoordinatorKind(IntEnum):
    """What a coordinator coordinates, numbered as on the wire."""

    GROUP = 0
    TRANSACTION = 1


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How to ask.  The names are Kafka's."""

    client_id: str = SOFTWARE_NAME
    request_timeout_ms: int = 30_000
    retry_backoff_ms: int = 100
    retry_backoff_max_ms: int = 1_000
    metadata_max_age_ms: int = 300_000
    metadata_max_idle_ms: int = 300_000
    allow_auto_topic_creation: bool = True

    @property
    def backoff(self) -> Backoff:
        return Backoff(self.retry_backoff_ms, self.retry_backoff_max_ms)

    @property
    def request_timeout_s(self) -> float:
        return self.request_timeout_ms / 1000


class Cluster:
    """What is known of a cluster, kept up to date, and connections to it.  Owned by the loop it was started on."""

    def __init__(
        self,
        bootstrap_servers: BootstrapServers,
        settings: ClusterSettings | None = None,
        *,
        network: Network | None = None,
        random: Random | None = None,
    ) -> None:
        """ValueError if `bootstrap_servers` cannot be read."""
        self.settings = settings or ClusterSettings()
        self.metadata = Metadata()
        self._bootstrap = addresses_of(bootstrap_servers)
        self._pool = ConnectionPool(
            self._bootstrap,
            client_id=self.settings.client_id,
            timeout_s=self.settings.request_timeout_s,
            network=network,
        )
        self._random = random or Random()
        self._wanted: dict[str, float] = {}  # named topics, and when somebody last asked about them
        self._wants_all = False
        self._listeners: list[Callable[[], None]] = []
        self._coordinators: dict[tuple[CoordinatorKind, str], Address] = {}
        self._updating: asyncio.Task[None] | None = None
        self._update_wanted = asyncio.Event()
        self._somebody_waits = asyncio.Event()
        self._failure: Exception | None = None  # of the last attempt
        self._asked_count = 0  # Metadata requests sent; a waiter is content with one sent after its call
        self._waiters: dict[asyncio.Future[None], int] = {}
        self._is_closed = False

    # -- its life

    async def start(self) -> None:
        """Learn the cluster from whichever broker answers, and begin to keep it up to date.

        CannotConnect, naming the addresses, when nobody answers within `request_timeout_ms`.
        """
        if self._updating is not None:
            return
        await self._ask_until_told(self._deadline(None))
        self._updating = asyncio.create_task(self._keep_up_to_date(), name="metadata of the cluster")

    async def close(self) -> None:
        """Close all connections; who still waits is told with ClientClosed."""
        self._is_closed = True
        if self._updating is not None:
            self._updating.cancel()
            await asyncio.wait([self._updating])
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_exception(ClientClosed("the client was closed"))
        await self._pool.close()

    # -- what is believed

    def add_listener(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change of `metadata`."""
        self._listeners.append(listener)

    def remove_listener(self, listener: Callable[[], None]) -> None:
        self._listeners.remove(listener)

    def add_topics(self, names: Iterable[str]) -> None:
        """Keep these topics up to date, too; asks at once if one is new."""
        now_s = _now_s()
        names = list(names)
        new = [name for name in names if name not in self._wanted]
        for name in new:
            _must_be_name(name)
        self._wanted.update(dict.fromkeys(names, now_s))
        if new:
            self.request_update()

    def want_all_topics(self, wanted: bool) -> None:
        """Ask for every topic from now on (for a pattern), or for named ones again."""
        if wanted and not self._wants_all:
            self.request_update()
        self._wants_all = wanted

    def request_update(self) -> None:
        """What is believed was found wrong: ask again soon."""
        self._update_wanted.set()

    async def update(self, timeout_s: float | None = None) -> Metadata:
        """Ask again, and return the new belief; the last failure, a ClientError, if there is none within the time."""
        if self._is_closed or self._updating is None:
            raise ClientClosed("the client was closed, or not yet started")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = self._asked_count + 1
        self.request_update()
        self._somebody_waits.set()
        wait_s = timeout_s or self.settings.request_timeout_s
        try:
            async with asyncio.timeout(wait_s):
                await waiter
        except TimeoutError:
            raise self._why_nobody_told(wait_s) from self._failure
        finally:
            del self._waiters[waiter]
        return self.metadata

    def known_topic(self, name: str) -> Topic | None:
        """The topic if it is known and has partitions; it is kept up to date from now on.

        TypeError for what is no string, UnicodeEncodeError for one that cannot be encoded.
        """
        if name not in self._wanted:
            _must_be_name(name)
        self._wanted[name] = _now_s()
        topic = self.metadata.topics.get(name)
        return topic if topic is not None and topic.partitions else None

    async def topic(self, name: str, timeout_s: float | None = None) -> Topic:
        """The topic, asked for until it is known.

        KafkaError when it may not be read or cannot be (TOPIC_AUTHORIZATION_FAILED, INVALID_TOPIC_EXCEPTION), or when
        it is not there within the time (UNKNOWN_TOPIC_OR_PARTITION); ClientError when nobody answers.
        """
        deadline = self._deadline(timeout_s)
        attempt = 0
        while (known := self.known_topic(name)) is None:
            await self._update_about(name, deadline, has_been_told=attempt > 0)
            known = self.metadata.topics.get(name)
            if known is not None and known.error in _NEVER_THERE:
                raise KafkaError(ErrorCode(known.error), f"topic {name}: {_REFUSED[ErrorCode(known.error)]}")
            attempt += 1
            if self.known_topic(name) is None and not await self._pause(attempt, deadline):
                raise _missing(name)
        return known

    async def _update_about(self, name: str, deadline: Deadline, *, has_been_told: bool) -> None:
        """Ask again. The last answer of many may come too late; then the topic is what is missing, not the brokers."""
        try:
            await self.update(max(0.001, deadline.left_s(_now_s())))
        except CannotConnect:
            if not has_been_told or self._failure is not None:
                raise
            raise _missing(name) from None

    def leader_told(self, topic: str, partition: int, *, leader_id: int, leader_epoch: int) -> None:
        """A broker said in its refusal who leads now (KIP-951)."""
        self._believe(with_leader(self.metadata, topic, partition, leader_id=leader_id, leader_epoch=leader_epoch))

    # -- connections

    async def any_connection(self) -> Connection:
        """A connection to whichever broker answers; CannotConnect if none does."""
        return await self._pool.any()

    async def connection_to(self, node_id: int, lane: str = "") -> Connection:
        """A connection to a broker; CannotConnect if nobody answers, or the node is not known."""
        node = self.metadata.nodes.get(node_id)
        if node is None:
            self.request_update()
            known = ", ".join(map(str, sorted(self.metadata.nodes)))
            raise CannotConnect(f"no broker {node_id} in the cluster, known are: {known}")
        return await self._pool.at(node.address, lane)

    def open_connection_to(self, node_id: int, lane: str = "") -> Connection | None:
        """The connection to a broker if it is open now."""
        node = self.metadata.nodes.get(node_id)
        return None if node is None else self._pool.open_at(node.address, lane)

    async def ask_any(self, key: ApiKey, message: Message, timeout_s: float | None = None) -> Message:
        """The answer of whichever broker answers within the time; the last ClientError if none does."""
        deadline = self._deadline(timeout_s)
        attempt = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline.at_s):
                    connection = await self._pool.any()
                    return await connection.request(key, message, timeout_s=self._one_try_s(deadline))
            except TimeoutError:
                raise RequestTimedOut(f"no broker answered {key.name} within the time") from None
            except ClientError as error:
                attempt += 1
                if not is_retriable(error) or not await self._pause(attempt, deadline):
                    raise

    # -- coordinators

    async def coordinator(
        self, kind: CoordinatorKind, key: str, timeout_s: float | None = None, *, lane: str = COORDINATOR_LANE
    ) -> Connection:
        """A connection to the coordinator of a group or a transactional id, found and remembered.

        KafkaError when the cluster refuses to name one (GROUP_AUTHORIZATION_FAILED, or COORDINATOR_NOT_AVAILABLE to
        the end of the time), ClientError when nobody answers.
        """
        deadline = self._deadline(timeout_s)
        attempt = 0
        while True:
            try:
                address = self._coordinators.get((kind, key)) or await self._find_coordinator(kind, key, deadline)
                self._coordinators[kind, key] = address
                return await self._pool.at(address, lane)
            except (KafkaError, ClientError) as error:
                attempt += 1
                self.forget_coordinator(kind, key)
                if not (is_retriable(error) or coordinator_may_have_moved(error)):
                    raise
                if not await self._pause(attempt, deadline):
                    raise

    def forget_coordinator(self, kind: CoordinatorKind, key: str) -> None:
        """It said NOT_COORDINATOR, or does not answer: find it anew when it is next asked for."""
        self._coordinators.pop((kind, key), None)

    async def _find_coordinator(self, kind: CoordinatorKind, key: str, deadline: Deadline) -> Address:
        connection = await self._pool.any()
        version = connection.version_of(ApiKey.FIND_COORDINATOR)
        if version == 0 and kind is not CoordinatorKind.GROUP:
            raise UnsupportedApi(f"the broker at {connection.address} knows no transactions: FIND_COORDINATOR v0")
        # From v4 on several keys may be asked for; the encoder drops the fields that a version lacks.
        request = Message(key=key, key_type=kind, coordinator_keys=[key])
        answer = await connection.request(ApiKey.FIND_COORDINATOR, request, timeout_s=self._one_try_s(deadline))
        found = answer.coordinators[0] if version >= 4 else answer
        if found.error_code != ErrorCode.NONE:
            what = f"no coordinator for {kind.name.lower()} {key}: {found.error_message or 'not available'}"
            raise KafkaError(_known(found.error_code), what)
        return Address(found.host, found.port)

    # -- asking for metadata

    async def _keep_up_to_date(self) -> None:
        attempt = 0
        while True:
            await _set_within(self._update_wanted, self.settings.metadata_max_age_ms / 1000)
            # What many are refused for at once is asked for once.
            await _set_within(self._somebody_waits, self.settings.backoff.delay_s(1, self._random))
            self._update_wanted.clear()
            self._somebody_waits.clear()
            try:
                await self._ask_once()
                attempt, self._failure = 0, None
            except (ClientError, KafkaError) as error:
                attempt, self._failure = attempt + 1, error
                self._update_wanted.set()
                await asyncio.sleep(self.settings.backoff.delay_s(attempt, self._random))

    async def _ask_until_told(self, deadline: Deadline) -> None:
        attempt = 0
        while True:
            try:
                async with asyncio.timeout_at(deadline.at_s):
                    return await self._ask_once()
            except TimeoutError:
                raise self._why_nobody_told(self.settings.request_timeout_s) from self._failure
            except ClientError as error:
                attempt, self._failure = attempt + 1, error
                if not is_retriable(error) or not await self._pause(attempt, deadline):
                    raise

    def _why_nobody_told(self, wait_s: float) -> ClientError:
        if isinstance(self._failure, ClientError):
            return type(self._failure)(*self._failure.args)
        addresses = ", ".join(map(str, self._bootstrap))
        return CannotConnect(f"no broker answers at {addresses} within {wait_s:g} s{_detail(self._failure)}")

    async def _ask_once(self) -> None:
        self._asked_count += 1
        number = self._asked_count
        names = self._names_to_ask_for()
        connection = await self._pool.any()
        answer = await connection.request(ApiKey.METADATA, self._question(names, connection))
        # What was named while the answer was on its way stays unknown, and is asked for next.
        self._believe(merged(self.metadata, answer, keep=None if names is None else self._wanted))
        for waiter, wanted in self._waiters.items():
            if number >= wanted and not waiter.done():
                waiter.set_result(None)

    def _names_to_ask_for(self) -> list[str] | None:
        if self._wants_all:
            return None
        oldest_s = _now_s() - self.settings.metadata_max_idle_ms / 1000
        self._wanted = {name: at_s for name, at_s in self._wanted.items() if at_s >= oldest_s}
        return list(self._wanted)

    def _question(self, names: list[str] | None, connection: Connection) -> Message:
        if names == [] and connection.version_of(ApiKey.METADATA) == 0:
            names = None  # v0 has no way to ask for none; an empty list means all
        topics = None if names is None else [Message(name=name) for name in names]
        if topics is None and connection.version_of(ApiKey.METADATA) == 0:
            topics = []
        return Message(topics=topics, allow_auto_topic_creation=self.settings.allow_auto_topic_creation)

    def _believe(self, metadata: Metadata) -> None:
        if metadata is self.metadata:
            return
        self.metadata = metadata
        nodes = list(metadata.nodes.values())
        self._random.shuffle(nodes)
        self._pool.know(node.address for node in nodes)
        for listener in tuple(self._listeners):
            listener()

    # -- time

    def _deadline(self, timeout_s: float | None) -> Deadline:
        return Deadline.after(timeout_s or self.settings.request_timeout_s, now_s=_now_s())

    def _one_try_s(self, deadline: Deadline) -> float:
        return max(0.001, min(self.settings.request_timeout_s, deadline.left_s(_now_s())))

    async def _pause(self, attempt: int, deadline: Deadline) -> bool:
        """Wait before the next attempt; False, without waiting, when it would come too late."""
        delay_s = self.settings.backoff.delay_s(attempt, self._random)
        if deadline.left_s(_now_s()) <= delay_s:
            return False
        await asyncio.sleep(delay_s)
        return True


_REFUSED: Mapping[ErrorCode, str] = {
    ErrorCode.INVALID_TOPIC_EXCEPTION: "no topic can have this name",
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: "not authorized; its ACLs must allow this client to DESCRIBE it",
}


def _known(code: ErrorCode | int) -> ErrorCode:
    return code if isinstance(code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR


def _detail(error: Exception | None) -> str:
    return "" if error is None else f": {error}"


async def _set_within(event: asyncio.Event, timeout_s: float) -> None:
    """Return when the event is set, or the time has passed."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        return


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def addresses_of(servers: BootstrapServers) -> tuple[Address, ...]:
    """The addresses that were given; ValueError with one line on what is wrong."""
    if isinstance(servers, str):
        return parse_addresses(servers)
    addresses: list[Address] = []
    for each in servers if isinstance(servers, Iterable) else [servers]:
        if isinstance(each, Address):
            addresses.append(each)
        elif isinstance(each, str):
            addresses += parse_addresses(each)
        else:
            raise ValueError(f"{each!r} is not an address of a broker; write HOST:PORT")
    if not addresses:
        raise ValueError("no address of a broker given; write HOST:PORT")
    return tuple(addresses)


def _must_be_name(topic: object) -> None:
    """What cannot be asked for must not be wanted: no other topic could be asked for beside it."""
    if not isinstance(topic, str):
        raise TypeError(f"a topic is a name, not {topic!r}")
    topic.encode()


def _missing(topic: str) -> KafkaError:
    return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic}")

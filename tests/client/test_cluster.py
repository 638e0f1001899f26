"""What the cluster is known to be: asked for once, kept up to date, and what is said when it cannot be had."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from ottla.client.address import Address
from ottla.client.cluster import Cluster, ClusterSettings, CoordinatorKind
from ottla.client.errors import CannotConnect, ClientClosed, RequestTimedOut, UnsupportedApi
from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.errors import ErrorCode, KafkaError
from ottla.protocol.messages import Message
from support.scripted_broker import CLOSE, Answer, ScriptedBroker

QUICK = ClusterSettings(request_timeout_ms=5_000, retry_backoff_ms=1, retry_backoff_max_ms=2)


def versions(**least: tuple[int, int]) -> dict[ApiKey, tuple[int, int]]:
    every = {key: (api.min_version, api.max_version) for key, api in SUPPORTED.items()}
    return {**every, **{ApiKey[name]: bounds for name, bounds in least.items()}}


class ModelCluster:
    """One scripted broker that is node 1, and the topics it has."""

    def __init__(self, **least: tuple[int, int]) -> None:
        self.topics: dict[str, ErrorCode] = {}
        self.leader_epoch = 0
        self.coordinator_errors: list[ErrorCode] = []
        self.broker = ScriptedBroker(
            {
                ApiKey.METADATA: self.metadata,
                ApiKey.FIND_COORDINATOR: self.find_coordinator,
                ApiKey.HEARTBEAT: lambda _: Message(error_code=ErrorCode.NONE),
            },
            versions=versions(**least),
        )

    @property
    def metadata_count(self) -> int:
        return len(self.broker.asked_for(ApiKey.METADATA))

    def metadata(self, request: Message) -> Answer:
        address = self.broker.address
        names = list(self.topics) if request.topics is None else [each.name for each in request.topics]
        return Message(
            cluster_id="c",
            controller_id=1,
            brokers=[Message(node_id=1, host=address.host, port=address.port, rack=None)],
            topics=[self.topic(name) for name in names],
        )

    def topic(self, name: str) -> Message:
        error = self.topics.get(name, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
        partition = Message(
            partition_index=0,
            leader_id=1,
            leader_epoch=self.leader_epoch,
            replica_nodes=[1],
            isr_nodes=[1],
            error_code=ErrorCode.NONE,
        )
        return Message(name=name, error_code=error, partitions=[partition] if error is ErrorCode.NONE else [])

    def find_coordinator(self, request: Message) -> Answer:
        address = self.broker.address
        error = self.coordinator_errors.pop(0) if self.coordinator_errors else ErrorCode.NONE
        found = {"node_id": 1, "host": address.host, "port": address.port, "error_code": error, "error_message": None}
        return Message(**found, coordinators=[Message(key=request.key, **found)])


def run(
    model: ModelCluster,
    test: Callable[[Cluster], Awaitable[None]],
    settings: ClusterSettings = QUICK,
) -> None:
    async def scenario() -> None:
        async with model.broker as broker:
            cluster = Cluster(str(broker.address), settings)
            await cluster.start()
            try:
                await test(cluster)
            finally:
                await cluster.close()

    asyncio.run(scenario())


@pytest.fixture
def nobody() -> Iterator[Address]:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Address("127.0.0.1", bound.getsockname()[1])


def test_a_cluster_is_known_when_it_has_started() -> None:
    async def test(cluster: Cluster) -> None:
        assert list(cluster.metadata.nodes) == [1]
        assert cluster.metadata.topics == {}
        assert (await cluster.connection_to(1)) is cluster.open_connection_to(1)

    run(ModelCluster(), test)


def test_nobody_there_is_said_after_the_time_naming_the_addresses(nobody: Address) -> None:
    settings = ClusterSettings(request_timeout_ms=1_000, retry_backoff_ms=1, retry_backoff_max_ms=5)

    async def scenario() -> None:
        cluster = Cluster([f"{nobody}"], settings)
        try:
            await cluster.start()
        finally:
            await cluster.close()

    with pytest.raises(CannotConnect, match=f"^no broker at {nobody}: "):
        asyncio.run(scenario())


def test_a_peer_that_says_nothing_is_named() -> None:
    async def scenario() -> None:
        async with ScriptedBroker({ApiKey.API_VERSIONS: lambda _: None}) as broker:
            cluster = Cluster(str(broker.address), ClusterSettings(request_timeout_ms=50))
            try:
                with pytest.raises((CannotConnect, RequestTimedOut), match=str(broker.address)):
                    await cluster.start()
            finally:
                await cluster.close()

    asyncio.run(scenario())


def test_a_topic_is_asked_for_once_by_all_who_want_it() -> None:
    model = ModelCluster()
    model.topics["t"] = ErrorCode.NONE

    async def test(cluster: Cluster) -> None:
        topics = await asyncio.gather(*(cluster.topic("t") for _ in range(20)))

        assert {topic.name for topic in topics} == {"t"}
        assert topics[0].partitions[0].leader_id == 1
        assert model.metadata_count <= 3  # the start's, this one, at most one that was under way

    run(model, test)


def test_a_topic_that_comes_late_is_waited_for() -> None:
    model = ModelCluster()

    async def test(cluster: Cluster) -> None:
        waiting = asyncio.create_task(cluster.topic("t"))
        while model.metadata_count < 3:
            await cluster.update()
        model.topics["t"] = ErrorCode.NONE

        assert (await waiting).name == "t"

    run(model, test)


def test_a_topic_that_never_comes_is_said_to_be_missing() -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(KafkaError, match="there is no topic missing") as raised:
            await cluster.topic("missing", 0.05)
        assert raised.value.code is ErrorCode.UNKNOWN_TOPIC_OR_PARTITION

    run(ModelCluster(), test)


@pytest.mark.parametrize("error", [ErrorCode.TOPIC_AUTHORIZATION_FAILED, ErrorCode.INVALID_TOPIC_EXCEPTION])
def test_a_topic_that_waiting_does_not_bring_is_refused_at_once(error: ErrorCode) -> None:
    model = ModelCluster()
    model.topics["t"] = error

    async def test(cluster: Cluster) -> None:
        with pytest.raises(KafkaError, match="topic t: ") as raised:
            await cluster.topic("t")
        assert raised.value.code is error

    run(model, test)


def test_listeners_hear_of_every_change_and_named_topics_are_kept() -> None:
    model = ModelCluster()
    model.topics["t"] = ErrorCode.NONE

    async def test(cluster: Cluster) -> None:
        heard: list[int] = []

        def listener() -> None:
            heard.append(cluster.metadata.version)

        cluster.add_listener(listener)
        cluster.add_topics(["t"])
        await cluster.update()
        model.leader_epoch = 4
        await cluster.update()
        cluster.remove_listener(listener)
        partition = cluster.metadata.partition("t", 0)
        await cluster.update()

        assert partition is not None
        assert partition.leader_epoch == 4
        assert heard == sorted(set(heard))
        assert len(heard) >= 2

    run(model, test)


def test_all_topics_are_asked_for_when_all_are_wanted() -> None:
    model = ModelCluster()
    model.topics.update(a=ErrorCode.NONE, b=ErrorCode.NONE)

    async def test(cluster: Cluster) -> None:
        cluster.want_all_topics(True)
        assert set((await cluster.update()).topics) == {"a", "b"}

    run(model, test)


def test_a_belief_grows_old_and_is_asked_for_again() -> None:
    model = ModelCluster()
    settings = ClusterSettings(metadata_max_age_ms=1, retry_backoff_ms=1)

    async def test(cluster: Cluster) -> None:
        aged = asyncio.Event()
        cluster.add_listener(aged.set)
        await asyncio.wait_for(aged.wait(), 20)

    run(model, test, settings)


def test_a_broker_that_hangs_up_is_asked_again() -> None:
    model = ModelCluster()
    refused: list[Answer] = [CLOSE, CLOSE]

    async def test(cluster: Cluster) -> None:
        model.broker.scripts[ApiKey.METADATA] = lambda request: refused.pop() if refused else model.metadata(request)

        await cluster.update()

        assert refused == []

    run(model, test)


@pytest.mark.parametrize("highest", [0, 3, 6])
@pytest.mark.parametrize("metadata_highest", [1, 13])
def test_a_coordinator_is_found_by_brokers_of_every_age(highest: int, metadata_highest: int) -> None:
    model = ModelCluster(FIND_COORDINATOR=(0, highest), METADATA=(0, metadata_highest))

    async def test(cluster: Cluster) -> None:
        connection = await cluster.coordinator(CoordinatorKind.GROUP, "g")
        again = await cluster.coordinator(CoordinatorKind.GROUP, "g")

        assert again is connection
        assert connection is not await cluster.connection_to(1), "it has a lane of its own"
        assert len(model.broker.asked_for(ApiKey.FIND_COORDINATOR)) == 1

    run(model, test)


def test_a_coordinator_that_is_still_loading_is_waited_for_and_a_forgotten_one_found_anew() -> None:
    model = ModelCluster()
    model.coordinator_errors = [ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS]

    async def test(cluster: Cluster) -> None:
        await cluster.coordinator(CoordinatorKind.TRANSACTION, "t")
        cluster.forget_coordinator(CoordinatorKind.TRANSACTION, "t")
        await cluster.coordinator(CoordinatorKind.TRANSACTION, "t")

        assert len(model.broker.asked_for(ApiKey.FIND_COORDINATOR)) == 4

    run(model, test)


def test_a_coordinator_that_is_refused_is_said_so() -> None:
    model = ModelCluster()
    model.coordinator_errors = [ErrorCode.GROUP_AUTHORIZATION_FAILED]

    async def test(cluster: Cluster) -> None:
        with pytest.raises(KafkaError, match="no coordinator for group g"):
            await cluster.coordinator(CoordinatorKind.GROUP, "g")

    run(model, test)


def test_a_broker_too_old_for_transactions_is_named() -> None:
    async def test(cluster: Cluster) -> None:
        with pytest.raises(UnsupportedApi, match="knows no transactions"):
            await cluster.coordinator(CoordinatorKind.TRANSACTION, "t")

    run(ModelCluster(FIND_COORDINATOR=(0, 0)), test)


def test_closing_tells_those_who_wait() -> None:
    model = ModelCluster()

    async def scenario() -> None:
        async with model.broker as broker:
            cluster = Cluster(str(broker.address), QUICK)
            await cluster.start()
            model.broker.scripts[ApiKey.METADATA] = lambda _: None
            waiting = asyncio.create_task(cluster.topic("t"))
            await asyncio.sleep(0)  # Lets it ask.
            await cluster.close()

            with pytest.raises(ClientClosed):
                await waiting
            with pytest.raises(ClientClosed):
                await cluster.update()

    asyncio.run(scenario())


def test_a_cancelled_wait_leaves_the_cluster_usable() -> None:
    model = ModelCluster()

    async def test(cluster: Cluster) -> None:
        waiting = asyncio.create_task(cluster.topic("t"))
        await asyncio.sleep(0)  # Lets it ask.
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        model.topics["u"] = ErrorCode.NONE

        assert (await cluster.topic("u")).name == "u"

    run(model, test)


@pytest.mark.parametrize("servers", [None, 9092, [], b"localhost:9092", ("localhost", 9092), [None]])
def test_what_are_no_addresses_is_refused_before_anything_is_connected_to(servers: Any) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Cluster(servers)

"""The administrator's client: topics, their configs, their offsets.

    async with AdminClient("localhost:9092") as admin:
        await admin.create_topics([NewTopic("orders", partitions=4)])

A request for several things has an outcome for each: a value, or the KafkaError with which the broker refused that
one; the others are done all the same.  A failure to get any answer is a ClientError, and then it is unknown which of
them were done.

What concerns a partition is sent to its leader, what concerns a broker to that broker, all else to any broker.
Nothing is retried here.  Works with Ottla and with Apache Kafka alike; Kafka's counterpart is `KafkaAdminClient`.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType

from ..protocol.apis import ApiKey
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.messages import Message
from .address import Address, parse_addresses
from .admin_values import (
    BrokerAddress,
    ClusterDescription,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    CreatedTopic,
    ListedOffset,
    NewTopic,
    OffsetSpec,
    PartitionDescription,
    TopicDescription,
    TopicPartition,
    refusal,
)
from .connection import DEFAULT_TIMEOUT_S, SOFTWARE_NAME, Connection
from .pool import ConnectionPool

_RequestOf = Callable[[Iterable[TopicPartition]], Message]
"""Makes the request for the partitions of one leader."""
_SET, _DELETE = 0, 1
_NO_NUMBER = -1


class AdminClient:
    """Asks a cluster, or changes it.  Use it as a context, or `close` it."""

    def __init__(
        self,
        bootstrap_servers: str | Sequence[Address],
        *,
        client_id: str = SOFTWARE_NAME,
        timeout_s: float = DEFAULT_TIMEOUT_S,
    ) -> None:
        """ValueError if `bootstrap_servers` (host:port, several with commas) cannot be read."""
        addresses = parse_addresses(bootstrap_servers) if isinstance(bootstrap_servers, str) else bootstrap_servers
        self._pool = ConnectionPool(addresses, client_id=client_id, timeout_s=timeout_s)
        self._timeout_ms = int(timeout_s * 1000)

    async def __aenter__(self) -> AdminClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    # -- the cluster

    async def describe_cluster(self) -> ClusterDescription:
        answer = await self._ask_any(ApiKey.DESCRIBE_CLUSTER, Message(endpoint_type=1))
        _raise_if_refused(answer.error_code, answer.error_message)
        return ClusterDescription(
            cluster_id=answer.cluster_id,
            controller_id=None if answer.controller_id < 0 else answer.controller_id,
            brokers=tuple(BrokerAddress(b.broker_id, b.host, b.port, b.rack) for b in answer.brokers),
        )

    # -- topics

    async def list_topics(self, *, include_internal: bool = False) -> list[TopicDescription]:
        """All topics, by name."""
        answer = await self._metadata(None)
        topics = [_topic(topic) for topic in answer.topics if topic.error_code == ErrorCode.NONE]
        return sorted(
            (topic for topic in topics if include_internal or not topic.is_internal), key=lambda topic: topic.name
        )

    async def describe_topics(self, names: Iterable[str]) -> dict[str, TopicDescription | KafkaError]:
        """Each of these topics; UNKNOWN_TOPIC_OR_PARTITION for one that does not exist (it is not created)."""
        answer = await self._metadata(list(names))
        return {topic.name: refusal(topic.error_code) or _topic(topic) for topic in answer.topics}

    async def create_topics(
        self, topics: Iterable[NewTopic], *, validate_only: bool = False
    ) -> dict[str, CreatedTopic | KafkaError]:
        """Create topics, or with `validate_only` say whether they could be."""
        request = Message(
            topics=[_new_topic(topic) for topic in topics],
            timeout_ms=self._timeout_ms,
            validate_only=validate_only,
        )
        answer = await self._ask_any(ApiKey.CREATE_TOPICS, request)
        return {
            topic.name: refusal(topic.error_code, topic.error_message)
            or CreatedTopic(
                topic.name, topic.topic_id, _number(topic.num_partitions), _number(topic.replication_factor)
            )
            for topic in answer.topics
        }

    async def delete_topics(self, names: Iterable[str]) -> dict[str, KafkaError | None]:
        """Delete topics by name; None says that it is done."""
        names = list(names)
        request = Message(topics=[Message(name=name) for name in names], topic_names=names, timeout_ms=self._timeout_ms)
        answer = await self._ask_any(ApiKey.DELETE_TOPICS, request)
        return {topic.name: refusal(topic.error_code, topic.error_message) for topic in answer.responses}

    async def create_partitions(
        self, counts: Mapping[str, int], *, validate_only: bool = False
    ) -> dict[str, KafkaError | None]:
        """Give topics more partitions; `counts` says how many they shall have in all."""
        request = Message(
            topics=[Message(name=name, count=count, assignments=None) for name, count in counts.items()],
            timeout_ms=self._timeout_ms,
            validate_only=validate_only,
        )
        answer = await self._ask_any(ApiKey.CREATE_PARTITIONS, request)
        return {topic.name: refusal(topic.error_code, topic.error_message) for topic in answer.results}

    # -- configs

    async def describe_configs(self, resource: ConfigResource, name: str) -> dict[str, ConfigEntry]:
        """The configs of one topic, or one broker (its node id), by config name; KafkaError if refused."""
        request = Message(resources=[Message(resource_type=resource, resource_name=name, configuration_keys=None)])
        connection = await self._connection_for(resource, name)
        answer = await connection.request(ApiKey.DESCRIBE_CONFIGS, request)
        (result,) = answer.results
        _raise_if_refused(result.error_code, result.error_message)
        return {entry.name: _config_entry(entry) for entry in result.configs}

    async def alter_configs(
        self,
        resource: ConfigResource,
        name: str,
        changes: Mapping[str, str | None],
        *,
        validate_only: bool = False,
    ) -> None:
        """Set configs of one topic or broker, or with None set them back to the default; KafkaError if refused."""
        configs = [
            Message(name=key, config_operation=_DELETE if value is None else _SET, value=value)
            for key, value in changes.items()
        ]
        request = Message(
            resources=[Message(resource_type=resource, resource_name=name, configs=configs)],
            validate_only=validate_only,
        )
        connection = await self._connection_for(resource, name)
        answer = await connection.request(ApiKey.INCREMENTAL_ALTER_CONFIGS, request)
        (result,) = answer.responses
        _raise_if_refused(result.error_code, result.error_message)

    # -- records

    async def list_offsets(
        self, wanted: Mapping[TopicPartition, OffsetSpec | int]
    ) -> dict[TopicPartition, ListedOffset | KafkaError]:
        """For each partition the earliest or latest offset, or the first at or after a timestamp in ms."""

        def request(partitions: Iterable[TopicPartition]) -> Message:
            topics = _by_topic(
                (each, Message(partition_index=each.partition, current_leader_epoch=-1, timestamp=int(wanted[each])))
                for each in partitions
            )
            return Message(replica_id=-1, topics=topics, timeout_ms=self._timeout_ms)

        def outcome(partition: Message) -> ListedOffset | KafkaError:
            return refusal(partition.error_code) or ListedOffset(
                partition.offset, partition.timestamp, partition.leader_epoch
            )

        answered = await self._ask_leaders(ApiKey.LIST_OFFSETS, wanted, request)
        return {
            partition: each if isinstance(each, KafkaError) else outcome(each) for partition, each in answered.items()
        }

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | KafkaError]:
        """Delete the records before an offset (-1: all there are); answers the new log start offsets."""

        def request(partitions: Iterable[TopicPartition]) -> Message:
            topics = _by_topic(
                (each, Message(partition_index=each.partition, offset=before[each])) for each in partitions
            )
            return Message(topics=topics, timeout_ms=self._timeout_ms)

        answered = await self._ask_leaders(ApiKey.DELETE_RECORDS, before, request)
        return {
            partition: each if isinstance(each, KafkaError) else refusal(each.error_code) or int(each.low_watermark)
            for partition, each in answered.items()
        }

    # -- whom to ask

    async def _ask_any(self, key: ApiKey, request: Message) -> Message:
        # The broker itself waits up to our timeout before it answers REQUEST_TIMED_OUT: give that answer time.
        connection = await self._pool.any()
        return await connection.request(key, request, timeout_s=self._timeout_ms / 1000 + 5)

    async def _metadata(self, names: list[str] | None) -> Message:
        topics = None if names is None else [Message(name=name) for name in names]
        return await self._ask_any(ApiKey.METADATA, Message(topics=topics, allow_auto_topic_creation=False))

    async def _connection_for(self, resource: ConfigResource, name: str) -> Connection:
        """A broker answers for its own configs; for those of all brokers (no name) and of topics, any does."""
        if resource is not ConfigResource.BROKER or not name:
            return await self._pool.any()
        brokers = _addresses(await self._metadata([]))
        address = brokers.get(int(name)) if name.isascii() and name.isdigit() else None
        if address is None:
            known = ", ".join(map(str, sorted(brokers)))
            raise KafkaError(ErrorCode.BROKER_NOT_AVAILABLE, f"no broker {name} in the cluster, known are: {known}")
        return await self._pool.at(address)

    async def _ask_leaders(
        self, key: ApiKey, partitions: Iterable[TopicPartition], request: _RequestOf
    ) -> dict[TopicPartition, Message | KafkaError]:
        """Ask each partition's leader, all leaders at once; what has no leader is refused here."""
        wanted = list(partitions)
        metadata = await self._metadata(sorted({each.topic for each in wanted}))
        leaders = _leaders(metadata)
        outcomes: dict[TopicPartition, Message | KafkaError] = {}
        groups: dict[Address, list[TopicPartition]] = defaultdict(list)
        for each in wanted:
            leader = leaders.get(each) or _no_leader(each, metadata)
            if isinstance(leader, KafkaError):
                outcomes[each] = leader
            else:
                groups[leader].append(each)
        asked = (self._ask_at(address, key, request(group)) for address, group in groups.items())
        for answer in await asyncio.gather(*asked):
            for topic in answer.topics:
                for partition in topic.partitions:
                    outcomes[TopicPartition(topic.name, partition.partition_index)] = partition
        return outcomes

    async def _ask_at(self, address: Address, key: ApiKey, request: Message) -> Message:
        connection = await self._pool.at(address)
        return await connection.request(key, request)


# -- between messages and values


def _raise_if_refused(code: int, message: str | None) -> None:
    error = refusal(code, message)
    if error is not None:
        raise error


def _number(wire: int) -> int | None:
    return None if wire == _NO_NUMBER else wire


def _new_topic(topic: NewTopic) -> Message:
    assignments = topic.assignments or {}
    return Message(
        name=topic.name,
        num_partitions=_NO_NUMBER if topic.partitions is None else topic.partitions,
        replication_factor=_NO_NUMBER if topic.replication_factor is None else topic.replication_factor,
        assignments=[
            Message(partition_index=partition, broker_ids=list(brokers)) for partition, brokers in assignments.items()
        ],
        configs=[Message(name=name, value=value) for name, value in topic.configs.items()],
    )


def _topic(topic: Message) -> TopicDescription:
    partitions = sorted((_partition(each) for each in topic.partitions), key=lambda each: each.partition)
    return TopicDescription(topic.name, topic.topic_id, topic.is_internal, tuple(partitions))


def _partition(partition: Message) -> PartitionDescription:
    return PartitionDescription(
        partition=partition.partition_index,
        leader=None if partition.leader_id < 0 else partition.leader_id,
        leader_epoch=partition.leader_epoch,
        replicas=tuple(partition.replica_nodes),
        in_sync_replicas=tuple(partition.isr_nodes),
        error=partition.error_code,
    )


def _config_entry(entry: Message) -> ConfigEntry:
    return ConfigEntry(
        name=entry.name,
        value=entry.value,
        source=ConfigSource(entry.config_source),
        is_read_only=entry.read_only,
        is_sensitive=entry.is_sensitive,
    )


def _addresses(metadata: Message) -> dict[int, Address]:
    return {broker.node_id: Address(broker.host, broker.port) for broker in metadata.brokers}


def _leaders(metadata: Message) -> dict[TopicPartition, Address]:
    """Where each partition is led, of those that are."""
    addresses = _addresses(metadata)
    return {
        TopicPartition(topic.name, partition.partition_index): addresses[partition.leader_id]
        for topic in metadata.topics
        for partition in topic.partitions
        if partition.leader_id in addresses
    }


def _no_leader(wanted: TopicPartition, metadata: Message) -> KafkaError:
    exists = any(
        topic.name == wanted.topic and any(each.partition_index == wanted.partition for each in topic.partitions)
        for topic in metadata.topics
    )
    if exists:
        return KafkaError(ErrorCode.LEADER_NOT_AVAILABLE, f"{wanted} has no leader at the moment")
    return KafkaError(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"{wanted} does not exist")


def _by_topic(partitions: Iterable[tuple[TopicPartition, Message]]) -> list[Message]:
    groups: dict[str, list[Message]] = defaultdict(list)
    for each, message in partitions:
        groups[each.topic].append(message)
    return [Message(name=name, partitions=group) for name, group in groups.items()]

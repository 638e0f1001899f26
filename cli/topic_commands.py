"""What `ottla topics …` does: asks the cluster, shows the answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..client.admin import (
    Admin,
    ConfigResource,
    ConfigSource,
    CreatedTopic,
    ListedOffset,
    NewTopic,
    OffsetSpec,
    PartitionDescription,
    TopicDescription,
    TopicPartition,
)
from ..protocol.errors import ErrorCode, KafkaError
from ..protocol.values import dataclass
from .asking import ask, fail_if_any_refused
from .errors import WRONGLY_ASKED, CommandError
from .output import show_json, show_rows


def parse_configs(entries: Iterable[str]) -> dict[str, str]:
    """KEY=VALUE as given on the command line."""
    configs = {}
    for entry in entries:
        name, equals, value = entry.partition("=")
        if not equals or not name.strip():
            raise CommandError(f"--config {entry}: write it as --config KEY=VALUE", exit_code=WRONGLY_ASKED)
        configs[name.strip()] = value
    return configs


# -- create, alter, delete


def create(
    bootstrap_server: str,
    names: Sequence[str],
    *,
    partitions: int | None,
    replication_factor: int | None,
    configs: Mapping[str, str],
    if_not_exists: bool,
    as_json: bool,
) -> None:
    topics = [NewTopic(name, partitions, replication_factor, configs) for name in names]
    outcomes = ask(bootstrap_server, lambda admin: admin.create_topics(topics))
    created = [outcome for outcome in outcomes.values() if isinstance(outcome, CreatedTopic)]
    if as_json:
        show_json([_created_json(topic) for topic in created])
    else:
        for topic in created:
            print(f"created {topic.name}{_counted(topic.partitions)}")
    forgiven = {ErrorCode.TOPIC_ALREADY_EXISTS} if if_not_exists else set()
    fail_if_any_refused(_refused(outcomes, forgiven), "create")


def alter(bootstrap_server: str, name: str, *, partitions: int | None, changes: Mapping[str, str | None]) -> None:
    if partitions is None and not changes:
        raise CommandError("nothing to alter: give --partitions, --config or --delete-config", exit_code=WRONGLY_ASKED)

    async def question(admin: Admin) -> dict[str, KafkaError | None]:
        # The configs first: a wrong one is refused as a whole, partitions cannot be taken back.
        if changes:
            await admin.alter_configs(ConfigResource.TOPIC, name, changes)
        return {} if partitions is None else await admin.create_partitions({name: partitions})

    fail_if_any_refused(_refused(ask(bootstrap_server, question)), "add partitions to")
    print(f"altered {name}")


def delete(bootstrap_server: str, names: Sequence[str], *, if_exists: bool) -> None:
    outcomes = ask(bootstrap_server, lambda admin: admin.delete_topics(names))
    for name, outcome in outcomes.items():
        if outcome is None:
            print(f"deleted {name}")
    forgiven = {ErrorCode.UNKNOWN_TOPIC_OR_PARTITION} if if_exists else set()
    fail_if_any_refused(_refused(outcomes, forgiven), "delete")


def _refused(outcomes: Mapping[str, object], forgiven: Iterable[ErrorCode] = ()) -> dict[str, KafkaError]:
    return {
        name: outcome
        for name, outcome in outcomes.items()
        if isinstance(outcome, KafkaError) and outcome.code not in forgiven
    }


def _counted(partitions: int | None) -> str:
    if partitions is None:
        return ""
    return f" with {partitions} partition{'' if partitions == 1 else 's'}"


def _created_json(topic: CreatedTopic) -> dict[str, object]:
    return {
        "name": topic.name,
        "id": str(topic.id),
        "partitions": topic.partitions,
        "replication_factor": topic.replication_factor,
    }


# -- list and describe


def list_(bootstrap_server: str, *, include_internal: bool, as_json: bool) -> None:
    topics = ask(bootstrap_server, lambda admin: admin.list_topics(include_internal=include_internal))
    rows = [(topic.name, len(topic.partitions), _replication_factor(topic)) for topic in topics]
    if as_json:
        keys = ("name", "partitions", "replication_factor")
        show_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        show_rows(("Topic", "Partitions", "Replicas"), rows, numbers=("Partitions", "Replicas"))


def _replication_factor(topic: TopicDescription) -> int:
    return max((len(partition.replicas) for partition in topic.partitions), default=0)


@dataclass(frozen=True, slots=True)
class _Extent:
    """From where to where a partition's offsets reach; None where its leader does not say."""

    start: int | None
    end: int | None


@dataclass(frozen=True, slots=True)
class _Described:
    topic: TopicDescription
    configs: Mapping[str, str | None]
    extents: Mapping[int, _Extent]


def describe(bootstrap_server: str, names: Sequence[str], *, as_json: bool) -> None:
    async def question(admin: Admin) -> tuple[list[_Described], dict[str, KafkaError]]:
        found: Mapping[str, TopicDescription | KafkaError]
        if names:
            found = await admin.describe_topics(names)
        else:
            found = {topic.name: topic for topic in await admin.list_topics()}
        topics = [topic for topic in found.values() if isinstance(topic, TopicDescription)]
        return [await _details(admin, topic) for topic in topics], _refused(found)

    described, refused = ask(bootstrap_server, question)
    if as_json:
        show_json([_described_json(each) for each in described])
    else:
        _show_described(described)
    fail_if_any_refused(refused, "describe")


async def _details(admin: Admin, topic: TopicDescription) -> _Described:
    entries = await admin.describe_configs(ConfigResource.TOPIC, topic.name)
    configs = {
        name: entry.value for name, entry in sorted(entries.items()) if entry.source is ConfigSource.DYNAMIC_TOPIC
    }
    partitions = [TopicPartition(topic.name, each.partition) for each in topic.partitions]
    starts = await admin.list_offsets(dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    ends = await admin.list_offsets(dict.fromkeys(partitions, OffsetSpec.LATEST))
    extents = {each.partition: _Extent(_offset(starts[each]), _offset(ends[each])) for each in partitions}
    return _Described(topic, configs, extents)


def _offset(listed: ListedOffset | KafkaError) -> int | None:
    return None if isinstance(listed, KafkaError) else listed.offset


def _show_described(described: Sequence[_Described]) -> None:
    import sys

    headings = ("Partition", "Leader", "Replicas", "In sync", "First offset", "End offset")
    numbers = ("Partition", "Leader", "First offset", "End offset")
    for each in described:
        rows = [_partition_row(partition, each.extents[partition.partition]) for partition in each.topic.partitions]
        if not sys.stdout.isatty():
            show_rows(headings, [(each.topic.name, *row) for row in rows])
            continue
        print(f"{each.topic.name}{_counted(len(rows))}, id {each.topic.id}")
        for name, value in each.configs.items():
            print(f"  {name}={value}")
        show_rows(headings, rows, numbers=numbers)
        print()


def _partition_row(partition: PartitionDescription, extent: _Extent) -> tuple[object, ...]:
    return (
        partition.partition,
        "none" if partition.leader is None else partition.leader,
        ",".join(map(str, partition.replicas)),
        ",".join(map(str, partition.in_sync_replicas)),
        extent.start,
        extent.end,
    )


def _described_json(each: _Described) -> dict[str, object]:
    return {
        "name": each.topic.name,
        "id": str(each.topic.id),
        "internal": each.topic.is_internal,
        "configs": dict(each.configs),
        "partitions": [
            {
                "partition": partition.partition,
                "leader": partition.leader,
                "leader_epoch": partition.leader_epoch,
                "replicas": list(partition.replicas),
                "in_sync_replicas": list(partition.in_sync_replicas),
                "start_offset": each.extents[partition.partition].start,
                "end_offset": each.extents[partition.partition].end,
            }
            for partition in each.topic.partitions
        ],
    }

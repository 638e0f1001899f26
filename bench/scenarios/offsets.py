"""Committed offsets: how many one group commits on one connection, and how long a broker takes to know 10,000 groups again.

Commits are durable on both sides: Ottla answers from the disk, and for Apache Kafka `flush.messages=1` is set on
`__consumer_offsets`. They are pipelined on one connection, of which Apache Kafka serves one request at a time. A restart is
timed from the start of the process until ListGroups names every group, with no coordinator loading any more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from ottla.protocol.apis import ApiKey
from ottla.protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)

from ..core.brokers import Broker, Process
from ..core.model import Better, Case, Metric, Plan, Round, Sample
from ..core.process import resident_mib
from ..core.rounds import CPU_PER_REQUEST, REQUESTS, SYNCED, rate_sample
from ..load import wire
from ..load.one_record import Answers

NAME = "offsets"
TITLE = "committed offsets, bare Kafka protocol: pipelined commits of one group; a restart with many groups"
IN_FLIGHT = 64
GROUPS, GROUPS_QUICK = 10_000, 200
OFFSETS_PER_GROUP = 10
AT_A_TIME = 200
PATIENCE_S = 120.0
RETRIABLE = {14, 15, 16}
POLL_S = 0.01
TOPIC_CONFIG, SET = 2, 0

KNOWN = Metric("all groups known", "ms", Better.LESS)
RESIDENT = Metric("resident memory", "MiB", Better.LESS, 1)

VERSIONS: dict[ApiKey, int] = {
    ApiKey.FIND_COORDINATOR: 4,
    ApiKey.JOIN_GROUP: 3,  # without the detour by which newer clients get their member id
    ApiKey.SYNC_GROUP: 3,
    ApiKey.OFFSET_COMMIT: 8,
    ApiKey.OFFSET_FETCH: 7,
    ApiKey.LIST_GROUPS: 4,
    ApiKey.INCREMENTAL_ALTER_CONFIGS: 1,
}


def cases(plan: Plan) -> Sequence[Case]:
    count = GROUPS_QUICK if plan.quick else GROUPS
    return [
        Case(f"one group, {IN_FLIGHT} commits in flight", SYNCED, (REQUESTS, CPU_PER_REQUEST), _commits),
        Case(
            f"restart with {count:,} groups of a member and {OFFSETS_PER_GROUP} offsets",
            "nothing to lose",
            (KNOWN, RESIDENT),
            partial(_restarts, count=count),
            weight=0,
            fixed_s=2 + count / 2_000,
            setup_s=count / 400,
            runs=3,
        ),
    ]


# --- commits


@contextmanager
def _commits(broker: Broker, plan: Plan) -> Iterator[Round]:
    with broker.topic() as (topic, _), wire.Connection(broker.bootstrap) as connection:
        _await_coordinator(connection, "bench")
        if not broker.syncs_by_itself:
            _sync_every_commit(connection)
        request = _frame(ApiKey.OFFSET_COMMIT, _commit("bench", topic, range(1)))
        yield lambda: rate_sample(broker, lambda: _pipelined(connection, request, plan.seconds))


def _sync_every_commit(connection: wire.Connection) -> None:
    changed = Message(name="flush.messages", config_operation=SET, value="1")
    resource = Message(resource_type=TOPIC_CONFIG, resource_name="__consumer_offsets", configs=[changed])
    told = _call(connection, ApiKey.INCREMENTAL_ALTER_CONFIGS, Message(resources=[resource], validate_only=False))
    assert not told.responses[0].error_code, told


def _pipelined(connection: wire.Connection, request: bytes, seconds: float) -> Answers:
    answers = Answers()
    began = time.perf_counter()
    connection.socket.sendall(request * IN_FLIGHT)
    while time.perf_counter() < began + seconds:
        came = _take_all(connection, answers)
        connection.socket.sendall(request * came)
    left = IN_FLIGHT
    while left:
        left -= _take_all(connection, answers)
    answers.seconds = time.perf_counter() - began
    return answers


def _take_all(connection: wire.Connection, answers: Answers) -> int:
    """Take what has come, at least one; how many that were."""
    connection.fill()
    count = 0
    while (response := connection.take()) is not None:
        count += 1
        told = _answer(ApiKey.OFFSET_COMMIT, response)
        answers.failures += bool(told.topics[0].partitions[0].error_code)
    answers.count += count
    return count


# --- restarts


@contextmanager
def _restarts(broker: Broker, plan: Plan, *, count: int) -> Iterator[Round]:
    with broker.another("groups") as process:
        process.start()
        topic = "read"
        wire.create_topic(process.bootstrap, topic, partitions=OFFSETS_PER_GROUP)
        with wire.Connection(process.bootstrap) as connection:
            _await_coordinator(connection, "bench")
            for first in range(0, count, AT_A_TIME):
                _make_groups(connection, topic, [f"group-{at}" for at in range(first, min(first + AT_A_TIME, count))])
        process.stop()
        yield lambda: _restart(process, count)
        process.kill()


def _make_groups(connection: wire.Connection, topic: str, groups: Sequence[str]) -> None:
    """Each with one member that has committed."""
    joins = [_join(group) for group in groups]
    members = [each.member_id for each in _ask_all(connection, ApiKey.JOIN_GROUP, joins)]
    pairs = list(zip(groups, members, strict=True))
    synced = _ask_all(connection, ApiKey.SYNC_GROUP, [_sync(*each) for each in pairs])
    assert not any(each.error_code for each in synced)
    partitions = range(OFFSETS_PER_GROUP)
    commits = [_commit(group, topic, partitions, member_id=member, generation=1) for group, member in pairs]
    for told in _ask_all(connection, ApiKey.OFFSET_COMMIT, commits):
        assert not any(each.error_code for each in told.topics[0].partitions)


def _restart(process: Process, count: int) -> Sample:
    began = time.perf_counter()
    process.start()
    with wire.Connection(process.bootstrap) as connection:
        _await(lambda: _known_groups(connection) == count)
        took_s = time.perf_counter() - began
    resident = resident_mib(process.pid)
    process.stop()
    return Sample({KNOWN.name: took_s * 1000, RESIDENT.name: resident})


def _known_groups(connection: wire.Connection) -> int:
    listed = _call(connection, ApiKey.LIST_GROUPS, Message(states_filter=[]))
    return -1 if listed.error_code else len(listed.groups)


# --- requests


def _await_coordinator(connection: wire.Connection, group: str) -> None:
    """Until the topic of offsets is there and loaded."""

    def is_there() -> bool:
        found = _call(connection, ApiKey.FIND_COORDINATOR, Message(key_type=0, coordinator_keys=[group]))
        if found.coordinators[0].error_code:
            return False
        fetched = _call(connection, ApiKey.OFFSET_FETCH, Message(group_id=group, topics=None, require_stable=False))
        return fetched.error_code not in RETRIABLE and _known_groups(connection) >= 0

    _await(is_there)


def _await(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError("the broker's groups are not there")
        time.sleep(POLL_S)  # another process's work has no event to wait for


def _join(group: str) -> Message:
    return Message(
        group_id=group,
        session_timeout_ms=300_000,
        rebalance_timeout_ms=300_000,
        member_id="",
        protocol_type="consumer",
        protocols=[Message(name="range", metadata=b"\0\1\0\0\0\1\0\4read\xff\xff\xff\xff")],
    )


def _sync(group: str, member_id: str) -> Message:
    assignment = Message(member_id=member_id, assignment=b"x" * 60)
    return Message(
        group_id=group, generation_id=1, member_id=member_id, group_instance_id=None, assignments=[assignment]
    )


def _commit(group: str, topic: str, partitions: range, *, member_id: str = "", generation: int = -1) -> Message:
    offsets = [
        Message(partition_index=at, committed_offset=at, committed_leader_epoch=-1, committed_metadata="")
        for at in partitions
    ]
    return Message(
        group_id=group,
        generation_id_or_member_epoch=generation,
        member_id=member_id,
        group_instance_id=None,
        topics=[Message(name=topic, partitions=offsets)],
    )


def _frame(key: ApiKey, message: Message) -> bytes:
    version = VERSIONS[key]
    data = encode_request_header(key, version, 1, wire.CLIENT_ID) + encode_request(key, version, message)
    return wire.SIZE.pack(len(data)) + data


def _answer(key: ApiKey, response: bytes) -> Message:
    version = VERSIONS[key]
    header = decode_response_header(key, version, response)
    return decode_response(key, version, response[header.body_position :])


def _call(connection: wire.Connection, key: ApiKey, message: Message) -> Message:
    return _ask_all(connection, key, [message])[0]


def _ask_all(connection: wire.Connection, key: ApiKey, messages: Sequence[Message]) -> list[Message]:
    connection.socket.sendall(b"".join(_frame(key, each) for each in messages))
    return [_answer(key, connection.receive()) for _ in messages]

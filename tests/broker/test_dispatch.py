"""From a frame to its handler, over a real socket: what is loaded when, and what becomes of a connection's other requests."""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Any

from ottla.broker.api import table
from ottla.broker.app import Broker
from ottla.broker.catalog import CatalogListener, Topic
from ottla.broker.coordination import Coordination
from ottla.protocol.apis import SUPPORTED, ApiKey
from ottla.protocol.messages import (
    Message,
    decode_response,
    decode_response_header,
    encode_request,
    encode_request_header,
)
from support.asking import Asker, with_broker

PATIENCE_S = 60
GROUP = 0


class Wire:
    """A connection on which requests are sent without waiting for answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.sent: list[tuple[ApiKey, int]] = []

    @classmethod
    async def to(cls, broker: Broker) -> Wire:
        return cls(*await asyncio.open_connection("127.0.0.1", broker.bound["PLAINTEXT"].port))

    def send(self, key: ApiKey, version: int, **fields: Any) -> None:
        self.send_body(key, version, encode_request(key, version, Message(**fields)))

    def send_body(self, key: ApiKey, version: int, body: bytes) -> None:
        frame = encode_request_header(key, version, len(self.sent), "test") + body
        self.writer.write(struct.pack(">i", len(frame)) + frame)
        self.sent.append((key, version))

    async def answer_to(self, number: int) -> Message:
        """The next answer, which must be that to the request of this number."""
        key, version = self.sent[number]
        async with asyncio.timeout(PATIENCE_S):
            (size_bytes,) = struct.unpack(">i", await self.reader.readexactly(4))
            frame = await self.reader.readexactly(size_bytes)
        header = decode_response_header(key, version, frame)
        assert header.correlation_id == number
        return decode_response(key, version, frame[header.body_position :])

    async def ends(self) -> bool:
        """Whether the connection ends, with nothing more to come."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read() == b""

    async def close(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


def coordination_of(broker: Broker) -> Coordination | None:
    """The coordinators, if they have been made; asking for them would make them."""
    made = vars(broker)["_coordination"]
    assert made is None or isinstance(made, Coordination)
    return made


class Created(CatalogListener):
    """Waits for a topic."""

    def __init__(self) -> None:
        self.name: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_topic_created(self, topic: Topic) -> None:
        self.name.set_result(topic.name)


def find(wire: Wire, group: str) -> None:
    wire.send(ApiKey.FIND_COORDINATOR, 6, key_type=GROUP, coordinator_keys=[group])


def test_the_table_has_every_api_that_is_advertised_but_produce_and_fetch() -> None:
    assert table.FAMILIES.keys() | {ApiKey.PRODUCE, ApiKey.FETCH} == SUPPORTED.keys()


def test_the_table_says_what_the_modules_say() -> None:
    told: dict[ApiKey, str] = {}
    for family in sorted(set(table.FAMILIES.values())):
        told |= dict.fromkeys(table.module_of(family).HANDLERS, family)

    assert told == table.FAMILIES


def test_the_table_knows_which_modules_need_the_coordinators() -> None:
    words = ("broker.groups", "broker.transactions", "broker.internal_topics", "broker.coordination")
    using = set()
    for family in set(table.FAMILIES.values()):
        path = table.module_of(family).__file__
        assert path is not None
        text = Path(path).read_text(encoding="utf-8")
        using |= {family} if any(word in text for word in words) else set()

    assert using - {"producer_ids"} == table.WITH_COORDINATORS  # ids of transactions are asked for seldom


def test_a_broker_is_without_coordinators_until_a_request_needs_them(tmp_path: Path) -> None:
    async def scenario(ask: Asker) -> None:
        wire = await Wire.to(ask.broker)
        wire.send(ApiKey.METADATA, 12, topics=None)
        wire.send(ApiKey.LIST_OFFSETS, 7, replica_id=-1, isolation_level=0, topics=[])
        await wire.answer_to(0)
        await wire.answer_to(1)
        assert coordination_of(ask.broker) is None

        find(wire, "g")
        (found,) = (await wire.answer_to(2)).coordinators

        assert (found.error_code, found.node_id) == (0, 1)
        assert coordination_of(ask.broker) is not None
        await wire.close()

    with_broker(tmp_path, scenario, {"offsets.topic.num.partitions": "1"})


def test_a_broker_that_has_groups_brings_their_coordinator_up_by_itself(tmp_path: Path) -> None:
    settings = {"offsets.topic.num.partitions": "1"}

    async def commit(ask: Asker) -> None:
        await ask.create("t")
        await ask(ApiKey.FIND_COORDINATOR, 6, key_type=GROUP, coordinator_keys=["g"])
        await ask.broker.groups.runtime.loaded()
        partition = Message(partition_index=0, committed_offset=7, committed_leader_epoch=-1, committed_metadata="")
        topic = Message(name="t", partitions=[partition])
        done = await ask(ApiKey.OFFSET_COMMIT, 8, group_id="g", generation_id_or_member_epoch=-1, topics=[topic])
        assert done.topics[0].partitions[0].error_code == 0

    async def look(ask: Asker) -> None:
        bringing_up = vars(ask.broker)["_bringing_up"]
        await asyncio.wait_for(bringing_up, PATIENCE_S)
        coordination = coordination_of(ask.broker)
        assert coordination is not None
        await coordination.groups.runtime.loaded()
        ((_, offsets),) = coordination.groups.offsets_of("g")
        assert offsets[0].offset == 7

    with_broker(tmp_path, commit, settings)
    with_broker(tmp_path, look, settings)


def test_requests_that_wait_for_their_handler_are_answered_in_order(tmp_path: Path) -> None:
    async def scenario(ask: Asker) -> None:
        wire = await Wire.to(ask.broker)
        wire.send(ApiKey.DESCRIBE_CLUSTER, 1)
        wire.send(ApiKey.LIST_GROUPS, 4)
        wire.send(ApiKey.DESCRIBE_CLUSTER, 1)
        wire.send(ApiKey.API_VERSIONS, 3)

        answers = [await wire.answer_to(number) for number in range(4)]

        assert answers[0] == answers[2]
        assert answers[1].groups == []
        await wire.close()

    with_broker(tmp_path, scenario)


def test_what_turns_out_to_be_no_request_ends_its_connection_behind_earlier_answers(tmp_path: Path) -> None:
    async def scenario(ask: Asker) -> None:
        wire = await Wire.to(ask.broker)
        wire.send(ApiKey.METADATA, 9, topics=None)
        wire.send_body(ApiKey.CREATE_TOPICS, 6, b"\xff\xff")
        wire.send(ApiKey.METADATA, 9, topics=None)

        await wire.answer_to(0)

        assert await wire.ends()
        await wire.close()

    with_broker(tmp_path, scenario)


def test_a_known_kind_of_request_that_is_none_ends_its_connection_likewise(tmp_path: Path) -> None:
    async def scenario(ask: Asker) -> None:
        wire = await Wire.to(ask.broker)
        wire.send(ApiKey.METADATA, 9, topics=None)
        await wire.answer_to(0)
        wire.send(ApiKey.METADATA, 9, topics=None)
        wire.send_body(ApiKey.METADATA, 9, b"\xff\xff")

        await wire.answer_to(1)

        assert await wire.ends()
        await wire.close()

    with_broker(tmp_path, scenario)


def test_a_first_request_counts_also_when_its_connection_is_gone_before_its_handler_is_there(tmp_path: Path) -> None:
    async def scenario(ask: Asker) -> None:
        wire = await Wire.to(ask.broker)
        topic = Message(name="t", num_partitions=1, replication_factor=1, assignments=[], configs=[])
        created = Created()
        ask.broker.catalog.subscribe(created)
        wire.send(ApiKey.CREATE_TOPICS, 7, topics=[topic], timeout_ms=10_000)
        await wire.close()

        await asyncio.wait_for(created.name, PATIENCE_S)

        assert created.name.result() == "t"

    with_broker(tmp_path, scenario)


def test_a_broker_stops_cleanly_while_a_handler_is_being_loaded(tmp_path: Path) -> None:
    async def scenario(ask: Asker) -> None:
        wire = await Wire.to(ask.broker)
        wire.send(ApiKey.DESCRIBE_CLUSTER, 1)
        await wire.answer_to(0)
        find(wire, "g")
        await wire.writer.drain()

    with_broker(tmp_path, scenario)


def test_coordinators_that_are_first_needed_while_the_broker_stops_refuse(tmp_path: Path) -> None:
    kept: list[Asker] = []

    async def scenario(ask: Asker) -> None:
        kept.append(ask)

    with_broker(tmp_path, scenario)

    async def ask_late() -> int:
        answer = await kept[0](ApiKey.HEARTBEAT, 4, group_id="g", generation_id=1, member_id="m")
        assert isinstance(answer.error_code, int)
        return answer.error_code

    assert asyncio.run(ask_late()) == 15  # COORDINATOR_NOT_AVAILABLE

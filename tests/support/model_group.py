"""The model of a cluster, with what consumers need: Fetch, offsets, and a coordinator for groups of one.

A group's only member is whoever joined last, so that joins are answered at once; those before are not known any more.
Fetches are answered at once, too, with or without news, by sessions or in full, a batch cut short at the end now and then.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from ottla.protocol.apis import ApiKey
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from ottla.protocol.records import BatchBuilder, Record
from support.model_broker import ModelCluster, ModelPartition

MAX_BATCH = 4


class ModelGroupCluster(ModelCluster):
    """Also answers consumers.  `refusal` may refuse any of their requests, by its API."""

    def __init__(self, topics: dict[str, int], *, brokers: int = 1, random: Random | None = None) -> None:
        super().__init__(topics, brokers=brokers, random=random)
        self.refusal: Callable[[ApiKey], ErrorCode] = lambda key: ErrorCode.NONE
        self.committed: dict[tuple[str, int], int] = {}
        self.coordinator_id = 1
        self.member_id = ""
        self.generation = 0
        self.assignment = b""
        self._sessions: dict[tuple[int, int], dict[tuple[Any, int], Message]] = {}
        self._session_count = 0
        self._member_count = 0

    def answer(self, node_id: int, key: ApiKey, version: int, request: Message) -> Message | None:
        answers: dict[ApiKey, Callable[[int, Message, ErrorCode], Message]] = {
            ApiKey.FETCH: self._fetch,
            ApiKey.LIST_OFFSETS: self._list_offsets,
            ApiKey.OFFSET_FOR_LEADER_EPOCH: self._epochs,
            ApiKey.FIND_COORDINATOR: self._find_coordinator,
            ApiKey.JOIN_GROUP: self._join,
            ApiKey.SYNC_GROUP: self._sync,
            ApiKey.HEARTBEAT: self._heartbeat,
            ApiKey.LEAVE_GROUP: self._leave,
            ApiKey.OFFSET_COMMIT: self._commit,
            ApiKey.OFFSET_FETCH: self._committed,
        }
        if key not in answers:
            return super().answer(node_id, key, version, request)
        return answers[key](node_id, request, self.refusal(key))

    def append(self, topic: str, index: int, value: bytes) -> None:
        records = self.partitions[topic, index].records
        records.append(Record(len(records), 0, None, value, []))

    def forget_sessions(self) -> None:
        self._sessions.clear()

    def _named(self, topic: Message) -> str:
        return str(topic.topic or next((name for name, each in self.ids.items() if each == topic.topic_id), ""))

    # -- fetch

    def _fetch(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        wanted = {
            (topic.topic or topic.topic_id, each.partition): each
            for topic in request.topics
            for each in topic.partitions
        }
        session_id = 0
        if request.session_epoch == 0 and self.random.random() < 0.8:
            self._session_count += 1
            session_id = self._session_count
            self._sessions[node_id, session_id] = wanted
        elif request.session_epoch > 0:
            session_id = request.session_id
            known = self._sessions.get((node_id, session_id))
            if known is None:
                return Message(error_code=ErrorCode.FETCH_SESSION_ID_NOT_FOUND, session_id=0, responses=[])
            for topic in request.forgotten_topics_data:
                for index in topic.partitions:
                    del known[topic.topic or topic.topic_id, index]
            known.update(wanted)
            wanted = known
        responses = []
        for (topic, _), each in wanted.items():
            name = topic if isinstance(topic, str) else next(name for name, id_ in self.ids.items() if id_ == topic)
            told = self._fetch_one(node_id, name, each, refused)
            responses.append(Message(topic=name, topic_id=self.ids[name], partitions=[told]))
        return Message(error_code=ErrorCode.NONE, session_id=session_id, responses=responses)

    def _fetch_one(self, node_id: int, name: str, each: Message, refused: ErrorCode) -> Message:
        partition = self.partitions[name, each.partition]
        error = self._leads(node_id, partition, each.current_leader_epoch) or refused
        end = len(partition.records)
        if not error and not 0 <= each.fetch_offset <= end:
            error = ErrorCode.OFFSET_OUT_OF_RANGE
        return Message(
            partition_index=each.partition,
            error_code=error,
            high_watermark=end,
            last_stable_offset=end,
            log_start_offset=0,
            records=b"" if error else self._batches(partition, each.fetch_offset),
        )

    def _batches(self, partition: ModelPartition, offset: int) -> bytes:
        """Batches lie where they lie: they begin at multiples of their size, before the offset that was asked for."""
        out = b""
        start = offset - offset % MAX_BATCH
        for base in range(start, min(start + 3 * MAX_BATCH, len(partition.records)), MAX_BATCH):
            builder = BatchBuilder(base_offset=base, leader_epoch=partition.leader_epoch)
            for record in partition.records[base : base + MAX_BATCH]:
                builder.append(0, None, record.value)
            out += builder.build()
            if base > start and self.random.random() < 0.2:
                return out[: -self.random.randint(1, 60)]
        return out if offset < len(partition.records) else b""

    @staticmethod
    def _leads(node_id: int, partition: ModelPartition, epoch: int) -> ErrorCode:
        if partition.leader_id != node_id:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if epoch > partition.leader_epoch:
            return ErrorCode.UNKNOWN_LEADER_EPOCH
        return ErrorCode.FENCED_LEADER_EPOCH if -1 < epoch < partition.leader_epoch else ErrorCode.NONE

    # -- offsets of the log

    def _list_offsets(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        def one(name: str, each: Message) -> Message:
            partition = self.partitions[name, each.partition_index]
            error = self._leads(node_id, partition, each.current_leader_epoch) or refused
            offset = len(partition.records) if each.timestamp == -1 else 0
            return Message(partition_index=each.partition_index, error_code=error, offset=offset, timestamp=-1)

        return Message(
            topics=[
                Message(name=t.name, partitions=[one(t.name, each) for each in t.partitions]) for t in request.topics
            ]
        )

    def _epochs(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        def one(name: str, each: Message) -> Message:
            partition = self.partitions[name, each.partition]
            error = self._leads(node_id, partition, each.current_leader_epoch) or refused
            end = len(partition.records)  # nothing is ever cut
            return Message(partition=each.partition, error_code=error, leader_epoch=each.leader_epoch, end_offset=end)

        return Message(
            topics=[
                Message(topic=t.topic, partitions=[one(t.topic, each) for each in t.partitions]) for t in request.topics
            ]
        )

    # -- the coordinator

    def _find_coordinator(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        address = self.address_of(self.coordinator_id)
        where = {"node_id": self.coordinator_id, "host": address.host, "port": address.port, "error_code": refused}
        keys = [Message(key=each, error_message=None, **where) for each in request.coordinator_keys]
        return Message(coordinators=keys, error_message=None, **where)

    def _coordinates(self, node_id: int, request: Message, refused: ErrorCode) -> ErrorCode:
        if node_id != self.coordinator_id:
            return ErrorCode.NOT_COORDINATOR
        if refused:
            return refused
        generation = getattr(request, "generation_id", getattr(request, "generation_id_or_member_epoch", -1))
        if request.member_id != self.member_id:
            return ErrorCode.UNKNOWN_MEMBER_ID
        return ErrorCode.NONE if generation == self.generation else ErrorCode.ILLEGAL_GENERATION

    def _join(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        if node_id != self.coordinator_id:
            return Message(error_code=ErrorCode.NOT_COORDINATOR, members=[])
        if refused:
            return Message(error_code=refused, members=[])
        if not request.member_id:
            self._member_count += 1
            return Message(error_code=ErrorCode.MEMBER_ID_REQUIRED, member_id=f"m{self._member_count}", members=[])
        self.member_id = request.member_id
        self.generation += 1
        chosen = request.protocols[0]
        member = Message(member_id=self.member_id, group_instance_id=None, metadata=chosen.metadata)
        return Message(
            error_code=ErrorCode.NONE,
            generation_id=self.generation,
            protocol_type="consumer",
            protocol_name=chosen.name,
            leader=self.member_id,
            member_id=self.member_id,
            members=[member],
        )

    def _sync(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        error = self._coordinates(node_id, request, refused)
        assignment = b"" if error else request.assignments[0].assignment
        return Message(error_code=error, protocol_type="consumer", protocol_name="range", assignment=assignment)

    def _heartbeat(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        return Message(error_code=self._coordinates(node_id, request, refused))

    def _leave(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        self.member_id = ""
        return Message(error_code=ErrorCode.NONE, members=[])

    def _commit(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        error = self._coordinates(node_id, request, refused)
        topics = []
        for topic in request.topics:
            name = topic.name or next(name for name, each in self.ids.items() if each == topic.topic_id)
            for each in topic.partitions:
                if not error:
                    self.committed[name, each.partition_index] = each.committed_offset
            told = [Message(partition_index=each.partition_index, error_code=error) for each in topic.partitions]
            topics.append(Message(name=topic.name, topic_id=topic.topic_id, partitions=told))
        return Message(topics=topics)

    def _committed(self, node_id: int, request: Message, refused: ErrorCode) -> Message:
        error = refused if node_id == self.coordinator_id else ErrorCode.NOT_COORDINATOR
        (group,) = request.groups

        def one(name: str, index: int) -> Message:
            offset = self.committed.get((name, index), -1)
            return Message(partition_index=index, committed_offset=offset, metadata="", error_code=ErrorCode.NONE)

        topics = []
        for topic in group.topics:
            name = topic.name or next(name for name, each in self.ids.items() if each == topic.topic_id)
            told = [one(name, index) for index in topic.partition_indexes]
            topics.append(Message(name=topic.name, topic_id=topic.topic_id, partitions=told))
        return Message(groups=[Message(group_id=group.group_id, topics=topics, error_code=error)])

"""Records by their offsets: where partitions begin and end, what lies at a time, deleting from the front."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ...protocol.apis import ApiKey
from ...protocol.errors import KafkaError
from ...protocol.messages import Message
from . import arguments
from .asking import AdminPart
from .placement import by_topic
from .values import ListedOffset, OffsetSpec, TopicPartition, refusal


class RecordsAdmin(AdminPart):
    """What an administrator does with a partition's records."""

    async def list_offsets(
        self, wanted: Mapping[TopicPartition, OffsetSpec | int]
    ) -> dict[TopicPartition, ListedOffset | KafkaError]:
        """For each partition the earliest or latest offset, or the first at or after a timestamp in ms."""
        times = {
            arguments.partition(each, "a partition of wanted"): arguments.number(time, f"the time of {each}", bits=64)
            for each, time in arguments.by_key(wanted, "wanted").items()
        }

        def request(partitions: Sequence[TopicPartition]) -> Message:
            topics = by_topic(
                (each, Message(partition_index=each.partition, current_leader_epoch=-1, timestamp=times[each]))
                for each in partitions
            )
            return Message(replica_id=-1, topics=topics, timeout_ms=self._asking.timeout_ms)

        def outcome(partition: Message) -> ListedOffset | KafkaError:
            return refusal(partition.error_code) or ListedOffset(
                partition.offset, partition.timestamp, partition.leader_epoch
            )

        answered = await self._asking.leaders(ApiKey.LIST_OFFSETS, times, request)
        return {
            partition: each if isinstance(each, KafkaError) else outcome(each) for partition, each in answered.items()
        }

    async def delete_records(self, before: Mapping[TopicPartition, int]) -> dict[TopicPartition, int | KafkaError]:
        """Delete the records before an offset (-1: all there are); answers the new log start offsets."""
        ends = {
            arguments.partition(each, "a partition of before"): arguments.number(end, f"the offset of {each}", bits=64)
            for each, end in arguments.by_key(before, "before").items()
        }

        def request(partitions: Sequence[TopicPartition]) -> Message:
            topics = by_topic((each, Message(partition_index=each.partition, offset=ends[each])) for each in partitions)
            return Message(topics=topics, timeout_ms=self._asking.timeout_ms)

        answered = await self._asking.leaders(ApiKey.DELETE_RECORDS, ends, request)
        return {
            partition: each if isinstance(each, KafkaError) else refusal(each.error_code) or int(each.low_watermark)
            for partition, each in answered.items()
        }

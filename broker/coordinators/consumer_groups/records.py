"""What the records of consumer groups in `__consumer_offsets` say; `record_format` has their bytes.

    type  key                        value, version 0
    3     group                      GroupEpoch            the group's epoch, and the hash of its topics
    4     group                      (4.0 and before)      topic metadata; read to be removed, never written
    5     group, member              Subscription          what a member told
    6     group                      TargetEpoch           the epoch of the target assignment, and when it was computed
    7     group, member              partitions            the member's target assignment
    8     group, member              Standing              the member's current assignment
    16    group, expression          Resolved              the topics that a regular expression matched

A record is one change of one key; without a value (a tombstone) the key is forgotten. So the state of a group is the
last value of each of its keys, and can be built from a compacted log. Within one decision the order is Kafka's: it
matters for tombstones only (a group's own goes last).

Kafka's class: `GroupCoordinatorRecordHelpers`.
"""

from __future__ import annotations

from ....protocol.values import dataclass
from .member import Partitions, Standing, Subscription
from .regex import Resolved


@dataclass(frozen=True, slots=True)
class GroupEpoch:
    epoch: int
    metadata_hash: int = 0


@dataclass(frozen=True, slots=True)
class TargetEpoch:
    """`computed_at_ms` is 0 when it is not known."""

    epoch: int
    computed_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class GroupEpochRecord:
    group_id: str
    value: GroupEpoch | None


@dataclass(frozen=True, slots=True)
class TopicMetadataRecord:
    """`value` says only whether the record is there."""

    group_id: str
    value: bytes | None


@dataclass(frozen=True, slots=True)
class SubscriptionRecord:
    group_id: str
    member_id: str
    value: Subscription | None


@dataclass(frozen=True, slots=True)
class TargetEpochRecord:
    group_id: str
    value: TargetEpoch | None


@dataclass(frozen=True, slots=True)
class TargetRecord:
    group_id: str
    member_id: str
    value: Partitions | None


@dataclass(frozen=True, slots=True)
class StandingRecord:
    group_id: str
    member_id: str
    value: Standing | None


@dataclass(frozen=True, slots=True)
class RegexRecord:
    group_id: str
    regex: str
    value: Resolved | None


ConsumerGroupRecord = (
    GroupEpochRecord
    | TopicMetadataRecord
    | SubscriptionRecord
    | TargetEpochRecord
    | TargetRecord
    | StandingRecord
    | RegexRecord
)

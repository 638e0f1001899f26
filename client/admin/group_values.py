"""Groups and their offsets as an administrator sees them."""

from __future__ import annotations

from ...protocol.values import dataclass
from .cluster_values import BrokerAddress
from .values import TopicPartition


@dataclass(frozen=True, slots=True)
class GroupListing:
    """A group, in short.  `type` is classic or consumer (share, streams), "" with brokers that do not tell."""

    id: str
    protocol_type: str
    state: str
    type: str


@dataclass(frozen=True, slots=True)
class GroupMember:
    """A member of a group and what it has to read.

    With the classic protocol `epoch`, `target` and `topics` are None.  `assignment` is None where it cannot be read:
    then the group is of another protocol type than consumers (Connect, for instance).
    """

    id: str
    instance_id: str | None
    client_id: str
    host: str
    assignment: tuple[TopicPartition, ...] | None
    epoch: int | None = None
    target: tuple[TopicPartition, ...] | None = None
    topics: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class GroupDescription:
    """A group, its members and its coordinator.  The two epochs are None with the classic protocol."""

    id: str
    type: str
    state: str
    protocol_type: str
    assignor: str
    members: tuple[GroupMember, ...]
    coordinator: BrokerAddress
    epoch: int | None = None
    assignment_epoch: int | None = None


@dataclass(frozen=True, slots=True)
class CommittedOffset:
    """Where a group goes on to read a partition.  `leader_epoch` is None where it was not told."""

    offset: int
    leader_epoch: int | None = None
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class RemovedMember:
    """A member to remove: a static one by its instance id, another by its member id."""

    member_id: str = ""
    instance_id: str | None = None

"""What a member of a consumer group does next: the common face of both group protocols.

A membership is a machine without I/O.  Its owner asks `step` what to do, does it, and tells the outcome; beside that it
asks `heartbeat`, which must go on while a step takes its time (a listener of the user's runs).

    step       Revoke(partitions)   stop handing them out, commit, call the listener   -> `revoked`
               Assign(added)        call the listener, begin to fetch                   -> `assigned`
               Ask(request)         send it to the group's coordinator                  -> `answered` or `failed`
               Lead(topics)         say how many partitions these topics have           -> `lead`
               Wait(until)          nothing to do until then, or until something is told
               Failed(error)        the group will not have this member: tell the user
    heartbeat  an Ask that is due, or None

All times are the loop's, in seconds.  `classic_membership` (JoinGroup, SyncGroup) and `new_membership` (KIP-848) are the
two machines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ...protocol.values import dataclass
from ..assignors.assignor import Assignor, Pair
from .offset_requests import Committer

NO_PARTITIONS: frozenset[Pair] = frozenset()


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """How to be a member.  The names are Kafka's."""

    group_id: str
    instance_id: str | None = None
    session_timeout_ms: int = 45_000
    rebalance_timeout_ms: int = 300_000
    heartbeat_interval_ms: int = 3_000
    rack: str | None = None
    assignors: Sequence[Assignor] = ()
    remote_assignor: str | None = None
    leaves_when_static: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A request for the coordinator; the generation or epoch it was made in tells late answers apart."""

    key: ApiKey
    request: Message
    generation: int
    member_id: str


@dataclass(frozen=True, slots=True)
class Revoke:
    """Take these away from the user; when `lost`, somebody else may own them already and nothing can be committed."""

    partitions: frozenset[Pair]
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Assign:
    """Give these to the user; empty when a rebalance brought nothing new."""

    added: frozenset[Pair]


@dataclass(frozen=True, slots=True)
class Lead:
    """This member divides the partitions of these topics among all members."""

    topics: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do before this time; None: before something is told."""

    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The group will not have this member."""

    error: KafkaError


Step = Ask | Revoke | Assign | Lead | Wait | Failed


class Membership(Protocol):
    """One member of one group."""

    @property
    def member_id(self) -> str: ...

    @property
    def generation(self) -> int:
        """The generation, or member epoch, to commit in; -1 outside of the group."""
        ...

    @property
    def owned(self) -> frozenset[Pair]: ...

    @property
    def is_stable(self) -> bool:
        """Whether the member has an assignment, and no rebalance that it knows of is under way."""
        ...

    def subscribe(self, topics: frozenset[str]) -> None:
        """What the member wants from now on; of a pattern, the topics that it matches."""
        ...

    def counts_changed(self, counts: Mapping[str, int]) -> None:
        """Metadata says how many partitions the topics have now."""
        ...

    def step(self, now_s: float) -> Step: ...

    def revoked(self, step: Revoke) -> None: ...

    def assigned(self, step: Assign) -> None: ...

    def lead(self, counts: Mapping[str, int]) -> None: ...

    def answered(self, ask: Ask, answer: Message, now_s: float) -> None: ...

    def failed(self, ask: Ask, now_s: float, retry_at_s: float) -> None:
        """No answer came, or the coordinator has moved: try again then."""
        ...

    def heartbeat(self, now_s: float) -> Ask | None: ...

    def next_heartbeat_s(self) -> float | None:
        """When the next one is due; None: none before something changes."""
        ...

    def commit_refused(self, code: ErrorCode, committer: Committer) -> None:
        """A commit in this name was refused, for the group does not know it: join anew, unless that is so already."""
        ...

    def leave(self) -> Ask | None:
        """Out of the group: what to say to it, if anything.  What was owned is given up without a Revoke."""
        ...


FATAL = frozenset(
    {
        ErrorCode.FENCED_INSTANCE_ID,
        ErrorCode.UNRELEASED_INSTANCE_ID,
        ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
        ErrorCode.INVALID_SESSION_TIMEOUT,
        ErrorCode.INVALID_GROUP_ID,
        ErrorCode.INVALID_REQUEST,
        ErrorCode.INVALID_REGULAR_EXPRESSION,
        ErrorCode.GROUP_AUTHORIZATION_FAILED,
        ErrorCode.TOPIC_AUTHORIZATION_FAILED,
        ErrorCode.GROUP_MAX_SIZE_REACHED,
        ErrorCode.UNSUPPORTED_VERSION,
        ErrorCode.UNSUPPORTED_ASSIGNOR,
        ErrorCode.UNKNOWN_SERVER_ERROR,
    }
)
"""Refusals that asking again does not change."""

_WHY = {
    ErrorCode.FENCED_INSTANCE_ID: "another consumer has joined with the same group_instance_id",
    ErrorCode.UNRELEASED_INSTANCE_ID: "another consumer with this group_instance_id is still a member",
    ErrorCode.INCONSISTENT_GROUP_PROTOCOL: "the other members know none of this consumer's assignors",
    ErrorCode.INVALID_SESSION_TIMEOUT: "the broker allows no such session_timeout_ms"
    " (group.min.session.timeout.ms, group.max.session.timeout.ms)",
    ErrorCode.GROUP_AUTHORIZATION_FAILED: "not authorized; its ACLs must allow this client to READ the group",
    ErrorCode.GROUP_MAX_SIZE_REACHED: "the group has as many members as the broker allows (group.max.size)",
}


def fatal(group_id: str, code: ErrorCode, detail: str | None = None) -> KafkaError:
    """The error that the user is told."""
    why = detail or _WHY.get(code, code.name)
    return KafkaError(code, f"group {group_id}: {why}")


def known(code: ErrorCode | int) -> ErrorCode:
    return code if isinstance(code, ErrorCode) else ErrorCode.UNKNOWN_SERVER_ERROR

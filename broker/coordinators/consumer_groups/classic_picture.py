"""A classic group as the two coordinators hand it to each other when a group changes its protocol."""

from __future__ import annotations

from ....protocol.values import dataclass


@dataclass(frozen=True, slots=True)
class ClassicMemberPicture:
    """A member of a classic group, as the two coordinators hand it to each other."""

    member_id: str
    instance_id: str | None
    client_id: str
    client_host: str
    rebalance_timeout_ms: int
    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]
    assignment: bytes


@dataclass(frozen=True, slots=True)
class ClassicGroupPicture:
    """A classic group with members. `protocol_name` is the one in use."""

    group_id: str
    generation: int
    protocol_type: str
    protocol_name: str
    members: tuple[ClassicMemberPicture, ...]


@dataclass(frozen=True, slots=True)
class Downgrade:
    """A consumer group as a classic group. The decision's records remove it, what `classic` becomes goes behind them.
    With `why` it is to be rebalanced at once.
    """

    classic: ClassicGroupPicture
    why: str | None

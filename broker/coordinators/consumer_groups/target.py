"""The target assignment: computed when the group's epoch has moved on, at most once in the group's assignment interval.

    members, as they will be --> assignor --> the difference to what was written: one record for each member that shall have
                                              something else, and the new assignment epoch behind them

All members count as they are with the change that is being decided: the one that joins is in, the one that a static member
replaces is out and leaves its share to it. Between two computations a group goes on with the target it has; whoever sends
the next heartbeat after the interval makes up for it. So a thousand members that join at once cost a computation for each
interval and not a thousand.

Kafka's class: `TargetAssignmentBuilder`, and `maybeUpdateTargetAssignment`.
"""

from __future__ import annotations

from uuid import UUID

from ....protocol.values import dataclass
from .assignors import ASSIGNORS, GroupSpec, MemberSpec
from .decision import Decision
from .member import NO_TARGET, ConsumerMember, Partitions
from .records import TargetEpoch, TargetEpochRecord, TargetRecord


@dataclass(frozen=True, slots=True)
class MemberTarget:
    """What one member shall have, as of this assignment epoch."""

    epoch: int
    partitions: Partitions


@dataclass(frozen=True, slots=True)
class Change:
    """The member that a decision is about, before and after; and the group's epoch with it."""

    before: ConsumerMember
    after: ConsumerMember
    group_epoch: int
    is_homogeneous: bool


def target_of(decision: Decision, change: Change) -> MemberTarget:
    """The member's target, computed anew if that is due; the records go to the decision."""
    group = decision.group
    if group.assignment_epoch >= change.group_epoch or not is_time(decision):
        return MemberTarget(group.assignment_epoch, group.target_of(change.after))
    default = decision.settings.default_assignor
    assignor = group.preferred_assignor(default, changing=change.before, to=change.after)
    spec = _spec(decision, change)
    targets = ASSIGNORS[assignor](spec)
    for member_id in spec.members:
        target = targets.get(member_id, NO_TARGET)
        if target != group.targets.get(member_id):
            decision.records.append(TargetRecord(group.group_id, member_id, target))
    decision.records.append(TargetEpochRecord(group.group_id, TargetEpoch(change.group_epoch, decision.now_ms)))
    return MemberTarget(change.group_epoch, targets.get(change.after.member_id, NO_TARGET))


def is_time(decision: Decision) -> bool:
    """Whether the assignment interval is over. One of 0 asks no clock: a way out when the wall clock was set back far."""
    computed_at_ms = decision.group.target_epoch.computed_at_ms
    interval_ms = decision.settings.times_of(decision.group_id).assignment_interval_ms
    return not computed_at_ms or not interval_ms or decision.now_ms >= computed_at_ms + interval_ms


def _spec(decision: Decision, change: Change) -> GroupSpec:
    group, after = decision.group, change.after
    members = dict(group.members)
    target_of = dict(group.targets)
    replaced_id = None if after.instance_id is None else group.static_ids.get(after.instance_id)
    if replaced_id is not None and replaced_id != after.member_id:
        del members[replaced_id]
        target_of[after.member_id] = target_of.get(replaced_id, NO_TARGET)
    members[after.member_id] = after
    ids = _TopicIds(decision)
    specs = {
        member_id: MemberSpec(each.instance_id, ids.of(each), target_of.get(member_id, NO_TARGET))
        for member_id, each in members.items()
    }
    counts = {topic: decision.topics.partition_count(topic) for spec in specs.values() for topic in spec.topics}
    return GroupSpec(specs, counts, change.is_homogeneous)


class _TopicIds:
    """Ids of subscribed topics; most members have the same subscription, so it is looked up once."""

    def __init__(self, decision: Decision) -> None:
        self._decision = decision
        self._found: dict[frozenset[str], frozenset[UUID]] = {}

    def of(self, member: ConsumerMember) -> frozenset[UUID]:
        names = self._decision.group.topics_of(member)
        found = self._found.get(names)
        if found is None:
            found = self._found[names] = frozenset(self._decision.topics.ids_of(names))
        return found

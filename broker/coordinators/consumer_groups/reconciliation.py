"""One step of a member towards its target assignment: first it gives up, then it gets.

                        owns nothing that it must give up
    STABLE --- target ---------------------------------------> next epoch: STABLE, or UNRELEASED_PARTITIONS
       \\                                                        while somebody else still owns some of it
        `--- must give up ---> UNREVOKED_PARTITIONS --- no longer reported ---^
                               (same epoch)

A member reports what it owns with a heartbeat; until a report lacks the partitions that it is to give up they are taken
to be its. A partition that another member owns, or is about to give up, is not granted: that alone keeps it from having
two owners at once, however late or lost answers are. A topic that the member is not subscribed to any more counts as not
in its target, whatever the target says.

Pure: standing, target and report in, standing out. Kafka's class: `CurrentAssignmentBuilder`.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from uuid import UUID

from ....protocol.errors import ErrorCode, KafkaError
from ....protocol.values import dataclass
from .group import NOT_OWNED
from .member import NOTHING, MemberState, Owned, Partitions, Standing

NO_PARTITIONS: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Goal:
    """Where the member shall go. `reported` is what it says it owns, None when it does not say. `owner_epoch` tells at
    which epoch a partition is owned. `has_new_subscription`: the standing must fit the subscription at once.
    """

    epoch: int
    target: Partitions
    subscribed: Set[UUID]
    reported: Partitions | None
    owner_epoch: Callable[[UUID, int], int]
    has_new_subscription: bool = False


def reconcile(standing: Standing, goal: Goal) -> Standing:
    """The member's next standing, the same object if nothing changes. KafkaError(FENCED_MEMBER_EPOCH)."""
    match standing.state:
        case MemberState.STABLE if standing.epoch != goal.epoch:
            return _advance(standing, goal, standing.epoch)
        case MemberState.STABLE:
            return _fit_subscription(standing, goal) if goal.has_new_subscription else standing
        case MemberState.UNREVOKED_PARTITIONS if _still_owns(standing.revoking, goal):
            return _fit_subscription(standing, goal) if goal.has_new_subscription else standing
        case MemberState.UNREVOKED_PARTITIONS | MemberState.UNRELEASED_PARTITIONS:
            return _advance(standing, goal, standing.epoch)
        case _:
            # Written by a later release: let the member begin from nothing.
            if goal.reported is None or goal.reported:
                raise KafkaError(
                    ErrorCode.FENCED_MEMBER_EPOCH,
                    "The consumer group member is in a unknown state. The member must abandon all its partitions and "
                    "rejoin.",
                )
            return _advance(standing, goal, goal.epoch)


def _still_owns(revoking: Owned, goal: Goal) -> bool:
    """A member that does not say what it owns is taken to own all."""
    if goal.reported is None:
        return True
    return any(not partitions.isdisjoint(revoking.get(topic, ())) for topic, partitions in goal.reported.items())


def _fit_subscription(standing: Standing, goal: Goal) -> Standing:
    """Topics that the member does not want any more are to be given up, whatever else is going on."""
    dropped = {topic: each for topic, each in standing.assigned.items() if topic not in goal.subscribed}
    if not dropped:
        return standing
    assigned = {topic: each for topic, each in standing.assigned.items() if topic in goal.subscribed}
    revoking = {topic: dict(each) for topic, each in standing.revoking.items()}
    for topic, partitions in dropped.items():
        revoking.setdefault(topic, {}).update(partitions)
    if _still_owns(revoking, goal):
        return standing.moved(standing.epoch, MemberState.UNREVOKED_PARTITIONS, assigned, revoking)
    # They are given up already.
    return standing.moved(standing.epoch, standing.state, assigned, standing.revoking)


def _advance(standing: Standing, goal: Goal, epoch: int) -> Standing:
    kept: dict[UUID, dict[int, int]] = {}
    revoking: dict[UUID, dict[int, int]] = {}
    granted: dict[UUID, set[int]] = {}
    is_waiting = False
    for topic in {**goal.target, **standing.assigned}:
        target = goal.target.get(topic, NO_PARTITIONS) if topic in goal.subscribed else NO_PARTITIONS
        current = standing.assigned.get(topic, {})
        kept[topic] = {partition: since for partition, since in current.items() if partition in target}
        revoking[topic] = {partition: since for partition, since in current.items() if partition not in target}
        missing = target - kept[topic].keys()
        granted[topic] = {each for each in missing if _is_free(topic, each, standing, goal)}
        is_waiting = is_waiting or len(granted[topic]) < len(missing)
    revoking = {topic: each for topic, each in revoking.items() if each}
    if revoking and _still_owns(revoking, goal):
        return standing.moved(epoch, MemberState.UNREVOKED_PARTITIONS, _with_partitions(kept), revoking)
    for topic, partitions in granted.items():
        kept[topic].update(dict.fromkeys(sorted(partitions), goal.epoch))
    state = MemberState.UNRELEASED_PARTITIONS if is_waiting else MemberState.STABLE
    return standing.moved(goal.epoch, state, _with_partitions(kept))


def _with_partitions(owned: dict[UUID, dict[int, int]]) -> Owned:
    return {topic: each for topic, each in owned.items() if each} or NOTHING


def _is_free(topic: UUID, partition: int, standing: Standing, goal: Goal) -> bool:
    """Nobody owns it, or it is this member itself that has just given it up."""
    return goal.owner_epoch(topic, partition) == NOT_OWNED or partition in standing.revoking.get(topic, {})

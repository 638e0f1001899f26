"""Online migration (KIP-848): a group changes its protocol while members of it work on.

    upgrade     a member of the new protocol joins a classic group of consumers: its members become classic members of a
                consumer group, each with the assignment it has; they learn of it by nothing but another rebalance
    downgrade   the last member of the new protocol goes, or is replaced by a classic one: the others are a classic group
                again, with the target assignment as theirs

A conversion is written in one batch: the tombstones of what the group was, the records of what it is. So a crash leaves
one or the other. An empty group changes without ado: its records are removed, nothing is kept but its offsets.

The groups that cannot be converted are refused with GROUP_ID_NOT_FOUND to the joining member, and go on as they are. Kafka's
methods: `convertToConsumerGroup`, `ConsumerGroup.fromClassicGroup`, `convertToClassicGroup`,
`ClassicGroup.fromConsumerGroup`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from uuid import UUID

from ....protocol.consumer_protocol import (
    PROTOCOL_TYPE,
    Assignment,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    version_of,
)
from ....protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ....protocol.values import dataclass
from .classic_picture import ClassicGroupPicture, ClassicMemberPicture, Downgrade
from .decision import Decision, TimerChange, TimerKind
from .group import ConsumerGroup
from .member import NO_TARGET, ClassicMember, ConsumerMember, Partitions, Standing, Subscription, with_epoch
from .records import (
    ConsumerGroupRecord,
    GroupEpoch,
    GroupEpochRecord,
    RegexRecord,
    StandingRecord,
    SubscriptionRecord,
    TargetEpoch,
    TargetEpochRecord,
    TargetRecord,
    TopicMetadataRecord,
)
from .settings import ConsumerGroupSettings
from .topic_image import TopicImage


@dataclass(frozen=True, slots=True)
class Upgrade:
    """A classic group as a consumer group: its records (in front of which the classic group's tombstone goes), the group
    that they make, and the sessions to start.
    """

    group: ConsumerGroup
    records: tuple[ConsumerGroupRecord, ...]
    timers: tuple[TimerChange, ...]


# --- from classic


def upgrade(classic: ClassicGroupPicture, topics: TopicImage, settings: ConsumerGroupSettings) -> Upgrade:
    """KafkaError(GROUP_ID_NOT_FOUND) when the group must stay what it is."""
    why_not = _why_not(classic, settings)
    if why_not is not None:
        raise _not_upgraded(classic.group_id, why_not)
    try:
        members = [_consumer_member(classic, each, topics) for each in classic.members]
    except MalformedMessage:
        raise _not_upgraded(classic.group_id, "the embedded consumer protocol is malformed") from None
    _check_sole_owners(classic.group_id, members)
    records = _group_records(classic, members, topics)
    group = ConsumerGroup(classic.group_id)
    for record in records:
        group.apply(record)
    timers = tuple(TimerChange(TimerKind.SESSION, each.member_id, each.session_timeout_ms) for each in classic.members)
    return Upgrade(group, tuple(records), timers)


def _why_not(classic: ClassicGroupPicture, settings: ConsumerGroupSettings) -> str | None:
    if not settings.migration.allows_upgrade:
        return "online upgrade is disabled"
    if classic.protocol_type != PROTOCOL_TYPE:
        return "the group does not use the consumer embedded protocol"
    if len(classic.members) > settings.max_size:
        return "the group size exceeds the consumer group maximum size"
    return None


def _not_upgraded(group_id: str, why: str) -> KafkaError:
    message = f"Cannot upgrade classic group {group_id} to consumer group because {why}."
    return KafkaError(ErrorCode.GROUP_ID_NOT_FOUND, message)


def _consumer_member(classic: ClassicGroupPicture, member: ClassicMemberPicture, topics: TopicImage) -> ConsumerMember:
    assignment = decode_assignment(member.assignment)
    if assignment.user_data:
        raise _not_upgraded(
            classic.group_id,
            "an unsupported custom assignor is in use. Please refer to the documentation or switch to a default assignor "
            "before re-attempting the upgrade",
        )
    subscription = decode_subscription(dict(member.protocols)[classic.protocol_name])
    ids = {topics.id_of(name): frozenset(indexes) for name, indexes in assignment.partitions.items()}
    owned: Partitions = {topic_id: partitions for topic_id, partitions in ids.items() if topic_id is not None}
    epoch = classic.generation
    return ConsumerMember(
        member.member_id,
        Subscription(
            instance_id=member.instance_id,
            rack_id=subscription.rack or None,
            client_id=member.client_id,
            client_host=member.client_host,
            topics=frozenset(subscription.topics),
            rebalance_timeout_ms=member.rebalance_timeout_ms,
            classic=ClassicMember(member.session_timeout_ms, member.protocols),
        ),
        Standing(epoch, epoch, assigned=with_epoch(owned, epoch)),
    )


def _check_sole_owners(group_id: str, members: Sequence[ConsumerMember]) -> None:
    """A classic group's leader may have given a partition to two members; nobody checks it there."""
    owners: Counter[tuple[UUID, int]] = Counter(
        (topic_id, partition)
        for member in members
        for topic_id, partitions in member.standing.assigned.items()
        for partition in partitions
    )
    if any(count > 1 for count in owners.values()):
        raise _not_upgraded(group_id, "a partition is assigned to several of its members")


def _group_records(
    classic: ClassicGroupPicture, members: Sequence[ConsumerMember], topics: TopicImage
) -> list[ConsumerGroupRecord]:
    group_id, epoch = classic.group_id, classic.generation
    wanted = {name for member in members for name in member.subscription.topics}
    records: list[ConsumerGroupRecord] = []
    records += [SubscriptionRecord(group_id, each.member_id, each.subscription) for each in members]
    records.append(GroupEpochRecord(group_id, GroupEpoch(epoch, topics.hash_of(wanted))))
    for each in members:
        target = {topic_id: frozenset(partitions) for topic_id, partitions in each.standing.assigned.items()}
        records.append(TargetRecord(group_id, each.member_id, target))
    records.append(TargetEpochRecord(group_id, TargetEpoch(epoch)))
    records += [StandingRecord(group_id, each.member_id, each.standing) for each in members]
    return records


# --- to classic


def may_downgrade(decision: Decision, *, without: Sequence[ConsumerMember]) -> bool:
    """Whether these are the last members of the new protocol in a group that may become classic."""
    group, settings = decision.group, decision.settings
    classic_left = group.classic_count - sum(each.is_classic for each in without)
    left = len(group.members) - len(without)
    return (
        classic_left == left and left > 0 and settings.migration.allows_downgrade and left <= settings.classic_max_size
    )


def may_downgrade_by_replacing(decision: Decision, former: ConsumerMember) -> bool:
    """Whether the static member that a classic one replaces is the last of the new protocol."""
    group, settings = decision.group, decision.settings
    return (
        not former.is_classic
        and group.classic_count == len(group.members) - 1
        and settings.migration.allows_downgrade
        and len(group.members) <= settings.classic_max_size
    )


def downgrade(decision: Decision, *, without: Sequence[ConsumerMember]) -> None:
    """The group without these members, as a classic group that is to be rebalanced."""
    group = decision.group
    decision.records.extend(tombstones(group))
    _cancel_timers(decision)
    gone = {each.member_id for each in without}
    members = {each.member_id: each for each in group.members.values() if each.member_id not in gone}
    targets = {member_id: group.targets.get(member_id, NO_TARGET) for member_id in members}
    picture = _classic_picture(decision, list(members.values()), targets, group.epoch)
    decision.downgrade = Downgrade(
        picture, f"Downgrade group {group.group_id} from consumer to classic for member leaving."
    )


def downgrade_by_replacing(decision: Decision, former: ConsumerMember, joining: ConsumerMember, *, epoch: int) -> None:
    """The group with the classic member `joining` in the place of `former`, whose replacement is among the decision's
    records already. It is rebalanced when the target assignment is behind `epoch`.
    """
    group = decision.group
    decision.records.extend(tombstones(group, instead={former.member_id: joining.member_id}))
    _cancel_timers(decision)
    members = [each for each in group.members.values() if each.member_id != former.member_id]
    targets = {each.member_id: group.targets.get(each.member_id, NO_TARGET) for each in members}
    targets[joining.member_id] = group.targets.get(former.member_id, NO_TARGET)
    picture = _classic_picture(decision, [*members, joining], targets, group.epoch)
    is_behind = group.assignment_epoch < epoch
    why = f"Downgrade group {group.group_id} from consumer to classic with stale assignment." if is_behind else None
    decision.downgrade = Downgrade(picture, why)


def _cancel_timers(decision: Decision) -> None:
    for member_id in decision.group.members:
        decision.cancel_timers(member_id)


def _classic_picture(
    decision: Decision, members: Sequence[ConsumerMember], targets: dict[str, Partitions], epoch: int
) -> ClassicGroupPicture:
    protocol_name = _choose_protocol(members)
    return ClassicGroupPicture(
        decision.group_id,
        epoch,
        PROTOCOL_TYPE,
        protocol_name,
        tuple(_classic_member(decision.topics, each, targets[each.member_id], protocol_name) for each in members),
    )


def _choose_protocol(members: Sequence[ConsumerMember]) -> str:
    """As in a classic group: the one most members put first, of those that all of them have."""
    offers = [[name for name, _ in _classic_of(each).protocols] for each in members]
    common = set(offers[0]).intersection(*offers[1:])
    votes = Counter(next(name for name in each if name in common) for each in offers)
    return votes.most_common(1)[0][0]


def _classic_of(member: ConsumerMember) -> ClassicMember:
    assert member.subscription.classic is not None
    return member.subscription.classic


def _classic_member(
    topics: TopicImage, member: ConsumerMember, target: Partitions, protocol_name: str
) -> ClassicMemberPicture:
    classic, subscription = _classic_of(member), member.subscription
    return ClassicMemberPicture(
        member.member_id,
        subscription.instance_id,
        subscription.client_id,
        subscription.client_host,
        subscription.rebalance_timeout_ms,
        classic.session_timeout_ms,
        classic.protocols,
        assignment_for(topics, target, like=dict(classic.protocols)[protocol_name]),
    )


def assignment_for(topics: TopicImage, target: Partitions, *, like: bytes) -> bytes:
    """What a classic member is told: the partitions of topics that exist, in the version of its subscription `like`."""
    named = {topics.name_of(topic_id): tuple(sorted(partitions)) for topic_id, partitions in target.items()}
    assignment = Assignment({name: partitions for name, partitions in named.items() if name is not None})
    return encode_assignment(assignment, version_of(like))


# --- the end of a consumer group


def tombstones(group: ConsumerGroup, *, instead: dict[str, str] | None = None) -> list[ConsumerGroupRecord]:
    """What removes the group; `instead` gives members another id, under which they were just written."""
    group_id = group.group_id
    ids = [(instead or {}).get(member_id, member_id) for member_id in group.members]
    records: list[ConsumerGroupRecord] = []
    records += [StandingRecord(group_id, member_id, None) for member_id in ids]
    records += [TargetRecord(group_id, member_id, None) for member_id in ids]
    records.append(TargetEpochRecord(group_id, None))
    records += [SubscriptionRecord(group_id, member_id, None) for member_id in ids]
    records += [RegexRecord(group_id, regex, None) for regex in group.resolved]
    records.append(TopicMetadataRecord(group_id, None))
    records.append(GroupEpochRecord(group_id, None))
    return records

"""A member of a classic group: joins, is told its generation, leads if it must, syncs, and shows that it lives.

    OUTSIDE ──Join──► JOINING ──answered──► (LEADING ──lead──►) SYNCING ──answered──► RECONCILING ──► STABLE
       ▲                                                                                              │
       └────────────── a rebalance, a new subscription, more partitions: join again ◄────────────────┘

*Eager*: everything owned is revoked before the Join.  *Cooperative* (all assignors must be, KIP-429): what is owned
stays with the member while it joins; only what the new assignment takes away is revoked, after the Sync, and then the
member joins once more so that others may have it.

`owned` is what the user has; it changes only by `revoked` and `assigned`.  A member that the coordinator does not know
any more has *lost* what it owned: a Revoke says so, and nothing of it can be committed.

An answer to a request of another generation or member id than the present one is not believed.
Corresponds to Java's `ConsumerCoordinator` and `AbstractCoordinator`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto

from ...protocol.apis import ApiKey
from ...protocol.consumer_protocol import (
    PROTOCOL_TYPE,
    Assignment,
    Subscription,
    by_topic,
    decode_assignment,
    decode_subscription,
    encode_assignment,
    encode_subscription,
)
from ...protocol.errors import ErrorCode, KafkaError, MalformedMessage
from ...protocol.messages import Message
from ..assignors.assignor import Assignor, GroupMember, Owned, Pair
from .membership import (
    FATAL,
    NO_PARTITIONS,
    Ask,
    Assign,
    Failed,
    GroupSettings,
    Lead,
    Revoke,
    Step,
    Wait,
    fatal,
    known,
)
from .offset_requests import Committer

_NO_GENERATION = -1
_UNKNOWN_TO_THE_GROUP = frozenset({ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION})


class _Phase(Enum):
    OUTSIDE = auto()
    JOINING = auto()
    LEADING = auto()
    SYNCING = auto()
    RECONCILING = auto()
    STABLE = auto()


class ClassicMembership:
    """One member of one classic group; `Membership` says who calls what."""

    def __init__(self, settings: GroupSettings) -> None:
        assert settings.assignors, "a member proposes at least one assignor"
        self._settings = settings
        self._is_cooperative = all(each.is_cooperative for each in settings.assignors)
        self._topics: frozenset[str] = frozenset()
        self._phase = _Phase.OUTSIDE
        self._needs_join = True
        self._must_lose = False
        self._retry_at_s: float | None = None
        self._asked: Ask | None = None  # a Join or Sync on its way
        self._members: tuple[Message, ...] = ()  # while leading
        self._assignor: Assignor | None = None
        self._led: Mapping[str, int] | None = None  # partition counts that this member divided, as a leader
        self._assignments: list[Message] = []
        self._target: frozenset[Pair] = NO_PARTITIONS
        self._error: KafkaError | None = None
        self._next_heartbeat_s: float | None = None
        self._heartbeat_sent = False
        self._previous = Owned()
        self.member_id = ""
        self.generation = _NO_GENERATION
        self.owned: frozenset[Pair] = NO_PARTITIONS

    # -- what it is told from this side

    @property
    def is_stable(self) -> bool:
        return self._phase is _Phase.STABLE and not self._needs_join

    @property
    def is_leader(self) -> bool:
        return self._led is not None

    def subscribe(self, topics: frozenset[str]) -> None:
        if topics != self._topics:
            self._topics = topics
            self._needs_join = True

    def counts_changed(self, counts: Mapping[str, int]) -> None:
        """A leader divides anew when topics have got or lost partitions."""
        if self._led is not None and any(counts.get(topic, 0) != count for topic, count in self._led.items()):
            self._needs_join = True
            self._led = None

    def commit_refused(self, code: ErrorCode, committer: Committer) -> None:
        """A commit and a rebalance may pass each other on the way: whose generation is over, or who is joining, is no stranger.

        Who came with a new id then would leave its old one in the group, for which the others wait to the end of its session.
        """
        is_at_present = (committer.generation, committer.member_id) == (self.generation, self.member_id)
        if is_at_present and self._asked is None:
            self._forget_membership(keep_id=code is ErrorCode.ILLEGAL_GENERATION)

    # -- what to do next

    def step(self, now_s: float) -> Step:
        if self._error is not None:
            return Failed(self._error)
        if self._must_lose:
            return Revoke(self.owned, lost=True)
        if self._asked is not None:
            return Wait()
        if self._retry_at_s is not None and now_s < self._retry_at_s:
            return Wait(self._retry_at_s)
        match self._phase:
            case _Phase.OUTSIDE | _Phase.STABLE:
                return self._join() if self._needs_join and self._topics else Wait()
            case _Phase.LEADING:
                return Lead(frozenset(self._topics_of_all()))
            case _Phase.SYNCING:
                return self._ask(ApiKey.SYNC_GROUP, self._sync_request())
            case _Phase.RECONCILING:
                taken = self.owned - self._target
                return Revoke(taken) if taken else Assign(self._target - self.owned)
        raise AssertionError(f"nothing to do while {self._phase.name}")

    def _join(self) -> Step:
        unwanted = self.owned
        if self._is_cooperative:
            unwanted = frozenset(pair for pair in self.owned if pair[0] not in self._topics)
        if unwanted:
            return Revoke(unwanted)
        self._phase = _Phase.JOINING
        self._needs_join = False
        return self._ask(ApiKey.JOIN_GROUP, self._join_request())

    def revoked(self, step: Revoke) -> None:
        self.owned -= step.partitions
        if step.lost:
            self._must_lose = False
        elif self._phase is _Phase.RECONCILING:
            self._needs_join = True  # others wait for what was given up

    def assigned(self, step: Assign) -> None:
        self.owned |= step.added
        if self._phase is _Phase.RECONCILING:
            self._phase = _Phase.STABLE

    # -- requests and their answers

    def _ask(self, key: ApiKey, request: Message) -> Ask:
        self._retry_at_s = None
        self._asked = Ask(key, request, self.generation, self.member_id)
        return self._asked

    def answered(self, ask: Ask, answer: Message, now_s: float) -> None:
        if ask.key is ApiKey.HEARTBEAT:
            self._heartbeat_answered(ask, known(answer.error_code))
            return
        if ask is not self._asked:
            return
        self._asked = None
        code = known(answer.error_code)
        if code is not ErrorCode.NONE:
            self._refused(code, answer, now_s)
        elif ask.key is ApiKey.JOIN_GROUP:
            self._joined(answer, now_s)
        else:
            self._synced(answer)

    def failed(self, ask: Ask, now_s: float, retry_at_s: float) -> None:
        if ask.key is ApiKey.HEARTBEAT:
            self._heartbeat_sent = False
            self._next_heartbeat_s = retry_at_s
            return
        if ask is not self._asked:
            return
        self._asked = None
        self._retry_at_s = retry_at_s
        self._join_again()

    def _join_again(self) -> None:
        self._phase = _Phase.OUTSIDE
        self._needs_join = True
        self._led = None

    def _refused(self, code: ErrorCode, answer: Message, now_s: float) -> None:
        if code in FATAL:
            self._error = fatal(self._settings.group_id, code)
        elif code is ErrorCode.MEMBER_ID_REQUIRED:
            self.member_id = answer.member_id
        elif code in _UNKNOWN_TO_THE_GROUP:
            self._forget_membership(keep_id=code is ErrorCode.ILLEGAL_GENERATION)
        elif code is not ErrorCode.REBALANCE_IN_PROGRESS:  # the coordinator is loading, or not there
            self._retry_at_s = now_s + self._settings.heartbeat_interval_ms / 10_000
        self._join_again()

    def _forget_membership(self, *, keep_id: bool) -> None:
        """The group goes on without this member, and others may have what it owned."""
        if not keep_id:
            self.member_id = ""
        self.generation = _NO_GENERATION
        self._asked = None
        self._heartbeat_sent = False
        self._next_heartbeat_s = None
        self._must_lose = bool(self.owned)
        self._join_again()

    def _joined(self, answer: Message, now_s: float) -> None:
        chosen = next((each for each in self._settings.assignors if each.name == answer.protocol_name), None)
        if chosen is None:
            self._error = fatal(
                self._settings.group_id,
                ErrorCode.INCONSISTENT_GROUP_PROTOCOL,
                f"the coordinator chose {answer.protocol_name!r}, which this consumer did not propose",
            )
            return
        self.member_id, self.generation, self._assignor = answer.member_id, answer.generation_id, chosen
        self._assignments = []
        self._next_heartbeat_s = now_s + self._settings.heartbeat_interval_ms / 1000
        self._heartbeat_sent = False
        leads = answer.leader == answer.member_id and bool(answer.members)
        self._members = tuple(answer.members) if leads else ()
        # A static leader that came back is told to leave the assignment as it is (KIP-814).
        self._phase = _Phase.LEADING if leads and not answer.skip_assignment else _Phase.SYNCING
        self._led = {} if leads else None

    def _topics_of_all(self) -> set[str]:
        return {topic for each in self._group_members() for topic in each.topics}

    def _group_members(self) -> list[GroupMember]:
        return [_group_member(each) for each in self._members]

    def lead(self, counts: Mapping[str, int]) -> None:
        """Divide the partitions; `counts` has the topics that exist."""
        assert self._assignor is not None, "leads without an assignor"
        members = self._group_members()
        divided = self._assignor.assign(counts, members)
        self._led = {topic: counts.get(topic, 0) for each in members for topic in each.topics}
        self._assignments = [
            Message(member_id=member_id, assignment=encode_assignment(Assignment(by_topic(pairs))))
            for member_id, pairs in divided.items()
        ]
        self._phase = _Phase.SYNCING

    def _synced(self, answer: Message) -> None:
        try:
            assignment = decode_assignment(answer.assignment)
        except MalformedMessage as error:
            code = ErrorCode.INCONSISTENT_GROUP_PROTOCOL
            self._error = fatal(self._settings.group_id, code, f"the leader's assignment cannot be read: {error}")
            return
        self._target = frozenset((topic, each) for topic, indexes in assignment.partitions.items() for each in indexes)
        self._previous = Owned(self._target, self.generation)
        self._phase = _Phase.RECONCILING

    # -- heartbeats

    def next_heartbeat_s(self) -> float | None:
        """While a Join is on its way the coordinator knows that this member lives."""
        joining = self._phase in (_Phase.JOINING, _Phase.SYNCING) and self._asked is not None
        return None if joining or self._heartbeat_sent or self.generation < 0 else self._next_heartbeat_s

    def heartbeat(self, now_s: float) -> Ask | None:
        due_s = self.next_heartbeat_s()
        if due_s is None or now_s < due_s:
            return None
        self._heartbeat_sent = True
        self._next_heartbeat_s = now_s + self._settings.heartbeat_interval_ms / 1000
        request = Message(
            group_id=self._settings.group_id,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self._settings.instance_id,
        )
        return Ask(ApiKey.HEARTBEAT, request, self.generation, self.member_id)

    def _heartbeat_answered(self, ask: Ask, code: ErrorCode) -> None:
        self._heartbeat_sent = False
        if (ask.generation, ask.member_id) != (self.generation, self.member_id):
            return
        if code is ErrorCode.REBALANCE_IN_PROGRESS:
            self._needs_join = self._needs_join or self._phase is _Phase.STABLE
        elif code in _UNKNOWN_TO_THE_GROUP:
            self._forget_membership(keep_id=code is ErrorCode.ILLEGAL_GENERATION)
        elif code in FATAL:
            self._error = fatal(self._settings.group_id, code)

    # -- the end

    def leave(self) -> Ask | None:
        """A static member stays in the group until its session ends, so that it may come back to what it had."""
        member_id, generation = self.member_id, self.generation
        was_static = self._settings.instance_id is not None and not self._settings.leaves_when_static
        self._forget_membership(keep_id=False)
        self.owned, self._must_lose = NO_PARTITIONS, False
        if not member_id or was_static:
            return None
        leaving = Message(
            member_id=member_id, group_instance_id=self._settings.instance_id, reason="the consumer is being closed"
        )
        request = Message(group_id=self._settings.group_id, member_id=member_id, members=[leaving])
        return Ask(ApiKey.LEAVE_GROUP, request, generation, member_id)

    # -- what requests say

    def _join_request(self) -> Message:
        protocols = [Message(name=each.name, metadata=self._metadata(each)) for each in self._settings.assignors]
        return Message(
            group_id=self._settings.group_id,
            session_timeout_ms=self._settings.session_timeout_ms,
            rebalance_timeout_ms=self._settings.rebalance_timeout_ms,
            member_id=self.member_id,
            group_instance_id=self._settings.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocols=protocols,
            reason="",
        )

    def _metadata(self, assignor: Assignor) -> bytes:
        subscription = Subscription(
            topics=tuple(sorted(self._topics)),
            user_data=assignor.user_data(self._previous),
            owned=by_topic(sorted(self.owned)),
            generation=self._previous.generation,
            rack=self._settings.rack,
        )
        return encode_subscription(subscription)

    def _sync_request(self) -> Message:
        assert self._assignor is not None, "syncs without an assignor"
        return Message(
            group_id=self._settings.group_id,
            generation_id=self.generation,
            member_id=self.member_id,
            group_instance_id=self._settings.instance_id,
            protocol_type=PROTOCOL_TYPE,
            protocol_name=self._assignor.name,
            assignments=self._assignments,
        )


def _group_member(member: Message) -> GroupMember:
    """A member as the leader sees it; one that cannot be read wants nothing, for the others must go on."""
    try:
        subscription = decode_subscription(member.metadata)
    except MalformedMessage:
        return GroupMember(member.member_id, frozenset(), member.group_instance_id)
    pairs = frozenset((topic, each) for topic, indexes in subscription.owned.items() for each in indexes)
    return GroupMember(
        member.member_id,
        frozenset(subscription.topics),
        member.group_instance_id,
        Owned(pairs, subscription.generation),
        subscription.user_data,
    )

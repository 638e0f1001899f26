"""A member of a group by the new protocol (KIP-848): the coordinator divides, one request does everything.

    OUTSIDE ──heartbeat, epoch 0──► MEMBER ──heartbeats: "I own these, the epoch is n"──► ...
                                      │
       a heartbeat's answer has a new target: Revoke what is not in it, say so, Assign what is new, say so

The heartbeat carries what changed since the last one that was answered: the subscription, what is owned.  A member owns
a partition until its listener has let go of it; only then is the coordinator told, and gives it to another.

The member's epoch rises with the coordinator's.  A member that is *fenced* (its epoch is not the coordinator's, or the
coordinator does not know it) has lost what it owned, and joins anew with the same id.

Corresponds to Java's `ConsumerMembershipManager` and `ConsumerHeartbeatRequestManager`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from ...protocol.apis import ApiKey
from ...protocol.errors import ErrorCode, KafkaError
from ...protocol.messages import Message
from ..assignors.assignor import Pair
from .membership import (
    FATAL,
    NO_PARTITIONS,
    Ask,
    Assign,
    Failed,
    GroupSettings,
    Revoke,
    Step,
    Wait,
    fatal,
    known,
)
from .offset_requests import Committer

_JOIN_EPOCH, _LEAVE_EPOCH, _LEAVE_STATIC_EPOCH = 0, -1, -2
_FENCED = frozenset({ErrorCode.FENCED_MEMBER_EPOCH, ErrorCode.UNKNOWN_MEMBER_ID})

TopicOf = Callable[[UUID], str | None]
IdOf = Callable[[str], UUID | None]


class NewMembership:
    """One member of one group; `Membership` says who calls what.  `member_id` is chosen by the client, for good."""

    def __init__(self, settings: GroupSettings, member_id: str, *, topic_of: TopicOf, id_of: IdOf) -> None:
        """`topic_of` and `id_of` look into metadata; what they do not know yet is asked for by whoever owns them."""
        self._settings = settings
        self._topic_of = topic_of
        self._id_of = id_of
        self._topics: frozenset[str] = frozenset()
        self._told_topics: frozenset[str] | None = None
        self._told_owned: frozenset[Pair] | None = None
        self._target_ids: tuple[tuple[UUID, int], ...] | None = None
        self._is_member = False
        self._is_leaving = False
        self._must_lose = False
        self._asked: Ask | None = None
        self._interval_s = settings.heartbeat_interval_ms / 1000
        self._next_heartbeat_s = 0.0
        self._retry_at_s = 0.0
        self._error: KafkaError | None = None
        self._epoch = _JOIN_EPOCH
        self._is_reconciled = False
        self.member_id = member_id
        self.owned: frozenset[Pair] = NO_PARTITIONS

    @property
    def generation(self) -> int:
        return self._epoch if self._is_member else -1

    @property
    def is_stable(self) -> bool:
        return self._is_member and self._is_reconciled

    def subscribe(self, topics: frozenset[str]) -> None:
        self._topics = topics

    def counts_changed(self, counts: Mapping[str, int]) -> None:
        """The coordinator sees by itself when topics grow."""

    def lead(self, counts: Mapping[str, int]) -> None:
        raise AssertionError("the coordinator divides")

    def commit_refused(self, code: ErrorCode, committer: Committer) -> None:
        if (committer.generation, committer.member_id) == (self.generation, self.member_id):
            self._fence()

    def _fence(self) -> None:
        self._is_member = False
        self._epoch = _JOIN_EPOCH
        self._asked = None
        self._told_topics = self._told_owned = self._target_ids = None
        self._is_reconciled = False
        self._must_lose = bool(self.owned)
        self._next_heartbeat_s = self._retry_at_s

    # -- what to do next

    def step(self, now_s: float) -> Step:
        if self._error is not None:
            return Failed(self._error)
        if self._must_lose:
            return Revoke(self.owned, lost=True)
        target = self._target()
        if target is None or self._is_reconciled:
            return Wait()
        taken, added = self.owned - target, target - self.owned
        if taken:
            return Revoke(taken)
        return Wait() if not added and self.unknown_topic_ids() else Assign(added)

    def unknown_topic_ids(self) -> frozenset[UUID]:
        """Topics of the target of which metadata does not have the name yet."""
        return frozenset(each for each, _ in self._target_ids or () if self._topic_of(each) is None)

    def _target(self) -> frozenset[Pair] | None:
        """What the coordinator wants this member to own; without topics whose names are still to be learned."""
        if self._target_ids is None:
            return None
        named = ((self._topic_of(topic_id), partition) for topic_id, partition in self._target_ids)
        return frozenset((topic, partition) for topic, partition in named if topic is not None)

    def revoked(self, step: Revoke) -> None:
        self.owned -= step.partitions
        self._must_lose = self._must_lose and not step.lost
        self._next_heartbeat_s = 0.0  # others wait for what was given up

    def assigned(self, step: Assign) -> None:
        self.owned |= step.added
        self._is_reconciled = self.owned == self._target() and not self.unknown_topic_ids()
        self._next_heartbeat_s = 0.0

    # -- heartbeats

    def next_heartbeat_s(self) -> float | None:
        if self._asked is not None or self._error is not None or self._must_lose:
            return None
        if not (self._topics or self._is_member):
            return None
        if self._told_topics != self._topics:
            return self._retry_at_s
        return max(self._next_heartbeat_s, self._retry_at_s)

    def heartbeat(self, now_s: float) -> Ask | None:
        due_s = self.next_heartbeat_s()
        if due_s is None or now_s < due_s:
            return None
        self._asked = Ask(ApiKey.CONSUMER_GROUP_HEARTBEAT, self._request(), self._epoch, self.member_id)
        self._next_heartbeat_s = now_s + self._interval_s
        return self._asked

    def answered(self, ask: Ask, answer: Message, now_s: float) -> None:
        if ask is not self._asked:
            return
        self._asked = None
        code = known(answer.error_code)
        if code in _FENCED:
            self._fence()
        elif code in FATAL:
            self._error = fatal(self._settings.group_id, code, answer.error_message)
        elif code is not ErrorCode.NONE:  # the coordinator is loading, or not there
            self._tell_again_at(now_s + self._interval_s / 10)
        else:
            self._accepted(answer, now_s)

    def failed(self, ask: Ask, now_s: float, retry_at_s: float) -> None:
        if ask is self._asked:
            self._asked = None
            self._tell_again_at(retry_at_s)

    def _tell_again_at(self, retry_at_s: float) -> None:
        """It is not known what the coordinator heard: tell it everything again."""
        self._retry_at_s = self._next_heartbeat_s = retry_at_s
        self._told_topics = self._told_owned = None

    def _accepted(self, answer: Message, now_s: float) -> None:
        self._is_member = True
        self._epoch = answer.member_epoch
        self.member_id = answer.member_id or self.member_id
        self._interval_s = answer.heartbeat_interval_ms / 1000
        self._next_heartbeat_s = now_s + self._interval_s
        if answer.assignment is not None:
            self._target_ids = tuple(
                (each.topic_id, partition)
                for each in answer.assignment.topic_partitions
                for partition in each.partitions
            )
            self._is_reconciled = False

    def _request(self) -> Message:
        """All there is to say when joining; later only what the coordinator does not know yet."""
        joining = not self._is_member
        tells_topics = joining or self._told_topics != self._topics
        tells_owned = joining or self._told_owned != self.owned
        self._told_topics, self._told_owned = self._topics, self.owned
        return Message(
            group_id=self._settings.group_id,
            member_id=self.member_id,
            member_epoch=self._epoch,
            instance_id=self._settings.instance_id,
            rack_id=self._settings.rack if joining else None,
            rebalance_timeout_ms=self._settings.rebalance_timeout_ms if joining else -1,
            subscribed_topic_names=sorted(self._topics) if tells_topics else None,
            server_assignor=self._settings.remote_assignor if joining else None,
            topic_partitions=self._owned_ids() if tells_owned else None,
        )

    def _owned_ids(self) -> list[Message]:
        gathered: dict[UUID, list[int]] = {}
        for topic, partition in sorted(self.owned):
            topic_id = self._id_of(topic)
            if topic_id is not None:  # None: deleted meanwhile
                gathered.setdefault(topic_id, []).append(partition)
        return [Message(topic_id=topic_id, partitions=each) for topic_id, each in gathered.items()]

    # -- the end

    def leave(self) -> Ask | None:
        was_member, static = self._is_member, self._settings.instance_id is not None
        self._fence()
        self.owned, self._must_lose = NO_PARTITIONS, False
        if not was_member:
            return None
        epoch = _LEAVE_STATIC_EPOCH if static and not self._settings.leaves_when_static else _LEAVE_EPOCH
        request = Message(
            group_id=self._settings.group_id,
            member_id=self.member_id,
            member_epoch=epoch,
            instance_id=self._settings.instance_id,
            rebalance_timeout_ms=-1,
            subscribed_topic_names=None,
            topic_partitions=None,
        )
        return Ask(ApiKey.CONSUMER_GROUP_HEARTBEAT, request, epoch, self.member_id)

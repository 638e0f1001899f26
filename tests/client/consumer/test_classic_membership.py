"""Members of classic groups against a coordinator that is as simple as the protocol allows: whatever happens, in whatever
order, no partition is owned twice in a generation, and in the end every partition is owned once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ottla.client.assignors.assignor import Assignor
from ottla.client.assignors.range import RangeAssignor
from ottla.client.assignors.sticky import CooperativeStickyAssignor, StickyAssignor
from ottla.client.consumer.classic_membership import ClassicMembership
from ottla.client.consumer.membership import Ask, Assign, Failed, GroupSettings, Lead, Revoke, Step, Wait
from ottla.client.consumer.offset_requests import Committer
from ottla.protocol.apis import ApiKey
from ottla.protocol.consumer_protocol import Assignment, decode_subscription, encode_assignment
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message

COUNTS = {"a": 3, "b": 2}
EVERY = {(topic, each) for topic, count in COUNTS.items() for each in range(count)}


def membership(*assignors: Assignor, instance_id: str | None = None) -> ClassicMembership:
    made = ClassicMembership(
        GroupSettings("g", instance_id, heartbeat_interval_ms=3000, assignors=assignors or (RangeAssignor(),))
    )
    made.subscribe(frozenset(COUNTS))
    return made


def asked(step: Step | None, key: ApiKey) -> Ask:
    assert isinstance(step, Ask)
    assert step.key is key
    return step


def join_answer(
    member_id: str, *, generation: int = 1, leader: str = "other", protocol: str = "range", **more: object
) -> Message:
    return Message(
        error_code=ErrorCode.NONE,
        member_id=member_id,
        generation_id=generation,
        leader=leader,
        protocol_name=protocol,
        members=[],
        skip_assignment=False,
        **more,
    )


def sync_answer(**partitions: tuple[int, ...]) -> Message:
    return Message(error_code=ErrorCode.NONE, assignment=encode_assignment(Assignment(partitions)))


def refusal(code: ErrorCode, member_id: str = "") -> Message:
    return Message(error_code=code, member_id=member_id, assignment=b"")


def joined(
    member: ClassicMembership, *, generation: int = 1, protocol: str = "range", **owned: tuple[int, ...]
) -> None:
    """Bring it into the group with this assignment."""
    member.answered(
        asked(member.step(0), ApiKey.JOIN_GROUP), join_answer("m", generation=generation, protocol=protocol), 0
    )
    member.answered(asked(member.step(0), ApiKey.SYNC_GROUP), sync_answer(**owned), 0)
    while isinstance(step := member.step(0), Revoke):
        member.revoked(step)
    assert isinstance(step, Assign)
    member.assigned(step)


def test_a_member_joins_with_the_id_it_is_given_syncs_and_owns() -> None:
    member = membership()

    member.answered(asked(member.step(0), ApiKey.JOIN_GROUP), refusal(ErrorCode.MEMBER_ID_REQUIRED, "m-1"), 0)
    again = asked(member.step(0), ApiKey.JOIN_GROUP)

    assert again.request.member_id == "m-1"
    assert isinstance(member.step(0), Wait)  # one request at a time
    member.answered(again, join_answer("m-1"), 0)
    member.answered(asked(member.step(0), ApiKey.SYNC_GROUP), sync_answer(a=(0, 1)), 0)
    step = member.step(0)
    assert step == Assign(frozenset({("a", 0), ("a", 1)}))
    assert member.owned == frozenset()  # not before the listener is done
    member.assigned(step)
    assert (member.owned, member.is_stable) == (step.added, True)


def test_an_eager_member_gives_everything_back_before_it_joins_again() -> None:
    member = membership(RangeAssignor())
    joined(member, a=(0, 1))

    member.answered(beat(member, 10), refusal(ErrorCode.REBALANCE_IN_PROGRESS), 10)

    step = member.step(10)
    assert step == Revoke(frozenset({("a", 0), ("a", 1)}))
    member.revoked(step)
    request = asked(member.step(10), ApiKey.JOIN_GROUP).request
    assert decode_subscription(request.protocols[0].metadata).owned == {}


def test_a_cooperative_member_keeps_what_it_owns_and_gives_up_only_what_moves() -> None:
    member = membership(CooperativeStickyAssignor())
    joined(member, protocol="cooperative-sticky", a=(0, 1))
    member.answered(beat(member, 10), refusal(ErrorCode.REBALANCE_IN_PROGRESS), 10)

    join = asked(member.step(10), ApiKey.JOIN_GROUP)
    subscription = decode_subscription(join.request.protocols[0].metadata)
    assert (subscription.owned, subscription.generation) == ({"a": (0, 1)}, 1)
    member.answered(join, join_answer("m", generation=2, protocol="cooperative-sticky"), 10)
    member.answered(asked(member.step(10), ApiKey.SYNC_GROUP), sync_answer(a=(0,), b=(1,)), 10)

    taken = member.step(10)
    assert taken == Revoke(frozenset({("a", 1)}))
    member.revoked(taken)
    added = member.step(10)
    assert added == Assign(frozenset({("b", 1)}))
    member.assigned(added)
    asked(member.step(10), ApiKey.JOIN_GROUP)  # so that another may have what was given up


def test_a_cooperative_member_gives_up_topics_it_does_not_want_any_more_before_it_joins() -> None:
    member = membership(CooperativeStickyAssignor())
    joined(member, protocol="cooperative-sticky", a=(0,), b=(0,))

    member.subscribe(frozenset({"b"}))

    assert member.step(0) == Revoke(frozenset({("a", 0)}))


def test_one_eager_assignor_makes_the_member_eager() -> None:
    member = membership(RangeAssignor(), CooperativeStickyAssignor())
    joined(member, a=(0,))
    member.subscribe(frozenset({"a"}))

    assert member.step(0) == Revoke(frozenset({("a", 0)}))


def test_a_sticky_member_remembers_what_it_had_after_giving_it_back() -> None:
    member = membership(StickyAssignor())
    joined(member, protocol="sticky", generation=4, a=(2,))
    member.answered(beat(member, 10), refusal(ErrorCode.REBALANCE_IN_PROGRESS), 10)
    step = member.step(10)
    assert isinstance(step, Revoke)
    member.revoked(step)

    request = asked(member.step(10), ApiKey.JOIN_GROUP).request

    assert decode_subscription(request.protocols[0].metadata).user_data == bytes.fromhex(
        "00000001 0001 61 00000001 00000002 00000004"
    )


@pytest.mark.parametrize(
    ("code", "member_id"), [(ErrorCode.UNKNOWN_MEMBER_ID, ""), (ErrorCode.ILLEGAL_GENERATION, "m")]
)
def test_a_refused_commit_has_the_member_join_anew_and_one_of_the_wrong_generation_keeps_its_id(
    code: ErrorCode, member_id: str
) -> None:
    member = membership()
    joined(member, a=(0,))

    member.commit_refused(code, Committer("g", 1, "m"))

    lost = member.step(0)
    assert isinstance(lost, Revoke)
    assert lost.lost
    member.revoked(lost)
    assert asked(member.step(0), ApiKey.JOIN_GROUP).request.member_id == member_id


def test_a_commit_that_a_rebalance_has_overtaken_changes_nothing() -> None:
    member = membership()
    joined(member, generation=2, a=(0,))

    member.commit_refused(ErrorCode.ILLEGAL_GENERATION, Committer("g", 1, "m"))

    assert member.owned == {("a", 0)}
    assert isinstance(member.step(0), Wait)


def test_a_commit_that_is_refused_while_the_member_joins_leaves_the_join_as_it_is() -> None:
    member = membership()
    joined(member, a=(0,))
    member.subscribe(frozenset({"a"}))
    revoke = member.step(0)
    assert isinstance(revoke, Revoke)
    member.revoked(revoke)
    join = asked(member.step(0), ApiKey.JOIN_GROUP)

    member.commit_refused(ErrorCode.ILLEGAL_GENERATION, Committer("g", 1, "m"))
    member.answered(join, join_answer("m", generation=2), 0)

    assert (member.member_id, member.generation) == ("m", 2)
    asked(member.step(0), ApiKey.SYNC_GROUP)


@pytest.mark.parametrize("code", [ErrorCode.UNKNOWN_MEMBER_ID, ErrorCode.ILLEGAL_GENERATION])
def test_a_member_that_the_group_does_not_know_has_lost_what_it_owned(code: ErrorCode) -> None:
    member = membership(CooperativeStickyAssignor())
    joined(member, protocol="cooperative-sticky", a=(0, 1))

    member.answered(beat(member, 10), refusal(code), 10)

    step = member.step(10)
    assert step == Revoke(frozenset({("a", 0), ("a", 1)}), lost=True)
    member.revoked(step)
    join = asked(member.step(10), ApiKey.JOIN_GROUP)
    assert decode_subscription(join.request.protocols[0].metadata).owned == {}


def test_a_late_answer_to_a_heartbeat_of_another_generation_is_not_believed() -> None:
    member = membership(CooperativeStickyAssignor())
    joined(member, protocol="cooperative-sticky", a=(0,))
    late = beat(member, 10)
    member.subscribe(frozenset({"a"}))
    join = asked(member.step(10), ApiKey.JOIN_GROUP)
    member.answered(join, join_answer("m", generation=2, protocol="cooperative-sticky"), 10)

    member.answered(late, refusal(ErrorCode.UNKNOWN_MEMBER_ID), 11)

    asked(member.step(11), ApiKey.SYNC_GROUP)


def test_heartbeats_are_due_by_the_interval_and_not_while_the_coordinator_waits_for_the_others() -> None:
    member = membership()
    assert member.heartbeat(0) is None
    joined(member, a=(0,))

    assert member.heartbeat(2.9) is None
    first = member.heartbeat(3.0)
    assert first is not None
    assert member.heartbeat(9.0) is None  # one at a time
    member.failed(first, 9.0, 9.5)
    assert member.next_heartbeat_s() == 9.5
    second = member.heartbeat(9.5)
    assert second is not None
    member.answered(second, refusal(ErrorCode.REBALANCE_IN_PROGRESS), 9.5)
    assert member.next_heartbeat_s() == 12.5  # while the listener runs
    step = member.step(9.5)
    assert isinstance(step, Revoke)
    member.revoked(step)
    asked(member.step(9.5), ApiKey.JOIN_GROUP)
    assert member.next_heartbeat_s() is None


def test_when_a_join_is_not_answered_it_is_sent_again_after_the_backoff() -> None:
    member = membership()
    member.failed(asked(member.step(0), ApiKey.JOIN_GROUP), 1.0, 1.5)

    assert member.step(1.0) == Wait(1.5)
    asked(member.step(1.5), ApiKey.JOIN_GROUP)


@pytest.mark.parametrize(
    "code",
    [ErrorCode.FENCED_INSTANCE_ID, ErrorCode.GROUP_AUTHORIZATION_FAILED, ErrorCode.INCONSISTENT_GROUP_PROTOCOL],
)
def test_what_asking_again_does_not_change_is_told_the_user(code: ErrorCode) -> None:
    member = membership()

    member.answered(asked(member.step(0), ApiKey.JOIN_GROUP), refusal(code), 0)

    step = member.step(0)
    assert isinstance(step, Failed)
    assert (step.error.code, "group g" in str(step.error)) == (code, True)


def test_a_leader_divides_and_joins_again_when_a_topic_grows() -> None:
    member = membership()
    metadata = asked(member.step(0), ApiKey.JOIN_GROUP).request.protocols[0].metadata
    described = [Message(member_id=each, group_instance_id=None, metadata=metadata) for each in ("m", "n")]
    member.answered(Ask(ApiKey.JOIN_GROUP, Message(), 0, ""), join_answer("x"), 0)  # of somebody else: ignored
    join = member._asked
    assert join is not None
    answer = join_answer("m", leader="m")
    answer.members = described
    member.answered(join, answer, 0)
    assert member.step(0) == Lead(frozenset({"a", "b"}))

    member.lead(COUNTS)

    request = asked(member.step(0), ApiKey.SYNC_GROUP).request
    assert {each.member_id for each in request.assignments} == {"m", "n"}
    sync = member._asked
    assert sync is not None
    member.answered(sync, sync_answer(a=(0,)), 0)
    step = member.step(0)
    assert isinstance(step, Assign)
    member.assigned(step)
    member.counts_changed(COUNTS)
    assert member.is_stable
    member.counts_changed({"a": 4, "b": 2})
    assert isinstance(member.step(0), Revoke)


def test_a_static_leader_that_comes_back_leaves_the_assignment_as_it_is() -> None:
    member = membership(instance_id="i")
    answer = join_answer("m", leader="m")
    answer.members, answer.skip_assignment = [Message(member_id="m", group_instance_id="i", metadata=b"")], True

    member.answered(asked(member.step(0), ApiKey.JOIN_GROUP), answer, 0)

    assert asked(member.step(0), ApiKey.SYNC_GROUP).request.assignments == []


def test_a_member_that_cannot_be_read_gets_nothing_and_the_others_all() -> None:
    member = membership()
    metadata = asked(member.step(0), ApiKey.JOIN_GROUP).request.protocols[0].metadata
    join = member._asked
    assert join is not None
    answer = join_answer("m", leader="m")
    answer.members = [
        Message(member_id="m", group_instance_id=None, metadata=metadata),
        Message(member_id="odd", group_instance_id=None, metadata=b"\0"),
    ]
    member.answered(join, answer, 0)

    member.lead(COUNTS)

    sent = {each.member_id: each.assignment for each in asked(member.step(0), ApiKey.SYNC_GROUP).request.assignments}
    assert sent["odd"] == encode_assignment(Assignment({}))
    assert sent["m"] == encode_assignment(Assignment({"a": (0, 1, 2), "b": (0, 1)}))


def test_leaving_says_goodbye_unless_the_member_is_static() -> None:
    dynamic, static = membership(), membership(instance_id="i")
    for each in (dynamic, static):
        joined(each, a=(0,))

    goodbye = dynamic.leave()

    assert goodbye is not None
    assert (goodbye.key, goodbye.request.members[0].member_id) == (ApiKey.LEAVE_GROUP, "m")
    assert static.leave() is None
    assert (dynamic.owned, static.owned) == (frozenset(), frozenset())


def beat(member: ClassicMembership, now_s: float) -> Ask:
    ask = member.heartbeat(now_s)
    assert ask is not None
    return ask


# -- a whole group


@dataclass
class SimpleCoordinator:
    """Waits for all members to join, lets the first lead, hands the assignments out; forgets whom it is told to."""

    generation: int = 0
    promised: set[str] = field(default_factory=set)  # ids that were given out, and nobody has joined with
    known: dict[str, bytes] = field(default_factory=dict)  # metadata by member id
    joining: dict[str, Ask] = field(default_factory=dict)
    syncing: dict[str, Ask] = field(default_factory=dict)
    assignments: dict[str, bytes] | None = None
    rebalancing: bool = False
    ids: int = 0

    def ask(self, member: ClassicMembership, ask: Ask, protocol: str) -> None:
        member_id = ask.request.member_id
        if ask.key is ApiKey.JOIN_GROUP:
            if not member_id:
                self.ids += 1
                self.promised.add(f"m{self.ids}")
                member.answered(ask, refusal(ErrorCode.MEMBER_ID_REQUIRED, f"m{self.ids}"), 0)
                return
            if member_id not in self.known and member_id not in self.promised:
                member.answered(ask, refusal(ErrorCode.UNKNOWN_MEMBER_ID), 0)
                return
            self.promised.discard(member_id)
            self.rebalancing, self.assignments = True, None
            self.known[member_id] = next(each.metadata for each in ask.request.protocols if each.name == protocol)
            self.joining[member_id] = ask
        elif member_id not in self.known:
            member.answered(ask, refusal(ErrorCode.UNKNOWN_MEMBER_ID), 0)
        elif self.rebalancing:
            member.answered(ask, refusal(ErrorCode.REBALANCE_IN_PROGRESS), 0)
        elif ask.request.generation_id != self.generation:
            member.answered(ask, refusal(ErrorCode.ILLEGAL_GENERATION), 0)
        elif ask.key is ApiKey.HEARTBEAT:
            member.answered(ask, refusal(ErrorCode.NONE), 0)
        else:
            self.syncing[member_id] = ask
            if ask.request.assignments:
                self.assignments = {each.member_id: each.assignment for each in ask.request.assignments}

    def expel(self, member: ClassicMembership, member_id: str) -> None:
        """Forget it; a request of it that waits is refused."""
        self.known.pop(member_id, None)
        self.promised.discard(member_id)
        for waiting in (self.joining, self.syncing):
            ask = waiting.pop(member_id, None)
            if ask is not None:
                member.answered(ask, refusal(ErrorCode.UNKNOWN_MEMBER_ID), 0)
        self.rebalancing = bool(self.known)

    def turn(self, members: dict[str, ClassicMembership], protocol: str) -> None:
        """Complete whatever can be."""
        if self.rebalancing and self.known and self.joining.keys() == self.known.keys():
            self._complete_join(members, protocol)
        if self.rebalancing:
            for member_id, ask in self._taken(self.syncing):
                members[member_id].answered(ask, refusal(ErrorCode.REBALANCE_IN_PROGRESS), 0)
        elif self.assignments is not None:
            for member_id, ask in self._taken(self.syncing):
                answer = Message(error_code=ErrorCode.NONE, assignment=self.assignments.get(member_id, b""))
                members[member_id].answered(ask, answer, 0)

    def _complete_join(self, members: dict[str, ClassicMembership], protocol: str) -> None:
        self.generation += 1
        self.rebalancing = False
        leader = min(self.joining)
        described = [Message(member_id=m, group_instance_id=None, metadata=data) for m, data in self.known.items()]
        for member_id, ask in self._taken(self.joining):
            answer = join_answer(member_id, generation=self.generation, leader=leader, protocol=protocol)
            answer.members = described if member_id == leader else []
            members[member_id].answered(ask, answer, 0)

    @staticmethod
    def _taken(waiting: dict[str, Ask]) -> list[tuple[str, Ask]]:
        taken = list(waiting.items())
        waiting.clear()
        return taken


class GroupMachine(RuleBasedStateMachine):
    """Members come, go, are expelled, lose answers; in any order of steps."""

    @initialize(assignor=st.sampled_from((RangeAssignor(), StickyAssignor(), CooperativeStickyAssignor())))
    def begin(self, assignor: Assignor) -> None:
        self.assignor = assignor
        self.coordinator = SimpleCoordinator()
        self.members: list[ClassicMembership] = []
        # who may own, or be about to, what others do, for they do not know yet: expelled under that id
        self.lost: dict[int, str] = {}
        self.counts = dict(COUNTS)
        self.now_s = 0.0

    @precondition(lambda self: len(self.members) < 4)
    @rule()
    def come(self) -> None:
        self.members.append(membership(self.assignor))

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        self.members.remove(member)
        self.lost.pop(id(member), None)
        goodbye = member.leave()
        if goodbye is not None:
            self.coordinator.expel(member, goodbye.member_id)

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def be_expelled(self, data: st.DataObject) -> None:
        member = data.draw(st.sampled_from(self.members))
        expelled_id = member.member_id
        self.coordinator.expel(member, expelled_id)
        if expelled_id:
            self.lost[id(member)] = expelled_id

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def lose_an_answer(self, data: st.DataObject) -> None:
        waiting = {**self.coordinator.joining, **self.coordinator.syncing}
        by_id = {each.member_id: each for each in self.members}
        for member_id, ask in waiting.items():
            if member_id in by_id and data.draw(st.booleans()):
                self.coordinator.joining.pop(member_id, None)
                self.coordinator.syncing.pop(member_id, None)
                by_id[member_id].failed(ask, self.now_s, self.now_s)

    @precondition(lambda self: self.members)
    @rule(places=st.lists(st.integers(0, 3), min_size=1, max_size=15))
    def step(self, places: list[int]) -> None:
        """Steps of members in any order, heartbeats of those that have nothing else to do."""
        for place in places:
            member = self.members[place % len(self.members)]
            if not self.step_one(member):
                self.beat_one(member)
            self.what_is_owned_is_owned_once()

    @precondition(lambda self: self.members)
    @rule(data=st.data())
    def beat(self, data: st.DataObject) -> None:
        self.beat_one(data.draw(st.sampled_from(self.members)))

    @rule(topic=st.sampled_from(("a", "b")))
    def grow(self, topic: str) -> None:
        self.counts[topic] = min(6, self.counts[topic] + 1)
        for member in self.members:
            member.counts_changed(self.counts)

    def beat_one(self, member: ClassicMembership) -> None:
        self.now_s += 10
        ask = member.heartbeat(self.now_s)
        if ask is not None:
            self.coordinator.ask(member, ask, self.assignor.name)

    def step_one(self, member: ClassicMembership) -> bool:
        """Whether there was anything to do."""
        step = member.step(self.now_s)
        match step:
            case Ask():
                self.coordinator.ask(member, step, self.assignor.name)
            case Revoke():
                member.revoked(step)
            case Assign():
                member.assigned(step)
            case Lead():
                member.lead({topic: self.counts[topic] for topic in step.topics})
            case Failed():
                raise AssertionError(step.error)
            case Wait():
                self.coordinator.turn({each.member_id: each for each in self.members}, self.assignor.name)
                return False
        self.coordinator.turn({each.member_id: each for each in self.members}, self.assignor.name)
        return True

    @invariant()
    def what_is_owned_is_owned_once(self) -> None:
        members = getattr(self, "members", [])
        for each in members:
            if each.member_id != self.lost.get(id(each)) and not each.owned:
                self.lost.pop(id(each), None)  # it was told, and has let go
        owned = Counter(pair for each in members if id(each) not in self.lost for pair in each.owned)
        assert max(owned.values(), default=0) <= 1, owned

    def teardown(self) -> None:
        """When nothing more happens, every partition is owned by one member, and all are content."""
        for _ in range(200):
            busy = [self.step_one(each) for each in getattr(self, "members", [])]
            if not any(busy):
                for each in getattr(self, "members", []):
                    self.beat_one(each)
                if not any(self.step_one(each) for each in self.members) and all(
                    each.is_stable for each in self.members
                ):
                    break
        else:
            raise AssertionError("the group does not come to rest")
        if getattr(self, "members", []):
            every = {(topic, each) for topic, count in self.counts.items() for each in range(count)}
            assert Counter(pair for each in self.members for pair in each.owned) == Counter(every)


GroupMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestGroupMachine = GroupMachine.TestCase

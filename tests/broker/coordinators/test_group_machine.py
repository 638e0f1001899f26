"""Groups under everything that can happen: members join, leave, die, fall silent; the disk lags, fails; the broker ends.

What must hold whatever comes, in whatever order:

- at most one owner of a partition in a generation, restarts included, for nobody is told an assignment that is not durable
- generations of which assignments are told only grow
- committed offsets that were acknowledged or told are there, and never go back by themselves
- a member that shows that it lives is not forgotten, and its group is left alone, restarts included
- whatever waits has a deadline; nobody is answered twice
- once nothing disturbs any more, the rebalance ends: all clients are members of one stable generation, nobody else is,
  every partition has an owner, and nobody is left waiting
"""

from __future__ import annotations

import os
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from ottla.broker.coordinators.group import Group, GroupState
from ottla.broker.coordinators.group_records import Committed, OffsetCommitted
from ottla.broker.coordinators.offsets import check_commit
from ottla.protocol.errors import ErrorCode
from ottla.protocol.messages import Message
from support.virtual_groups import GROUP, PARTITION_COUNT, SESSION_MS, Client, VirtualCoordinator

HEAVY = "OTTLA_HEAVY" in os.environ
TOPIC_ID = UUID(int=1)
CLIENTS = st.integers(0, 4)
QUIET_STEP_MS = SESSION_MS // 4
NEW_MEMBER_PATIENCE_MS = 300_000


class Groups(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.owners: dict[tuple[int, int], str] = {}
        self.last_generation = 0
        self.commits: list[int] = []  # every offset of partition 0 that was taken, in order
        self.acknowledged = -1  # index of the last of them that was acknowledged or told

    @initialize(
        delay_ms=st.sampled_from([0, 3000]), versions=st.lists(st.sampled_from([3, 8, 9]), min_size=5, max_size=5)
    )
    def begin(self, delay_ms: int, versions: list[int]) -> None:
        self.coordinator = VirtualCoordinator(initial_delay_ms=delay_ms)
        instances = [None, None, None, "first", "second"]
        self.clients = [
            Client(f"client-{at}", self.coordinator, instance_id=instance, version=version)
            for at, (instance, version) in enumerate(zip(instances, versions, strict=True))
        ]

    @rule(at=CLIENTS, count=st.integers(1, 4))
    def act(self, at: int, count: int) -> None:
        for _ in range(count):
            self.clients[at].step()
            self._note_ownership(self.clients[at])

    @rule(count=st.integers(1, 4))
    def all_act(self, count: int) -> None:
        for _ in range(count):
            for client in self.clients:
                client.step()
                self._note_ownership(client)

    @rule(rounds=st.integers(1, 8))
    def calm(self, rounds: int) -> None:
        """Nothing disturbs for a while, so that what comes next meets a group that has got somewhere."""
        for _ in range(rounds):
            self.all_act(2)
            self.coordinator.sync_disk()
            self.coordinator.pass_time(1000)

    @rule(at=CLIENTS)
    def leave(self, at: int) -> None:
        self.clients[at].leave()

    @rule(at=CLIENTS)
    def die(self, at: int) -> None:
        self.clients[at].die()

    @rule(at=CLIENTS)
    def lose_connection(self, at: int) -> None:
        self.clients[at].lose_connection()

    @rule(at=CLIENTS, names=st.sampled_from([("range",), ("range", "sticky"), ("sticky", "range")]))
    def change_protocols(self, at: int, names: tuple[str, ...]) -> None:
        client = self.clients[at]
        client.protocols = tuple((name, b"changed") for name in names)
        if not client.is_waiting:
            client.needs_join = True

    @rule()
    def sync_disk(self) -> None:
        self.coordinator.sync_disk()

    @rule()
    def fill_disk(self) -> None:
        self.coordinator.fill_disk()

    @rule()
    def free_disk(self) -> None:
        self.coordinator.free_disk()

    @rule()
    def lose_patience(self) -> None:
        self.coordinator.lose_patience()

    @rule(duration_ms=st.sampled_from([1, 100, 3000, 9000, 30_000]))
    def pass_time(self, duration_ms: int) -> None:
        self.coordinator.pass_time(duration_ms)

    @rule(kept=st.integers(0, 3))
    def crash(self, kept: int) -> None:
        self.coordinator.crash(kept)
        for client in self.clients:
            if client.is_waiting:
                client.lose_connection()

    @rule(at=CLIENTS)
    def commit(self, at: int) -> None:
        client = self.clients[at]
        request = Message(
            generation_id_or_member_epoch=client.generation,
            member_id=client.member_id,
            group_instance_id=client.instance_id,
        )
        code = check_commit(self.coordinator.group, request, api_version=9)
        if code is not ErrorCode.NONE:
            return
        index = len(self.commits)
        self.commits.append(index)

        def done(code: ErrorCode) -> None:
            if code is ErrorCode.NONE:
                self.acknowledged = max(self.acknowledged, index)

        committed = Committed(index, topic_id=TOPIC_ID)
        self.coordinator.write(OffsetCommitted(GROUP, "orders", 0, committed), done)

    @rule()
    def read_offset(self) -> None:
        """Looked up now, told when it is durable."""
        committed = self.coordinator.machine.state.committed(GROUP, "orders", 0)
        if committed is None:
            return

        def done(code: ErrorCode) -> None:
            if code is ErrorCode.NONE:
                self.acknowledged = max(self.acknowledged, committed.offset)

        self.coordinator.when_durable(done)

    @precondition(lambda self: self._is_settled())
    @rule(restarts=st.lists(st.booleans(), min_size=8, max_size=8))
    def members_that_live_are_not_forgotten(self, restarts: list[bool]) -> None:
        self.coordinator.sync_disk()
        members, generation = set(self.coordinator.group.members), self.coordinator.group.generation
        for restart in restarts:
            if restart:
                self.coordinator.crash(0)
            self.coordinator.pass_time(QUIET_STEP_MS)
            assert [client.heartbeat() for client in self.clients] == [ErrorCode.NONE] * len(self.clients)
        assert (set(self.coordinator.group.members), self.coordinator.group.generation) == (members, generation)

    @precondition(lambda self: self.coordinator.group.state is GroupState.STABLE)
    @rule()
    def a_restart_leaves_a_stable_group_alone(self) -> None:
        self.coordinator.sync_disk()
        before = self.coordinator.group
        self.coordinator.crash(0)
        after = self.coordinator.group
        assert after.state is GroupState.STABLE
        assert after.generation == before.generation
        assert _roles(after) == _roles(before)
        for client in self.clients:
            if client.is_waiting:
                client.lose_connection()

    @invariant()
    def all_is_in_order(self) -> None:
        if hasattr(self, "coordinator"):
            self.coordinator.check()

    @invariant()
    def acknowledged_commits_are_there(self) -> None:
        if hasattr(self, "coordinator") and self.acknowledged >= 0:
            committed = self.coordinator.machine.state.committed(GROUP, "orders", 0)
            assert committed is not None
            assert committed.offset >= self.acknowledged

    def _note_ownership(self, client: Client) -> None:
        if client.owned_in != client.generation or client.is_waiting or client.needs_join:
            return
        stored = self.coordinator.machine.state.groups.get(GROUP)
        if client.owned_in > self.last_generation:
            assert stored is not None
            assert stored.generation >= client.owned_in, "an assignment was told that is not durable"
        self.last_generation = max(self.last_generation, client.owned_in)
        for partition in client.owned:
            owner = self.owners.setdefault((client.owned_in, partition), client.member_id)
            same_instance = client.instance_id is not None and owner in self._ids_of_instances
            assert owner == client.member_id or same_instance, f"{partition} has two owners"

    @property
    def _ids_of_instances(self) -> set[str]:
        """A static member takes its part over from its former process."""
        return {owner for owner in self.owners.values() if self.coordinator.group.members.get(owner) is None}

    def teardown(self) -> None:
        """Let everybody do what clients do, undisturbed: it must end well."""
        if not hasattr(self, "coordinator"):
            return
        self.coordinator.free_disk()
        for client in self.clients:
            client.fenced = False
        rounds = 2 * NEW_MEMBER_PATIENCE_MS // QUIET_STEP_MS
        for _ in range(rounds):
            for client in self.clients:
                for _ in range(3):
                    client.step()
                    self._note_ownership(client)
                self.coordinator.sync_disk()
            self.coordinator.check()
            if self._is_settled():
                break
            self.coordinator.pass_time(QUIET_STEP_MS)
        assert self._is_settled(), f"{self.coordinator.group.state} after {rounds} rounds: {self.clients}"

    def _is_settled(self) -> bool:
        group = self.coordinator.group
        return (
            group.state is GroupState.STABLE
            and set(group.members) == {client.member_id for client in self.clients}
            and all(client.owned_in == group.generation and not client.needs_join for client in self.clients)
            and sorted(p for client in self.clients for p in client.owned) == list(range(PARTITION_COUNT))
            and group.generation >= self.last_generation
        )


def _roles(group: Group) -> dict[str, tuple[bytes, bool]]:
    """What each member has to do. A static member's new id that was not stored, and not told, may be the former one."""
    return {
        each.instance_id or each.member_id: (each.assignment, each.member_id == group.leader_id)
        for each in group.members.values()
    }


Groups.TestCase.settings = settings(
    max_examples=2000 if HEAVY else 100, stateful_step_count=60 if HEAVY else 40, deadline=None
)
TestGroups = Groups.TestCase

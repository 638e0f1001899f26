"""kill -9 under consumer groups: no acknowledged commit is gone, groups are what they were, and their members go on.

python -m pytest tests/crash/test_groups.py                                5 kills, in CI
OTTLA_HEAVY=1 python -m pytest -s tests/crash/test_groups.py               60 kills
OTTLA_CRASH_SEED=7 OTTLA_CRASH_KILLS=50 python -m pytest -s tests/crash/test_groups.py

Members speak the bare protocol: what a client library would do by itself to hide a needless rebalance is not done here.
"""

from __future__ import annotations

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support.broker import BrokerProcess
from support.wire import Api, Closed, Connection

from .requests import create_topic

KILLS = int(os.environ.get("OTTLA_CRASH_KILLS", "60" if os.environ.get("OTTLA_HEAVY") == "1" else "5"))
SETTINGS = {
    "offsets.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    "auto.create.topics.enable": "false",
}
GROUP, TOPIC, PARTITIONS = "readers", "read", 3
SESSION_MS = 300_000
REBALANCE_IN_PROGRESS, MEMBER_ID_REQUIRED = 27, 79
COME_AGAIN = {14, 15, 16}  # the coordinator is being loaded, or not there for the moment
LONGEST_LOAD_S = 1.0
PATIENCE_S = 60
POLL_S = 0.02
KILLED_WHILE_LOADING = 0.3

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120 + 10 * KILLS)]


class Asker:
    """Asks again while the broker, or its coordinator, is just starting; the same request, as a client would."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._broker = broker
        self._connection: Connection | None = None
        self._pause = threading.Event()

    def ask(self, api: Api, version: int, **fields: Any) -> dict[str, Any]:
        for _ in range(int(PATIENCE_S / POLL_S)):
            try:
                self._connection = self._connection or Connection(self._broker.port)
                answer = self._connection.call(api, version, **fields)
            except (OSError, Closed):
                self.close()
            else:
                if not _codes(answer) & COME_AGAIN:
                    return answer
            self._pause.wait(POLL_S)
        raise AssertionError(f"{api.name} is not answered in {PATIENCE_S} s")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Member(Asker):
    """A consumer of the group; `instance` makes it a static one. `acknowledged` is its last commit that was."""

    def __init__(self, broker: BrokerProcess, partition: int, instance: str | None) -> None:
        super().__init__(broker)
        self.partition = partition
        self.instance = instance
        self.member_id = ""
        self.generation = -1
        self.acknowledged = self.sent = -1
        self.refusals: list[int] = []

    def join_until_stable(self, size: int) -> None:
        """Join, and again as often as called to, until the group has so many members."""
        while True:
            joined = self._join()
            everybody = [each["member_id"] for each in joined["members"]]
            parts = [{"member_id": each, "assignment": b"%d" % at} for at, each in enumerate(everybody)]
            synced = self.ask(Api.SYNC_GROUP, 3, **self._as_member(), assignments=parts)
            if synced["error_code"] == 0 and self._is_stable(size):
                return

    def _join(self) -> dict[str, Any]:
        while True:
            answer = self.ask(
                Api.JOIN_GROUP,
                5,
                group_id=GROUP,
                session_timeout_ms=SESSION_MS,
                rebalance_timeout_ms=SESSION_MS,
                member_id=self.member_id,
                group_instance_id=self.instance,
                protocol_type="consumer",
                protocols=[{"name": "range", "metadata": b""}, {"name": "sticky", "metadata": b""}],
            )
            self.member_id, self.generation = answer["member_id"], answer["generation_id"]
            if answer["error_code"] == 0:
                return answer
            assert answer["error_code"] in (MEMBER_ID_REQUIRED, REBALANCE_IN_PROGRESS), answer

    def _is_stable(self, size: int) -> bool:
        """Wait until all are there; False when this member is called to join again first."""
        while True:
            if self.heartbeat() != 0:
                return False
            group = described(self)
            if group["group_state"] == "Stable" and len(group["members"]) == size:
                return True
            self._pause.wait(POLL_S)

    def _as_member(self) -> dict[str, Any]:
        return {
            "group_id": GROUP,
            "generation_id": self.generation,
            "member_id": self.member_id,
            "group_instance_id": self.instance,
        }

    def heartbeat(self) -> int:
        return int(self.ask(Api.HEARTBEAT, 3, **self._as_member())["error_code"])

    def commit_until(self, stopping: threading.Event) -> None:
        """Commit one offset after the other, each until it is acknowledged."""
        while not stopping.is_set():
            self.sent += 1
            offset = {
                "partition_index": self.partition,
                "committed_offset": self.sent,
                "committed_leader_epoch": -1,
                "committed_metadata": "m" * (self.sent % 300),
            }
            answer = self.ask(
                Api.OFFSET_COMMIT,
                7,
                group_id=GROUP,
                generation_id_or_member_epoch=self.generation,
                member_id=self.member_id,
                group_instance_id=self.instance,
                topics=[{"name": TOPIC, "partitions": [offset]}],
            )
            if codes := _codes(answer) - {0}:
                self.refusals += codes
                return
            self.acknowledged = self.sent


def _codes(value: Any) -> set[int]:
    """Every error code in an answer."""
    if isinstance(value, list):
        return set().union(*map(_codes, value))
    if not isinstance(value, dict):
        return set()
    own = {value["error_code"]} if "error_code" in value else set()
    return own.union(*map(_codes, value.values()))


def described(asker: Asker) -> dict[str, Any]:
    answer = asker.ask(Api.DESCRIBE_GROUPS, 4, groups=[GROUP], include_authorized_operations=False)
    group: dict[str, Any] = answer["groups"][0]
    return group


def committed(asker: Asker) -> dict[int, int]:
    partitions = [{"name": TOPIC, "partition_indexes": list(range(PARTITIONS))}]
    answer = asker.ask(Api.OFFSET_FETCH, 5, group_id=GROUP, topics=partitions)
    return {each["partition_index"]: each["committed_offset"] for each in answer["topics"][0]["partitions"]}


def form_group(broker: BrokerProcess) -> list[Member]:
    with Connection(broker.port) as connection:
        create_topic(connection, TOPIC, partition_count=PARTITIONS)
    setting_up = Asker(broker)
    setting_up.ask(Api.FIND_COORDINATOR, 6, key_type=0, coordinator_keys=[GROUP])
    setting_up.close()
    members = [Member(broker, at, instance) for at, instance in enumerate((None, "static", None))]
    with ThreadPoolExecutor(len(members)) as pool:
        for done in [pool.submit(each.join_until_stable, len(members)) for each in members]:
            done.result(PATIENCE_S)
    return members


def roster(group: dict[str, Any]) -> set[tuple[str, str | None, bytes]]:
    return {(each["member_id"], each["group_instance_id"], each["member_assignment"]) for each in group["members"]}


def test_commits_groups_and_static_members_survive_however_often_the_broker_is_killed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("OTTLA_CRASH_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}")
    chance, stopping = random.Random(seed), threading.Event()
    with BrokerProcess(tmp_path, SETTINGS) as broker:
        members = form_group(broker)
        asker = Asker(broker)
        before = roster(described(asker))
        threads = [threading.Thread(target=each.commit_until, args=(stopping,), daemon=True) for each in members]
        for thread in threads:
            thread.start()
        for _ in range(KILLS):
            stopping.wait(chance.uniform(0.05, LONGEST_LOAD_S))
            broker.kill()
            promised = [each.acknowledged for each in members]
            broker.start()
            if chance.random() < KILLED_WHILE_LOADING:
                broker.kill()
                broker.start()
            found = committed(asker)
            assert all(found[at] >= offset for at, offset in enumerate(promised)), (found, promised)
            group = described(asker)
            assert (group["group_state"], roster(group)) == ("Stable", before)
        stopping.set()
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
        assert [each.refusals for each in members] == [[]] * len(members), "a live member was disturbed"
        assert [each.heartbeat() for each in members] == [0] * len(members)
        assert committed(asker) == {each.partition: each.sent for each in members}
        for each in (*members, asker):
            each.close()
    with capsys.disabled():
        print(f"\n{KILLS} kills, {sum(each.sent + 1 for each in members)} commits acknowledged, none lost")
    assert all(each.acknowledged > KILLS for each in members)

"""A bank under kill -9 of its broker and of its workers: every transfer is booked once, and the sums stay right.

A kill comes while transfers trickle in and are booked, and not before the bank is at work again after the kill before.

python -m pytest tests/crash/test_bank.py                                  a few kills each, in CI
OTTLA_HEAVY=1 python -m pytest -s tests/crash/test_bank.py                 more than a hundred, some minutes
OTTLA_CRASH_SEED=7 OTTLA_CRASH_KILLS=50 python -m pytest -s tests/crash/test_bank.py
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from crash.bank_workers import GROUP, LEDGER, PARTITIONS, TRANSFERS, WORKERS
from crash.java_worker import java_worker
from support.apache_kafka import why_java_is_absent
from support.broker import BrokerProcess, die_with_parent

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
KILLS = int(os.environ.get("OTTLA_CRASH_KILLS", "60" if HEAVY else "2"))
VICTIMS = ("broker", "worker") * ((KILLS + 1) // 2)
AT_ONCE, TRICKLING = 30, 30  # transfers before each kill
DEADLINE_S = 90  # for the bank to be at work after a kill
SETTINGS = {
    "group.min.session.timeout.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}

CLIENTS = [
    "confluent",
    "aiokafka",
    "ottla",
    pytest.param(
        "java",
        marks=[
            pytest.mark.java,
            pytest.mark.skipif(why_java_is_absent() is not None, reason=why_java_is_absent() or ""),
        ],
    ),
]

pytestmark = [pytest.mark.crash, pytest.mark.timeout(240 + 12 * KILLS)]


class Bank:
    """The broker, and workers that are begun again when they are killed; `command` runs one."""

    def __init__(self, broker: BrokerProcess, group: str, command: Sequence[str], chance: random.Random) -> None:
        self.broker = broker
        self.group = group
        self.command = command
        self.chance = chance
        self.kills: Counter[str] = Counter()
        self.workers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Bank:
        self.workers = [self.hire(number) for number in range(WORKERS)]
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def hire(self, number: int) -> subprocess.Popen[bytes]:
        command = [*die_with_parent(), *self.command, self.broker.bootstrap, str(number)]
        return subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)

    def replace_who_gave_up(self) -> None:
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = self.hire(number)

    def wait_until_booked(self, count: int) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while (done := booked_up_to(self.broker.bootstrap, self.group)) < count:
            self.replace_who_gave_up()
            assert time.monotonic() < deadline, f"{done} transfers are booked, not {count}"
            time.sleep(0.1)  # committed offsets have no event to wait for

    def kill(self, victim: str) -> None:
        self.kills[victim] += 1
        if victim == "broker":
            self.broker.kill()
            self.broker.start()
        else:
            number = self.chance.randrange(WORKERS)
            self.workers[number].kill()
            self.workers[number].wait()
            self.workers[number] = self.hire(number)


def worker_of(client: str, directory: Path) -> list[str]:
    return java_worker(directory) if client == "java" else [sys.executable, "-m", "crash.bank_workers", client]


class Customers:
    """They pay in transfers `id,from,to,amount`: each is written once, whatever happens to the broker meanwhile."""

    def __init__(self, bootstrap: str, chance: random.Random) -> None:
        self.chance = chance
        self.count = 0
        self.total = 0
        admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
        made = admin.create_topics([NewTopic(TRANSFERS, PARTITIONS), NewTopic(LEDGER, PARTITIONS)])
        for each in made.values():
            each.result(30)
        self.producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0})

    def pay_in(self, count: int, *, within_s: float) -> None:
        for _ in range(count):
            giver, taker = self.chance.sample(range(20), 2)
            amount = self.chance.randint(1, 100)
            self.producer.produce(
                TRANSFERS, f"{self.count},{giver},{taker},{amount}", partition=self.count % PARTITIONS
            )
            self.count += 1
            self.total += amount
            time.sleep(within_s / count)  # the moment of the kill is what is tried

    def leave(self) -> None:
        assert self.producer.flush(60) == 0


def booked_up_to(bootstrap: str, group: str) -> int:
    """How many transfers the committed offsets say are done; -1 when that cannot be told now."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        committed = consumer.committed([TopicPartition(TRANSFERS, index) for index in range(PARTITIONS)], 10)
    except KafkaException:
        return -1
    finally:
        consumer.close()
    return sum(max(each.offset, 0) for each in committed)


def ledger(bootstrap: str) -> list[bytes]:
    """Every committed entry."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "audit",
            "isolation.level": "read_committed",
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    consumer.assign([TopicPartition(LEDGER, index, 0) for index in range(PARTITIONS)])
    entries, ended = [], 0
    while ended < PARTITIONS:
        message = consumer.poll(30)
        assert message is not None, "the ledger cannot be read to its end"
        if message.error() is None:
            entries.append(message.value())
        else:
            ended += 1
    consumer.close()
    return entries


@pytest.mark.parametrize("client", CLIENTS)
def test_every_transfer_is_booked_once_however_often_somebody_is_killed(
    client: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("OTTLA_CRASH_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}")
    chance = random.Random(seed)
    command = worker_of(client, tmp_path / "classes")
    begun_at = time.monotonic()
    with BrokerProcess(tmp_path, SETTINGS) as broker:
        customers = Customers(broker.bootstrap, chance)
        with Bank(broker, GROUP[client], command, chance) as bank:
            for victim in chance.sample(VICTIMS, KILLS):
                before = customers.count
                customers.pay_in(AT_ONCE, within_s=0)
                bank.wait_until_booked(before + 1)
                customers.pay_in(TRICKLING, within_s=chance.uniform(0.2, 2.0))
                bank.kill(victim)
            customers.leave()
            bank.wait_until_booked(customers.count)
        found = ledger(broker.bootstrap)
    sides = Counter((number, amount.startswith(b"-")) for number, _, amount in (each.split(b",") for each in found))
    given = sum(int(each.split(b",")[2]) for each in found if b"-" in each)
    taken = sum(int(each.split(b",")[2]) for each in found if b"-" not in each)
    with capsys.disabled():
        kills = f"{bank.kills['broker']} kills of the broker, {bank.kills['worker']} of workers"
        print(f"\n{client}: {customers.count} transfers, {kills}, {time.monotonic() - begun_at:.0f} s, seed {seed}")
    assert set(sides.values()) == {1}, "a transfer was booked more than once"
    assert len(sides) == 2 * customers.count, "a transfer was not booked, or by half"
    assert (given, taken) == (-customers.total, customers.total)

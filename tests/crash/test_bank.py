"""A bank under kill -9 of its broker and of its workers: every transfer is booked once, and the sums stay right.

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
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from crash.bank_workers import GROUP, LEDGER, PARTITIONS, TRANSFERS, WORKERS
from support.broker import BrokerProcess

HEAVY = os.environ.get("OTTLA_HEAVY") == "1"
KILLS = int(os.environ.get("OTTLA_CRASH_KILLS", "60" if HEAVY else "3"))
TRANSFERS_PER_KILL = 60
DEADLINE_S = 60 + 3 * KILLS
SETTINGS = {
    "group.min.session.timeout.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}

pytestmark = [pytest.mark.crash, pytest.mark.timeout(120 + 12 * KILLS)]


class Bank:
    """The broker, and workers that are begun again when they are killed."""

    def __init__(self, broker: BrokerProcess, client: str, chance: random.Random) -> None:
        self.broker = broker
        self.client = client
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
        command = [sys.executable, "-m", "crash.bank_workers", self.client, self.broker.bootstrap, str(number)]
        return subprocess.Popen(command, cwd=Path(__file__).parents[1], stderr=subprocess.DEVNULL)

    def replace_who_gave_up(self) -> None:
        for number, worker in enumerate(self.workers):
            if worker.poll() is not None:
                self.workers[number] = self.hire(number)

    def kill_somebody(self) -> None:
        if self.chance.random() < 0.5:
            self.kills["broker"] += 1
            self.broker.kill()
            self.broker.start()
        else:
            self.kills["worker"] += 1
            number = self.chance.randrange(WORKERS)
            self.workers[number].kill()
            self.workers[number].wait()
            self.workers[number] = self.hire(number)


def fill(bootstrap: str, count: int, chance: random.Random) -> int:
    """Transfers `id,from,to,amount`; returns what they amount to."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    made = admin.create_topics([NewTopic(TRANSFERS, PARTITIONS), NewTopic(LEDGER, PARTITIONS)])
    for each in made.values():
        each.result(30)
    producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True})
    total = 0
    for number in range(count):
        giver, taker = chance.sample(range(20), 2)
        amount = chance.randint(1, 100)
        total += amount
        producer.produce(TRANSFERS, f"{number},{giver},{taker},{amount}", partition=number % PARTITIONS)
    assert producer.flush(60) == 0
    return total


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


@pytest.mark.parametrize("client", ["confluent", "aiokafka", "ottla"])
def test_every_transfer_is_booked_once_however_often_somebody_is_killed(
    client: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = int(os.environ.get("OTTLA_CRASH_SEED") or random.randrange(1_000_000))
    print(f"seed {seed}")
    chance, count = random.Random(seed), TRANSFERS_PER_KILL * KILLS
    begun_at = time.monotonic()
    with BrokerProcess(tmp_path, SETTINGS) as broker:
        total = fill(broker.bootstrap, count, chance)
        with Bank(broker, client, chance) as bank:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0.2, 2.0))  # the moment of the kill is what is tried
                bank.replace_who_gave_up()
                bank.kill_somebody()
            deadline = time.monotonic() + DEADLINE_S
            while (done := booked_up_to(broker.bootstrap, GROUP[client])) < count:
                bank.replace_who_gave_up()
                assert time.monotonic() < deadline, f"{done} of {count} transfers are booked"
                time.sleep(0.2)
        found = ledger(broker.bootstrap)
    sides = Counter((number, amount.startswith(b"-")) for number, _, amount in (each.split(b",") for each in found))
    given = sum(int(each.split(b",")[2]) for each in found if b"-" in each)
    taken = sum(int(each.split(b",")[2]) for each in found if b"-" not in each)
    with capsys.disabled():
        kills = f"{bank.kills['broker']} kills of the broker, {bank.kills['worker']} of workers"
        print(f"\n{client}: {count} transfers, {kills}, {time.monotonic() - begun_at:.0f} s, seed {seed}")
    assert set(sides.values()) == {1}, "a transfer was booked more than once"
    assert len(sides) == 2 * count, "a transfer was not booked, or by half"
    assert (given, taken) == (-total, total)

"""Members of a group as threads and processes: librdkafka's consumer, what it read, what it owns, how it was told.

    with GroupReader(bootstrap, "group", ["orders"], {"group.protocol": "consumer"}) as reader:
        until(lambda: len(reader.values) == 100, "the messages")
        reader.owned          # partitions assigned at present
        reader.changes        # how often that has changed

A `DoomedReader` is a process of its own, that can be killed without a word to the broker.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType

import confluent_kafka
from support.broker import die_with_parent

POLL_S = 0.05
CLOSE_S = 30
Owned = frozenset[tuple[str, int]]

NEW = {"group.protocol": "consumer"}
CLASSIC = {"group.protocol": "classic", "session.timeout.ms": "6000", "heartbeat.interval.ms": "500"}
QUICK = {"auto.offset.reset": "earliest", "reconnect.backoff.max.ms": "200", "auto.commit.interval.ms": "200"}


class GroupReader:
    """One member in a thread of its own. Leaving the context closes it, which leaves the group."""

    def __init__(
        self, bootstrap: str, group: str, topics: Sequence[str], settings: Mapping[str, str] | None = None
    ) -> None:
        chosen = {"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0, **QUICK, **(settings or {})}
        self._consumer = confluent_kafka.Consumer(chosen)
        self._topics = list(topics)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.values: list[bytes] = []
        self.owned: Owned = frozenset()
        self.changes = 0
        self._ended_well = False

    def __enter__(self) -> GroupReader:
        self._consumer.subscribe(self._topics, on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._revoked)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._ending.set()
        self._thread.join(CLOSE_S)
        assert not self._thread.is_alive(), "the consumer does not close"
        assert self._ended_well, "the consumer ended with an error, see above"

    def _run(self) -> None:
        while not self._ending.is_set():
            message = self._consumer.poll(POLL_S)
            self._take([] if message is None or message.error() is not None else [message.value()])
        self._consumer.close()
        self._ended_well = True

    def _take(self, values: list[bytes]) -> None:
        """Process what a poll gave, which may be nothing."""
        self.values += values

    def _assigned(self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self.changes += bool(partitions)
        self.owned |= {(each.topic, each.partition) for each in partitions}

    def _revoked(self, consumer: confluent_kafka.Consumer, partitions: list[confluent_kafka.TopicPartition]) -> None:
        self.changes += bool(partitions)
        self.owned -= {(each.topic, each.partition) for each in partitions}


SCRIPT = """
import sys, confluent_kafka
bootstrap, group, topic, *settings = sys.argv[1:]
chosen = dict(each.split("=", 1) for each in settings)
consumer = confluent_kafka.Consumer({"bootstrap.servers": bootstrap, "group.id": group, **chosen})
consumer.subscribe([topic], on_assign=lambda _, partitions: print("assigned", len(partitions), flush=True))
while True:
    consumer.poll(0.05)
"""


class DoomedReader:
    """A member that reads, commits nothing, and dies when told to."""

    def __init__(self, bootstrap: str, group: str, topic: str, settings: Mapping[str, str]) -> None:
        chosen = {**QUICK, **settings, "enable.auto.commit": "false"}
        words = [bootstrap, group, topic, *(f"{name}={value}" for name, value in chosen.items())]
        self._process = subprocess.Popen(
            [*die_with_parent(), sys.executable, "-c", SCRIPT, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def wait_assigned(self) -> None:
        """Until it has partitions, which it then owns until it is missed."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if int(line.split()[1]):
                return
        raise AssertionError("the reader has ended")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

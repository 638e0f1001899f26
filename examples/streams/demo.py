"""Kafka Streams on Ottla, exactly once, with everything killed that can be killed.  `make demo-streams` runs it.

    reviews --> words, counted          orders + users --> revenue by country
        the application and the broker are killed with -9 after each round, and started again
        what a reader of committed records finds is compared with the same sums in plain Python

The application is the Maven project beside this file; it was built before (`mvn package`).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from random import Random

from ottla import Admin, Consumer, NewTopic, Producer
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))  # the examples are files, not a package

from own_broker import OwnBroker  # noqa: E402

TOPICS = ("reviews", "word-counts", "orders", "users", "revenue")
PARTITIONS = 2
USERS = 100
COUNTRIES = ("AT", "CZ", "DE", "SK")
WORDS = ("good", "bad", "book", "price", "shop", "never", "again")
PATIENCE_S = 120
POLL_S = 0.5

console = Console()


class Application:
    """The Streams application as a process; its state stores are in `folder`."""

    def __init__(self, bootstrap: str, folder: Path) -> None:
        class_path = f"{HERE / 'target' / 'classes'}{os.pathsep}{HERE / 'target' / 'lib'}{os.sep}*"
        flags = ["-Xmx256m", f"-Djava.io.tmpdir={folder}"]  # what a JVM that is killed leaves goes with the folder
        command = ["java", *flags, "-cp", class_path, "dev.ottla.examples.ShopApplication", bootstrap]
        with (folder / "application.log").open("ab") as output:
            self._process = subprocess.Popen(
                [*command, str(folder / "state")], stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )

    def kill(self) -> None:
        """SIGKILL: its transaction stays open until the broker gives it up or its successor does."""
        self._process.kill()
        self._process.wait()


class Shop:
    """What was written, and what must come of it."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self.words: Counter[str] = Counter()
        self.revenue: Counter[str] = Counter()

    async def write_users(self, bootstrap: str) -> None:
        async with Producer(bootstrap_servers=bootstrap) as producer:
            for number in range(USERS):
                await producer.send("users", COUNTRIES[number % len(COUNTRIES)].encode(), key=f"u{number}".encode())

    async def write_events(self, bootstrap: str, count: int) -> None:
        """A review and an order each; acknowledged when this returns."""
        async with Producer(bootstrap_servers=bootstrap, linger_ms=5) as producer:
            for number in range(count):
                said = self._random.choices(WORDS, k=4)
                self.words.update(said)
                user, amount = self._random.randrange(USERS), self._random.randint(1, 1000)
                self.revenue[COUNTRIES[user % len(COUNTRIES)]] += amount
                await producer.send("reviews", " ".join(said).encode(), key=f"r{number}".encode())
                await producer.send("orders", f"u{user} {amount}".encode(), key=f"o{number}".encode())


async def create_topics(bootstrap: str) -> None:
    async with Admin(bootstrap) as admin:
        made = await admin.create_topics([NewTopic(name, partitions=PARTITIONS) for name in TOPICS])
    for outcome in made.values():
        if isinstance(outcome, Exception):
            raise outcome


async def latest(bootstrap: str, topic: str) -> dict[str, int]:
    """The latest value of each key, as far as it is committed."""
    found: dict[str, int] = {}
    async with Consumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    ) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(each) < end for each, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found |= {record.key.decode(): struct.unpack(">q", record.value)[0] for record in records}
    return found


async def settled(bootstrap: str, topic: str, expected: dict[str, int]) -> dict[str, int]:
    """`latest`, once it is what is expected, or when patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    found = await latest(bootstrap, topic)
    while found != expected and time.monotonic() < deadline:
        await asyncio.sleep(POLL_S)
        found = await latest(bootstrap, topic)
    return found


async def some_output(bootstrap: str, seen: int) -> int:
    """Wait until more words are counted than were `seen`; how many are."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        total = sum((await latest(bootstrap, "word-counts")).values())
        if total > seen:
            return total
        await asyncio.sleep(POLL_S)
    return seen


def show(title: str, expected: dict[str, int], found: dict[str, int]) -> bool:
    """Whether they are the same."""
    table = Table(title, "expected", "found", box=None)
    for name in sorted(expected.keys() | found.keys()):
        wanted, got = expected.get(name, 0), found.get(name, 0)
        table.add_row(name, f"{wanted:,}", f"{got:,}", style="" if wanted == got else "red")
    console.print(table)
    return expected == found


def run(folder: Path, broker: OwnBroker, arguments: argparse.Namespace) -> bool:
    shop, seen = Shop(arguments.seed), 0
    asyncio.run(create_topics(broker.bootstrap))
    asyncio.run(shop.write_users(broker.bootstrap))
    with ExitStack() as stack:

        def start() -> Application:
            application = Application(broker.bootstrap, folder)
            stack.callback(application.kill)
            return application

        application = start()
        for number in range(1, arguments.rounds + 1):
            asyncio.run(shop.write_events(broker.bootstrap, arguments.events))
            seen = asyncio.run(some_output(broker.bootstrap, seen))
            application.kill()
            broker.kill()
            broker.start()
            application = start()
            console.print(f"round {number}: {seen:,} words counted when application and broker were killed with -9")
        asyncio.run(shop.write_events(broker.bootstrap, arguments.events))
        words = asyncio.run(settled(broker.bootstrap, "word-counts", dict(shop.words)))
        revenue = asyncio.run(settled(broker.bootstrap, "revenue", dict(shop.revenue)))
    return show("word", dict(shop.words), words) & show("country", dict(shop.revenue), revenue)


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=3, help="how often everything is killed")
    words.add_argument("--events", type=int, default=10_000, help="how many reviews, and orders, in each round")
    words.add_argument("--seed", type=int, default=1)
    arguments = words.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="ottla-demo-streams-") as folder,
        OwnBroker(Path(folder) / "broker") as broker,
    ):
        right = run(Path(folder), broker, arguments)
    console.print("[green]all as expected" if right else "[red]not as expected")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())

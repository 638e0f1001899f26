"""The scripts in examples/python, run as a reader would run them, against one broker."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ottla import Consumer, Producer
from support.broker import BrokerProcess, environment

SCRIPTS = Path(__file__).parents[2] / "examples" / "python"
TIMEOUT_S = 90
COUNT = 300


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with BrokerProcess(tmp_path_factory.mktemp("broker")) as broker:
        yield broker.bootstrap


def run(script: str, *arguments: str) -> str:
    """What it prints."""
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / script), *arguments],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, f"{script}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def orders(bootstrap: str) -> str:
    """A topic of orders, written by the example."""
    said = run("produce_json.py", "--bootstrap", bootstrap, "--topic", "orders", "--count", str(COUNT))
    assert len(said.splitlines()) == COUNT
    return "orders"


async def read(bootstrap: str, topic: str, count: int) -> list[dict[str, int]]:
    """The first records, read_committed, as JSON."""
    consumer = Consumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    async with consumer, asyncio.timeout(TIMEOUT_S):
        return [json.loads((await consumer.getone()).value) for _ in range(count)]


def test_a_group_adds_up_what_each_customer_owes(bootstrap: str, orders: str) -> None:
    arguments = ("--bootstrap", bootstrap, "--topic", orders, "--group", "billing", "--count", str(COUNT))

    said = run("group_consumer.py", *arguments)

    owed = sum(float(line.split()[-1]) for line in said.splitlines())
    written = asyncio.run(read(bootstrap, orders, COUNT))
    assert round(owed * 100) == sum(order["cents"] for order in written)


def test_every_order_is_invoiced_once(bootstrap: str, orders: str) -> None:
    arguments = ("--bootstrap", bootstrap, "--source", orders, "--target", "invoices", "--count", str(COUNT))

    run("exactly_once.py", *arguments)

    invoices = asyncio.run(read(bootstrap, "invoices", COUNT))
    assert sorted(invoice["order"] for invoice in invoices) == list(range(COUNT))


def test_a_replay_begins_at_its_time(bootstrap: str, orders: str) -> None:
    hour = timedelta(hours=1)
    before, after = datetime.now(UTC) - hour, datetime.now(UTC) + hour

    everything = run("replay.py", "--bootstrap", bootstrap, "--topic", orders, "--since", before.isoformat())
    nothing = run("replay.py", "--bootstrap", bootstrap, "--topic", orders, "--since", after.isoformat())

    assert len(everything.splitlines()) == COUNT
    assert nothing == ""


def test_a_table_holds_the_latest_value_of_each_key(bootstrap: str) -> None:
    async def write() -> None:
        async with Producer(bootstrap_servers=bootstrap) as producer:
            for key, value in ((b"colour", b"red"), (b"size", b"9"), (b"colour", b"blue"), (b"size", None)):
                await producer.send_and_wait("settings", value, key=key)

    asyncio.run(write())

    said = run("compacted_table.py", "--bootstrap", bootstrap, "--topic", "settings")

    assert said == "colour = blue\n"


@contextmanager
def running_service(bootstrap: str) -> Iterator[str]:
    """Its address."""
    command = [sys.executable, "-u", str(SCRIPTS / "service.py"), "--bootstrap", bootstrap, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        try:
            assert process.stdout is not None
            said = next(line for line in process.stdout if "Running on" in line)
            found = re.search(r"http://\S+?:\d+", said)
            assert found is not None
            yield found[0]
        finally:
            process.terminate()


def test_a_service_publishes_what_it_is_sent(bootstrap: str) -> None:
    with running_service(bootstrap) as address:
        posted = urllib.request.Request(f"{address}/topics/clicks", b'{"page": 7}', method="POST")
        with urllib.request.urlopen(posted, timeout=TIMEOUT_S) as answer:
            assert json.load(answer) == {"partition": 0, "offset": 0}
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(urllib.request.Request(f"{address}/topics/clicks", b"{"), timeout=TIMEOUT_S)

    assert asyncio.run(read(bootstrap, "clicks", 1)) == [{"page": 7}]

"""The broker that all interop tests talk to: Ottla, unless the environment says another.

`OTTLA_TEST_BOOTSTRAP=host:port` takes a broker that runs already (tests that stop or start one are skipped then);
`OTTLA_TEST_BOOTSTRAP=apache-kafka` starts Apache Kafka in Ottla's place: what it fails there, the test has wrong.
`OTTLA_WORKS_WITH=file.json` notes what came of each client's tests (`works_with`).
"""

from __future__ import annotations

import logging
import os
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from interop.topics import create_topic, delete_topics
from interop.works_with import WorksWith
from support.apache_kafka import ApacheKafka, why_java_is_absent
from support.broker import BrokerProcess
from support.consuming import KEEPS_OLD_RECORDS
from support.java_tools import JavaTools

GIVEN = os.environ.get("OTTLA_TEST_BOOTSTRAP", "")
APACHE_KAFKA = "apache-kafka"


def pytest_configure(config: pytest.Config) -> None:
    """Note the outcomes, in the one process that hears of all of them."""
    file = os.environ.get("OTTLA_WORKS_WITH", "")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(WorksWith(Path(file)))


@dataclass(frozen=True)
class GivenBroker:
    """A broker that somebody else started."""

    bootstrap: str


StartedBroker = BrokerProcess | ApacheKafka


def _new_broker(directory: Path, settings: dict[str, str]) -> StartedBroker:
    if GIVEN == APACHE_KAFKA:
        if reason := why_java_is_absent():
            pytest.skip(reason)
        return ApacheKafka(directory, settings)
    return BrokerProcess(directory, settings)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GivenBroker | StartedBroker]:
    """One broker for the whole run; tests keep apart by the names of their topics."""
    if GIVEN and GIVEN != APACHE_KAFKA:
        yield GivenBroker(GIVEN)
        return
    with _new_broker(tmp_path_factory.mktemp("broker"), KEEPS_OLD_RECORDS) as started:
        yield started
        if isinstance(started, BrokerProcess):
            assert "Traceback" not in started.output, f"the broker met a bug:\n{started.output[-20_000:]}"


@pytest.fixture(autouse=True, scope="session")
def _quiet_clients() -> Iterator[None]:
    """A client that cannot reach its broker says so without end, and would bury the failure that matters."""
    loggers = [logging.getLogger(name) for name in ("kafka", "aiokafka")]
    before = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.CRITICAL)
    yield
    for each, level in zip(loggers, before, strict=True):
        each.setLevel(level)


@pytest.fixture(scope="module")
def new_broker(tmp_path_factory: pytest.TempPathFactory) -> Callable[[dict[str, str]], StartedBroker]:
    """Make a broker with other settings, for the tests of one file: `with new_broker({...}) as broker`."""
    if GIVEN and GIVEN != APACHE_KAFKA:
        pytest.skip("this test needs a broker with settings of its own, and was given one")
    return lambda settings: _new_broker(tmp_path_factory.mktemp("broker"), settings)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Callable[..., StartedBroker]]:
    """Start a broker that the test may stop, kill and look into: `own_broker({"num.partitions": "3"})`."""
    if GIVEN and GIVEN != APACHE_KAFKA:
        pytest.skip("this test stops or starts a broker, and was given one that is not its own")
    with ExitStack() as stack:

        def start(settings: dict[str, str] | None = None) -> StartedBroker:
            return stack.enter_context(_new_broker(tmp_path / "broker", settings or {}))

        yield start


@pytest.fixture(scope="session")
def tools() -> Iterator[JavaTools]:
    """Apache Kafka's command-line tools, all in one Java machine."""
    with JavaTools() as running:
        yield running


@pytest.fixture
def bootstrap(broker: GivenBroker | StartedBroker) -> str:
    return broker.bootstrap


@pytest.fixture
def topic_name(request: pytest.FixtureRequest) -> Callable[..., str]:
    """A name for a topic that no other test and no other run has."""

    def name(word: str = "") -> str:
        test = re.sub(r"[^a-z0-9]+", "-", f"{request.node.originalname} {word}".lower()).strip("-")
        return f"{test[:60]}-{uuid.uuid4().hex[:8]}"

    return name


@pytest.fixture
def make_topic(bootstrap: str, topic_name: Callable[..., str]) -> Iterator[Callable[..., str]]:
    """Create a topic and tell its name: `make_topic(partitions=3, config={"retention.ms": "1000"})`."""
    made: list[str] = []

    def make(*, partitions: int = 1, config: dict[str, str] | None = None, word: str = "") -> str:
        name = topic_name(word)
        create_topic(bootstrap, name, partitions=partitions, config=config)
        made.append(name)
        return name

    yield make
    if made and GIVEN:  # leave a broker that others use as it was
        delete_topics(bootstrap, made)

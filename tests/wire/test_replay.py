"""What Apache Kafka 4.3.1 answered, our broker answers: request by request, field by field.

Every family of `scenarios/` was recorded from Apache Kafka (see `record.py`); here the same requests go to a broker
of our own.  What may differ is named in `normal.py`; what differs and should not is named in KNOWN, each entry a
defect to close, and an entry that no longer differs fails as well.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.apache_kafka import BASE_SETTINGS
from support.broker import BrokerProcess
from support.scenarios import Family, Known, Runner, now_ms
from wire.families import families, golden_file
from wire.known import KNOWN
from wire.normal import Difference, Normal
from wire.recording import Golden
from wire.replaying import differences, requests_that_drifted, run
from wire.settling import let_creation_pass

FAMILIES = families()
CASES = [(family.name, scenario.name) for family in FAMILIES.values() for scenario in family.scenarios]


@pytest.mark.parametrize("family", FAMILIES)
def test_scenarios_still_ask_what_was_recorded(family: str) -> None:
    assert requests_that_drifted(_golden(family), FAMILIES[family]) == []


@pytest.mark.parametrize(("family", "scenario"), CASES, ids=[f"{a}/{b}" for a, b in CASES])
def test_answers_as_apache_kafka_does(family: str, scenario: str) -> None:
    found = [each for each in _replayed(family) if each.scenario == scenario]
    unknown = [each for each in found if not any(known.covers(each) for known in KNOWN)]
    assert not unknown, "\n".join(map(str, unknown))


@pytest.mark.parametrize("family", FAMILIES)
def test_known_differences_are_still_there(family: str) -> None:
    found = _replayed(family)
    closed = [known for known in KNOWN if known.family == family and not any(map(known.covers, found))]
    assert not closed, f"these agree now; take them out of known.py: {closed}"


@functools.cache
def _golden(family: str) -> Golden:
    return Golden.read(golden_file(family))


@functools.cache
def _replayed(family: str) -> list[Difference]:
    golden = _golden(family)
    with tempfile.TemporaryDirectory() as directory:
        return replay(FAMILIES[family], golden, Path(directory) / "ottla")


def replay(family: Family, golden: Golden, directory: Path) -> list[Difference]:
    """One fresh broker answers a whole family."""
    broker = BrokerProcess(directory, {**BASE_SETTINGS, "controller.quorum.voters": "1@127.0.0.1:1", **family.settings})
    broker.settings["advertised.listeners"] = f"PLAINTEXT://{broker.bootstrap}"
    with broker:
        known = Known(now_ms())
        creates = family.settings.get("auto.create.topics.enable") != "false"
        settle = functools.partial(let_creation_pass, broker.port) if creates else None
        exchanges = run(family, golden, Runner(broker.port, known, settle))
        normal = Normal(port=broker.port, log_directory=str(broker.log_directory), now_ms=known.now_ms, cluster_id=None)
        found = differences(golden, family, normal, exchanges)
        found += _trouble(family.name, broker.output)
    return found


def _trouble(family: str, output: str) -> Iterator[Difference]:
    """A traceback in the broker's log is a difference like any other."""
    if "Traceback" in output:
        start = output.index("Traceback")
        yield Difference(family, family, "the log", "traceback", None, output[start : start + 3000])

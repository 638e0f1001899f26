"""`ottla consume` against a real broker."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from ottla.cli.consume_command import Start, parse_start
from ottla.cli.errors import CommandError
from support.broker import BrokerProcess, environment, free_fixed_port
from support.command_line import Result, ottla
from support.consuming import KEEPS_OLD_RECORDS, make_topic, texts, write

_numbers = itertools.count()
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
BEGAN_MS = 1_700_000_000_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    settings = {"group.initial.rebalance.delay.ms": "0", **KEEPS_OLD_RECORDS}
    with BrokerProcess(tmp_path_factory.mktemp("broker"), settings) as running:
        yield running


@pytest.fixture
def topic(broker: BrokerProcess) -> str:
    """Two partitions: 0 to 4 in the first, a second apart, and one with everything in the second."""
    name = f"topic-{next(_numbers)}"
    make_topic(broker.bootstrap, name, 2)
    for number in range(5):
        write(broker.bootstrap, name, [str(number)], partition=0, timestamp=BEGAN_MS + 1000 * number)
    headers = [("h", b"1"), ("n", None)]
    write(broker.bootstrap, name, [b"\xff{}"], key="k", headers=headers, partition=1, timestamp=BEGAN_MS)
    return name


def consume(broker: BrokerProcess, *arguments: str, terminal: bool = False) -> Result:
    return ottla("consume", *arguments, "--bootstrap-server", broker.bootstrap, terminal=terminal)


def test_everything_is_printed_from_the_beginning_to_the_end(broker: BrokerProcess, topic: str) -> None:
    result = consume(broker, topic)

    assert (result.exit_code, result.err) == (0, "")
    assert sorted(result.out.splitlines()) == ["0", "1", "2", "3", "4", "\\xff{}"]


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("2", ["2", "3", "4"]),
        ("-2", ["3", "4"]),
        ("99", []),
        ("end", []),
        ("2023-11-14T22:13:22.500+00:00", ["3", "4"]),
        ("1h", []),
    ],
)
def test_reading_begins_where_it_is_told(broker: BrokerProcess, topic: str, start: str, expected: list[str]) -> None:
    result = consume(broker, topic, "--partition", "0", "--from", start)

    assert (result.exit_code, result.out.splitlines()) == (0, expected)


def test_a_count_is_kept_exactly(broker: BrokerProcess, topic: str) -> None:
    assert consume(broker, topic, "--count", "3", "-p", "0").out.splitlines() == ["0", "1", "2"]


def test_keys_and_headers_come_before_the_value(broker: BrokerProcess, topic: str) -> None:
    assert consume(broker, topic, "-p", "1", "--keys", "--headers").out == "h=1,n=null\tk\t\\xff{}\n"
    assert consume(broker, topic, "-p", "0", "-n", "1", "--keys").out == "null\t0\n"


def test_json_has_all_there_is(broker: BrokerProcess, topic: str) -> None:
    assert json.loads(consume(broker, topic, "-p", "1", "--json").out) == {
        "topic": topic,
        "partition": 1,
        "offset": 0,
        "timestamp": BEGAN_MS,
        "key": "k",
        "value": {"base64": "/3t9"},
        "headers": [["h", "1"], ["n", None]],
    }
    shown = consume(broker, topic, "-p", "0", "-n", "1", "--json", "--value-format", "json").out
    assert json.loads(shown)["value"] == 0


def test_a_template_says_how_a_record_is_printed(broker: BrokerProcess, topic: str) -> None:
    template = r"{topic}-{partition}@{offset} {time}\t{{{value}}}"

    result = consume(broker, topic, "-p", "0", "-n", "1", "--format", template)

    assert result.out == f"{topic}-0@0 2023-11-14T22:13:20.000+00:00\t{{0}}\n"


def test_bytes_are_shown_in_other_forms(broker: BrokerProcess, topic: str) -> None:
    assert consume(broker, topic, "-p", "1", "--value-format", "hex").out == "ff7b7d\n"
    assert consume(broker, topic, "-p", "1", "--value-format", "base64").out == "/3t9\n"


def test_a_group_goes_on_where_it_stopped(broker: BrokerProcess, topic: str) -> None:
    first = consume(broker, topic, "--group", f"g-{topic}", "--count", "2").out.splitlines()
    rest = consume(broker, topic, "--group", f"g-{topic}").out.splitlines()

    assert sorted(first + rest) == ["0", "1", "2", "3", "4", "\\xff{}"]
    assert consume(broker, topic, "--group", f"g-{topic}").out == ""


def test_following_goes_on_until_ctrl_c_which_is_a_good_end(broker: BrokerProcess, topic: str) -> None:
    command = [sys.executable, "-m", "ottla", "consume", topic, "-f", "-p", "0", "-b", broker.bootstrap]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert [process.stdout.readline() for _ in range(5)] == [f"{number}\n" for number in range(5)]
        write(broker.bootstrap, topic, texts("later", 2), partition=0)
        assert [process.stdout.readline() for _ in range(2)] == ["later0\n", "later1\n"]
        process.send_signal(signal.SIGINT)
        assert (process.stdout.read(), process.stderr.read(), process.wait(30)) == ("", "", 0)


@pytest.mark.skipif(sys.platform != "linux", reason="script(1) takes other arguments elsewhere")
def test_on_a_terminal_the_last_line_says_how_much_there_was(broker: BrokerProcess, topic: str) -> None:
    command = [sys.executable, "-m", "ottla", "consume", topic, "-b", broker.bootstrap]
    script = ["script", "-qec", " ".join(command), "/dev/null"]

    shown = subprocess.run(script, capture_output=True, text=True, env=environment(), timeout=60, check=True).stdout

    assert "6 records, 0.0 MB in" in shown


@pytest.mark.parametrize(
    ("arguments", "exit_code", "words"),
    [
        (["nowhere"], 1, "there is no topic nowhere"),
        (["{topic}", "-p", "7"], 1, "has no partition 7, only 2 from 0 on"),
        (["{topic}", "--from", "soon"], 2, "--from soon: write beginning"),
        (["{topic}", "--format", "{colour}"], 2, "there is no {colour}"),
        (["{topic}", "--json", "--format", "x"], 2, "give one of them"),
        (["{topic}", "--value-format", "xml"], 2, "known are text"),
        (["{topic}", "-g", "g", "-p", "0"], 2, "a group assigns the partitions"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    broker: BrokerProcess, topic: str, arguments: list[str], exit_code: int, words: str
) -> None:
    result = consume(broker, *(topic if each == "{topic}" else each for each in arguments))

    assert (result.exit_code, result.out) == (exit_code, "")
    assert words in result.err
    assert len(result.err.splitlines()) == 1


def test_a_broker_that_is_not_there_is_named_with_what_to_do() -> None:
    result = ottla("consume", "t", "-b", f"127.0.0.1:{free_fixed_port()}")

    assert result.exit_code == 1
    assert "is the broker running?" in result.err


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("beginning", Start(offset=0)),
        ("latest", Start(at_end=True)),
        ("15m", Start(timestamp=int(NOW.timestamp() * 1000) - 15 * 60_000)),
        ("2026-01-31T11:00:00+00:00", Start(timestamp=int(NOW.timestamp() * 1000) - 3_600_000)),
        ("-10", Start(last=10)),
        ("17", Start(offset=17)),
    ],
)
def test_where_to_begin_is_understood(given: str, expected: Start) -> None:
    assert parse_start(given, NOW) == expected


def test_where_to_begin_is_refused_when_it_is_not_understood() -> None:
    with pytest.raises(CommandError):
        parse_start("12 o'clock", NOW)

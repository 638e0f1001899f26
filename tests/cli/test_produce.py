"""`ottla produce` against a real broker; what it wrote is read by another client."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest
from interop.clients import ConfluentKafka
from interop.messages import Message
from support.broker import BrokerProcess
from support.command_line import Result, ottla
from support.consuming import KEEPS_OLD_RECORDS

Produce = Callable[..., Result]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("broker"), {"num.partitions": "1", **KEEPS_OLD_RECORDS}) as running:
        yield running


@pytest.fixture
def produce(broker: BrokerProcess, tmp_path: Path) -> Produce:
    """Run it with this input, in a file."""

    def run(topic: str, text: str, *arguments: str) -> Result:
        file = tmp_path / "input"
        file.write_text(text, encoding="utf-8")
        return ottla("produce", topic, str(file), *arguments, "-b", broker.bootstrap)

    return run


def written(broker: BrokerProcess, topic: str, count: int) -> list[Message]:
    return ConfluentKafka().read(broker.bootstrap, topic, count=count)


def test_every_line_becomes_a_record(broker: BrokerProcess, produce: Produce) -> None:
    result = produce("lines", "a\r\n\nлast")

    assert (result.exit_code, result.out, result.err) == (0, "wrote 3 records to lines\n", "")
    assert [message.value for message in written(broker, "lines", 3)] == [b"a", b"", "лast".encode()]


def test_keys_headers_and_tombstones(broker: BrokerProcess, produce: Produce) -> None:
    result = produce("keyed", "a:1:x\nb:\n", "-K", ":", "-H", "from=a test", "--empty-as-null", "-z", "gzip", "-p", "0")

    assert result.out == "wrote 2 records to keyed\n"
    first, second = written(broker, "keyed", 2)
    assert (first.key, first.value, first.headers) == (b"a", b"1:x", (("from", b"a test"),))
    assert (second.key, second.value) == (b"b", None)


def test_json_lines_say_everything_of_a_record(broker: BrokerProcess, produce: Produce) -> None:
    text = (
        '{"key": "k", "value": {"n": [1, "é"]}, "headers": {"h": "1", "n": null}, "timestamp": 1700000000000}\n'
        '{"key": {"base64": "/w=="}, "topic": "other", "offset": 5, "headers": [["h", "1"], ["h", "2"]], "partition": 0}\n'
    )
    result = produce("json", text, "-f", "json", "--key", "unless it has one", "--acks", "1")

    assert result.out == "wrote 2 records to json\n"
    first, second = written(broker, "json", 2)
    assert (first.key, first.value, first.timestamp_ms) == (b"k", '{"n":[1,"é"]}'.encode(), 1_700_000_000_000)
    assert first.headers == (("h", b"1"), ("n", None))
    assert (second.key, second.value, second.headers) == (b"\xff", None, (("h", b"1"), ("h", b"2")))


@pytest.mark.parametrize("asked", [("--json",), ("--format", "json")])
def test_what_consume_prints_as_json_is_sent_again_as_it_was(
    broker: BrokerProcess, produce: Produce, asked: tuple[str, ...]
) -> None:
    headers = (("h", b"1"), ("h", None), ("b", b"\xff"))
    messages = [
        Message(key=b"k", value=b'{"base64": "no bytes"}', headers=headers, timestamp_ms=1_700_000_000_000),
        Message(key=None, value=b"\xff\n\x00", timestamp_ms=1_700_000_000_001),
        Message(key=b"gone", value=None, timestamp_ms=1_700_000_000_002),
        Message(key=b"", value='é\n\u2028"'.encode(), timestamp_ms=1_700_000_000_003),
    ]
    source, target = f"from-{len(asked)}", f"to-{len(asked)}"
    ConfluentKafka().produce(broker.bootstrap, source, messages)

    lines = ottla("consume", source, *asked, "-b", broker.bootstrap).out
    result = produce(target, lines, *asked)

    assert (result.err, result.out) == ("", f"wrote 4 records to {target}\n")
    told = [
        (each.key, each.value, each.headers, each.timestamp_ms)
        for topic in (source, target)
        for each in written(broker, topic, 4)
    ]
    assert told[:4] == told[4:] == [(each.key, each.value, each.headers, each.timestamp_ms) for each in messages]


def test_the_whole_input_can_be_one_record(broker: BrokerProcess, produce: Produce) -> None:
    assert produce("raw", "two\nlines\n", "-f", "raw").out == "wrote 1 record to raw\n"
    assert written(broker, "raw", 1)[0].value == b"two\nlines\n"


def test_standard_input_is_read_when_no_file_is_named(broker: BrokerProcess) -> None:
    with mock.patch("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"1\n" * 10_000))):
        result = ottla("produce", "stdin", "-b", broker.bootstrap, "--rate", "1000000")

    assert result.out == "wrote 10000 records to stdin\n"
    assert len(written(broker, "stdin", 10_000)) == 10_000


@pytest.mark.parametrize(
    ("text", "arguments", "exit_code", "line"),
    [
        ("a:1\nb\n", ("-K", ":"), 2, "line 2: no key: there is no ':' in it; the 1 before it are sent"),
        ("{}\n[]\n", ("-f", "json"), 2, "line 2: not a JSON object with key, value, headers, partition, timestamp"),
        ('{"vlaue": 1}\n', ("-f", "json"), 2, "line 1: unknown field 'vlaue'; known are key, value, headers,"),
        ("{\n", ("-f", "json"), 2, "line 1: not JSON: "),
        ("a\n", ("-H", "x"), 2, "--header x: write it as --header NAME=VALUE"),
        ("a\n", ("--json", "-f", "raw"), 2, "--json and --format raw: give one of them"),
        ("a\n", ("-K", ":", "-f", "json"), 2, "--key-separator is for --format lines"),
        ('{"partition": 7}\n', ("-f", "json"), 1, "line 1: topic wrong has no partition 7, it has 1"),
        ("x" * 2_000_000, (), 1, "a record of about 2000021 bytes for topic wrong is more than max_request_size"),
    ],
)
def test_what_is_wrong_is_one_line(
    produce: Produce, text: str, arguments: tuple[str, ...], exit_code: int, line: str
) -> None:
    result = produce("wrong", text, *arguments)

    assert (result.exit_code, result.out) == (exit_code, "")
    assert result.err.startswith(f"ottla: {line}")
    assert result.err.count("\n") == 1


def test_a_file_that_is_not_there_is_one_line(broker: BrokerProcess) -> None:
    result = ottla("produce", "t", "/nowhere/at/all", "-b", broker.bootstrap)

    assert (result.exit_code, result.err) == (2, "ottla: cannot read /nowhere/at/all: No such file or directory\n")

"""`ottla topics …` against a real broker."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest
from support.broker import BrokerProcess
from support.command_line import Result, lines, ottla


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    with BrokerProcess(tmp_path_factory.mktemp("broker"), {"num.partitions": "2"}) as running:
        yield running


class Topics:
    """`ottla topics` on one broker."""

    def __init__(self, broker: BrokerProcess) -> None:
        self._bootstrap = broker.bootstrap

    def __call__(self, *arguments: str, terminal: bool = False) -> Result:
        return ottla("topics", *arguments, "--bootstrap-server", self._bootstrap, terminal=terminal)


@pytest.fixture
def topics(broker: BrokerProcess) -> Iterator[Topics]:
    run = Topics(broker)
    yield run
    names = [cells[0] for cells in lines(run("list").out)]
    if names:
        run("delete", *names)


def test_a_topic_is_created_with_the_brokers_partitions_or_with_its_own(topics: Topics) -> None:
    assert topics("create", "a").out == "created a with 2 partitions\n"
    assert topics("create", "b", "c", "--partitions", "1").out == (
        "created b with 1 partition\ncreated c with 1 partition\n"
    )

    assert list(lines(topics("list").out)) == [["a", "2", "1"], ["b", "1", "1"], ["c", "1", "1"]]


def test_a_topic_that_exists_is_refused_unless_that_is_fine(topics: Topics) -> None:
    topics("create", "a")

    again = topics("create", "a", "b")
    forgiven = topics("create", "a", "--if-not-exists")

    assert (again.exit_code, again.out) == (1, "created b with 2 partitions\n")
    assert again.err == "ottla: cannot create a: Topic 'a' already exists.\n"
    assert (forgiven.exit_code, forgiven.out, forgiven.err) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("--config", "retention.ms=x"),
            "ottla: cannot create a: Invalid value x for configuration retention.ms: Not a number of type LONG",
        ),
        (("--config", "nonsense=x"), "ottla: cannot create a: Unknown topic config name: nonsense"),
    ],
)
def test_what_the_broker_refuses_is_told_in_its_words(topics: Topics, arguments: tuple[str, ...], line: str) -> None:
    result = topics("create", "a", *arguments)

    assert (result.exit_code, result.err) == (1, line + "\n")


def test_a_config_without_a_value_is_wrongly_asked(topics: Topics) -> None:
    result = topics("create", "a", "--config", "retention.ms")

    assert (result.exit_code, result.err) == (2, "ottla: --config retention.ms: write it as --config KEY=VALUE\n")


def test_a_description_in_a_pipe_is_a_line_for_each_partition(topics: Topics) -> None:
    topics("create", "a")

    described = list(lines(topics("describe", "a").out))

    assert described == [["a", "0", "1", "1", "1", "0", "0"], ["a", "1", "1", "1", "1", "0", "0"]]


def test_a_description_on_a_terminal_has_headings_and_the_configs_that_were_set(topics: Topics) -> None:
    topics("create", "a", "--config", "retention.ms=5000")

    shown = topics("describe", terminal=True).out

    assert "a with 2 partitions, id " in shown
    assert "  retention.ms=5000\n" in shown
    assert "End offset" in shown


def test_a_list_on_a_terminal_is_a_table(topics: Topics) -> None:
    topics("create", "a")

    shown = topics("list", terminal=True).out

    assert "Topic" in shown
    assert "Partitions" in shown


def test_everything_can_be_had_as_json(topics: Topics) -> None:
    (created,) = json.loads(topics("create", "a", "--config", "retention.ms=5000", "--json").out)
    (listed,) = json.loads(topics("list", "--json").out)
    (described,) = json.loads(topics("describe", "--json").out)

    assert (created["name"], created["partitions"], created["replication_factor"]) == ("a", 2, 1)
    assert listed == {"name": "a", "partitions": 2, "replication_factor": 1}
    assert described["id"] == created["id"]
    assert described["configs"] == {"retention.ms": "5000"}
    assert [(p["partition"], p["leader"], p["end_offset"]) for p in described["partitions"]] == [(0, 1, 0), (1, 1, 0)]


def test_a_topic_is_altered(topics: Topics) -> None:
    topics("create", "a", "--config", "retention.ms=5000")

    altered = topics(
        "alter", "a", "--partitions", "3", "--config", "segment.bytes=2000000", "--delete-config", "retention.ms"
    )

    assert (altered.exit_code, altered.out) == (0, "altered a\n")
    (described,) = json.loads(topics("describe", "a", "--json").out)
    assert described["configs"] == {"segment.bytes": "2000000"}
    assert len(described["partitions"]) == 3


def test_a_wrong_config_keeps_the_partitions_as_they_are(topics: Topics) -> None:
    topics("create", "a")

    refused = topics("alter", "a", "--partitions", "3", "--config", "segment.bytes=2")

    assert (refused.exit_code, refused.out) == (1, "")
    assert "Value must be at least 1048576" in refused.err
    assert list(lines(topics("list").out)) == [["a", "2", "1"]]


@pytest.mark.parametrize(
    ("arguments", "exit_code", "line"),
    [
        (("a",), 2, "ottla: nothing to alter: give --partitions, --config or --delete-config"),
        (("a", "--partitions", "1"), 1, "ottla: cannot add partitions to a: "),
        (("absent", "--partitions", "3"), 1, "ottla: cannot add partitions to absent: "),
    ],
)
def test_what_cannot_be_altered_is_said(topics: Topics, arguments: tuple[str, ...], exit_code: int, line: str) -> None:
    topics("create", "a")

    result = topics("alter", *arguments)

    assert result.exit_code == exit_code
    assert result.err.startswith(line)
    assert result.err.count("\n") == 1


def test_topics_are_deleted_and_what_is_not_there_is_said_unless_that_is_fine(topics: Topics) -> None:
    topics("create", "a", "b")

    deleted = topics("delete", "a", "absent")
    forgiven = topics("delete", "absent", "--if-exists")

    assert (deleted.exit_code, deleted.out) == (1, "deleted a\n")
    assert deleted.err.startswith("ottla: cannot delete absent: ")
    assert (forgiven.exit_code, forgiven.err) == (0, "")
    assert list(lines(topics("list").out)) == [["b", "2", "1"]]


def test_describing_what_is_not_there_says_so_and_shows_the_rest(topics: Topics) -> None:
    topics("create", "a")

    result = topics("describe", "a", "absent")

    assert result.exit_code == 1
    assert len(list(lines(result.out))) == 2
    assert result.err == "ottla: cannot describe absent: there is no such topic (UNKNOWN_TOPIC_OR_PARTITION)\n"


def test_nobody_at_the_address_is_one_line_with_what_to_do() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # Bound and not listening: a connection is refused.
        address = f"127.0.0.1:{bound.getsockname()[1]}"

        result = ottla("topics", "list", "-b", address)

    assert (result.exit_code, result.out) == (1, "")
    assert result.err == (
        f"ottla: no broker at {address}: Connection refused;"
        " is the broker running? `ottla serve` starts one, --bootstrap-server names another\n"
    )


def test_an_address_that_is_none_is_wrongly_asked() -> None:
    result = ottla("topics", "list", "-b", "localhost:port")

    assert (result.exit_code, result.out) == (2, "")
    assert result.err == "ottla: --bootstrap-server: localhost:port is not an address of a broker; write HOST:PORT\n"

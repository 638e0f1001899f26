"""Kafka's own console producer and consumer behind the same face as the other clients.

They speak text: fields are kept apart by characters that no test's message contains, and NULL stands for null.
The producer takes no partition and no timestamp.  Each call costs the start of a Java machine, about a second, unless
it is given one (`JavaTools`) that runs already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from subprocess import CompletedProcess

from interop.messages import Message
from support.apache_kafka import run_tool

CONSUMER = "org.apache.kafka.tools.consumer.ConsoleConsumer"
NULL = "NULL"
BETWEEN_FIELDS = "\x1f"
BETWEEN_HEADERS = "\x1d"
BETWEEN_MESSAGES = "\x1e"
NO_HEADERS = "NO_HEADERS"


class JavaConsole:
    """ConsoleProducer and ConsoleConsumer of Apache Kafka."""

    name = "java-console"
    sets_timestamps = False

    def __init__(self, run: Callable[..., CompletedProcess[str]] = run_tool) -> None:
        self._run = run

    def produce(self, bootstrap: str, topic: str, messages: Sequence[Message], *, codec: str = "none") -> list[int]:
        """No offsets: the tool does not tell."""
        properties = {
            "parse.key": "true",
            "parse.headers": "true",
            "key.separator": BETWEEN_FIELDS,
            "headers.delimiter": BETWEEN_FIELDS,
            "headers.separator": BETWEEN_HEADERS,
            "headers.key.separator": ":",
            "null.marker": NULL,
        }
        self._run(
            "org.apache.kafka.tools.ConsoleProducer",
            *["--bootstrap-server", bootstrap, "--topic", topic, "--compression-codec", codec],
            *_properties("--reader-property", properties),
            stdin="".join(_line(message) + "\n" for message in messages),
        )
        return []

    def read(
        self,
        bootstrap: str,
        topic: str,
        *,
        count: int,
        partition: int = 0,
        offset: int = 0,
        isolation: str = "read_uncommitted",
    ) -> list[Message]:
        properties = {
            "print.timestamp": "true",
            "print.offset": "true",
            "print.headers": "true",
            "print.key": "true",
            "key.separator": BETWEEN_FIELDS,
            "headers.separator": BETWEEN_HEADERS,
            "line.separator": BETWEEN_MESSAGES,
            "null.literal": NULL,
        }
        done = self._run(
            CONSUMER,
            *["--bootstrap-server", bootstrap, "--topic", topic, "--partition", str(partition)],
            *["--offset", str(offset), "--max-messages", str(count), "--timeout-ms", "20000"],
            *["--isolation-level", isolation],
            *_properties("--formatter-property", properties),
        )
        return list(_parse(done.stdout))

    def read_as_member(
        self, bootstrap: str, topic: str, group: str, *, count: int, settings: dict[str, str]
    ) -> list[str]:
        """Join the group, read so many values, commit and leave; fewer when none comes for half a minute."""
        done = self._run(
            CONSUMER,
            *["--bootstrap-server", bootstrap, "--topic", topic, "--group", group, "--from-beginning"],
            *["--max-messages", str(count), "--timeout-ms", "30000"],
            *_properties("--command-property", settings),
        )
        return done.stdout.splitlines()


def _properties(option: str, properties: dict[str, str]) -> list[str]:
    return [word for name, value in properties.items() for word in (option, f"{name}={value}")]


def _line(message: Message) -> str:
    headers = BETWEEN_HEADERS.join(f"{name}:{_text(value)}" for name, value in message.headers) or NULL
    return BETWEEN_FIELDS.join((headers, _text(message.key), _text(message.value)))


def _parse(output: str) -> Iterator[Message]:
    for line in output.split(BETWEEN_MESSAGES)[:-1]:
        timestamp, offset, headers, key, value = line.split(BETWEEN_FIELDS)
        yield Message(
            key=_bytes(key),
            value=_bytes(value),
            headers=tuple(_header(text) for text in headers.split(BETWEEN_HEADERS) if headers != NO_HEADERS),
            timestamp_ms=int(timestamp.partition(":")[2]),
            offset=int(offset.partition(":")[2]),
        )


def _header(text: str) -> tuple[str, bytes | None]:
    name, _, value = text.partition(":")
    return name, _bytes(value)


def _text(value: bytes | None) -> str:
    return NULL if value is None else value.decode()


def _bytes(text: str) -> bytes | None:
    return None if text == NULL else text.encode()

"""kcat behind the same face as the Python clients.

kcat takes messages from its standard input, one set of headers and one way to treat an empty key or value for the
whole run, so a list of messages becomes one run for each stretch that agrees in these.  It cannot set timestamps, and
does not tell the offsets it was given.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Iterator, Sequence

import pytest
from interop.messages import MEGABYTE, Headers, Message

DEADLINE_S = 60
MESSAGE_END = "<|>"  # more than one byte, so that no test's text or random bytes contain it
KEY_END = "<:>"
NULL_SIZE = -1


without_kcat = pytest.mark.skipif(shutil.which("kcat") is None, reason="no kcat on the PATH (apt install kcat)")


def run_kcat(
    bootstrap: str, *arguments: str, stdin: bytes = b"", check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        ["kcat", "-b", bootstrap, *arguments], input=stdin, capture_output=True, timeout=DEADLINE_S, check=False
    )
    if check and done.returncode != 0:
        raise AssertionError(f"kcat {' '.join(arguments)} ended with {done.returncode}: {done.stderr.decode()}")
    return done


class Kcat:
    """kcat, an old and much used tool over librdkafka."""

    name = "kcat"
    sets_timestamps = False
    writes_null_headers = True

    def produce(
        self,
        bootstrap: str,
        topic: str,
        messages: Sequence[Message],
        *,
        partition: int = 0,
        codec: str = "none",
        acks: str = "all",
        idempotent: bool = False,
        max_bytes: int = MEGABYTE,
    ) -> list[int]:
        """No offsets: kcat does not tell."""
        settings = {
            "acks": acks,
            "enable.idempotence": str(idempotent).lower(),
            "message.max.bytes": str(max_bytes),
        }
        common = ["-P", "-t", topic, "-p", str(partition), "-z", codec, *_settings(settings)]
        for (headers, has_key, has_value), stretch in itertools.groupby(messages, _manner):
            run_kcat(
                bootstrap,
                *common,
                *(["-K", KEY_END] if has_key else []),
                *([] if has_value else ["-Z"]),
                *[word for header in headers for word in ("-H", _header_argument(header))],
                "-D",
                MESSAGE_END,
                stdin=b"".join(_line(message, has_key) for message in stretch),
            )
        return []

    def read(
        self, bootstrap: str, topic: str, *, count: int, partition: int = 0, offset: int = 0, max_bytes: int = MEGABYTE
    ) -> list[Message]:
        done = run_kcat(
            bootstrap,
            *["-C", "-q", "-t", topic, "-p", str(partition), "-o", str(offset), "-c", str(count)],
            *_settings({"fetch.message.max.bytes": str(max_bytes), "check.crcs": "true"}),
            "-f",
            r"%o %T %K %S\n%k%s%h\n",
        )
        return list(_parse(done.stdout))


def _settings(settings: dict[str, str]) -> list[str]:
    return [word for name, value in settings.items() for word in ("-X", f"{name}={value}")]


def _manner(message: Message) -> tuple[Headers, bool, bool]:
    return (message.headers, message.key is not None, message.value is not None)


def _header_argument(header: tuple[str, bytes | None]) -> str:
    name, value = header
    return name if value is None else f"{name}={value.decode()}"


def _line(message: Message, has_key: bool) -> bytes:
    key = (message.key or b"") + KEY_END.encode() if has_key else b""
    return key + (message.value or b"") + MESSAGE_END.encode()


def _parse(output: bytes) -> Iterator[Message]:
    """Undo the format of `read`: a line of numbers, then key and value by their sizes, then a line of headers."""
    position = 0
    while position < len(output):
        line_end = output.index(b"\n", position)
        offset, timestamp_ms, key_size, value_size = map(int, output[position:line_end].split())
        key, position = _take(output, line_end + 1, key_size)
        value, position = _take(output, position, value_size)
        line_end = output.index(b"\n", position)
        headers = tuple(_header(text) for text in output[position:line_end].decode().split(",") if text)
        position = line_end + 1
        yield Message(key=key, value=value, headers=headers, timestamp_ms=timestamp_ms, offset=offset)


def _take(output: bytes, position: int, size: int) -> tuple[bytes | None, int]:
    if size == NULL_SIZE:
        return None, position
    return output[position : position + size], position + size


def _header(text: str) -> tuple[str, bytes | None]:
    name, _, value = text.partition("=")
    return name, None if value == "NULL" else value.encode()

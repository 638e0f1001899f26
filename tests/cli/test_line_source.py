"""Lines as they come, from whatever file."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from typing import BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ottla.cli.line_source import LineSource


class InPieces(io.RawIOBase):
    """Gives what it has in pieces of its own, as a pipe does."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    def read1(self, size: int = -1) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def lines_of(file: object) -> list[bytes]:
    async def read() -> list[bytes]:
        return [line async for lines in LineSource(file).lines() for line in lines]  # type: ignore[arg-type]

    return asyncio.run(read())


@given(st.lists(st.binary(min_size=1).map(lambda data: data.replace(b"\r", b"")).filter(bool)))
def test_however_it_is_cut_the_lines_are_the_same(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    expected = whole.split(b"\n")

    assert lines_of(InPieces(pieces)) == (expected if expected[-1] else expected[:-1])


def test_a_large_file_without_any_end_of_line_is_one_line_and_does_not_take_minutes() -> None:
    pieces = [b"x" * 65_536] * 2_000

    (line,) = lines_of(InPieces(pieces))

    assert len(line) == 65_536 * 2_000


def test_the_whole_of_it_can_be_had() -> None:
    async def read() -> bytes:
        return await LineSource(InPieces([b"a\n", b"b"])).everything()  # type: ignore[arg-type]

    assert asyncio.run(read()) == b"a\nb"


def test_a_line_is_there_when_it_is_written_not_when_more_are() -> None:
    async def read(pipe: BinaryIO, writer: int) -> list[list[bytes]]:
        source = LineSource(pipe).lines()
        seen = []
        for number in range(3):
            os.write(writer, b"%d\n" % number)
            seen.append(await asyncio.wait_for(anext(source), 60))
        return seen

    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as pipe:
        try:
            assert asyncio.run(read(pipe, writer)) == [[b"0"], [b"1"], [b"2"]]
        finally:
            os.close(writer)


def test_what_cannot_be_read_is_said() -> None:
    class Broken(InPieces):
        def read1(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        lines_of(Broken([]))


def test_a_command_that_ends_before_its_input_leaves_no_thread_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.BytesIO):
        def read1(self, size: int | None = -1) -> bytes:
            try:
                return super().read1(size)
            finally:
                was_read.set()

    async def begin() -> None:
        LineSource(file)
        await asyncio.to_thread(was_read.wait, 60)
        for each in threading.enumerate():
            if each.name == "lines to send":
                await asyncio.to_thread(each.join, 60)

    failed: list[object] = []
    monkeypatch.setattr(threading, "excepthook", failed.append)
    was_read, file = threading.Event(), Closed(b"more")
    file.close()
    asyncio.run(begin())
    assert was_read.is_set()
    assert not failed

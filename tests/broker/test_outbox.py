"""What one connection has yet to send, over real sockets: in order, byte for byte, at the peer's pace."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ottla.broker.outbox import BURST_BYTES, JOIN_BYTES, PIECE_BYTES, Outbox
from ottla.protocol.fetch import Part
from ottla.storage.file_slice import FileSlice
from ottla.storage.files import Data, File
from ottla.storage.system_files import PORTABLE, SystemFiles

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
FILE_BYTES = 3 * PIECE_BYTES
CONTENT = Random(7).randbytes(FILE_BYTES)


class Sender(asyncio.Protocol):
    """The broker's side of one connection."""

    def __init__(self, *, hidden: bool = False) -> None:
        self._hidden = hidden
        self.failures: list[str] = []
        self.connected = asyncio.Event()
        self.paused = asyncio.Event()
        self.outbox: Outbox
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)
        loop = asyncio.get_running_loop()
        sending = cast(asyncio.Transport, Hidden(self.transport)) if self._hidden else self.transport
        self.outbox = Outbox(sending, loop, self.failed, lambda: None)
        self.connected.set()

    def failed(self, reason: str) -> None:
        self.failures.append(reason)
        self.transport.abort()

    def pause_writing(self) -> None:
        self.paused.set()
        self.outbox.pause()

    def resume_writing(self) -> None:
        self.outbox.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        self.outbox.close()


class Hidden:
    """A transport whose socket is not to be had, as one that encrypts."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport

    def get_extra_info(self, name: str) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class MoodyFile(File):
    """Now and then the disk would have to be waited for: of `moods` reads, once."""

    def __init__(self, file: File, *, moods: int | None = None, seed: int = 0) -> None:
        self.path = file.path
        self._file = file
        self._moods = moods
        self._random = Random(seed)
        self.read_bytes = 0

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        if self._moods is not None and self._random.randrange(self._moods) == 0:
            return None
        self.read_bytes += size_bytes
        return self._file.read_now(size_bytes, position)

    def read(self, size_bytes: int, position: int) -> bytes:
        return self._file.read(size_bytes, position)

    def write(self, data: Data, position: int) -> None:
        raise NotImplementedError

    def size(self) -> int:
        raise NotImplementedError

    def truncate(self, size_bytes: int) -> None:
        raise NotImplementedError

    def sync(self) -> None:
        raise NotImplementedError

    def rename(self, path: str) -> None:
        raise NotImplementedError

    def close(self) -> None:
        self._file.close()


@contextmanager
def kept(path: Path, files: SystemFiles) -> Iterator[File]:
    file = files.open(str(path))
    file.write(CONTENT, 0)
    try:
        yield file
    finally:
        file.close()


def on(loop: str, test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(asyncio.wait_for(test, 60))


@contextmanager
def narrow() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A listening socket and a peer's, whose connection holds little of what was sent and not read."""
    with socket.socket() as listening, socket.socket() as peer:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        listening.bind(("127.0.0.1", 0))
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        peer.setblocking(False)
        yield listening, peer


async def receives(parts: list[Part], *, slow: bool = False, hidden: bool = False) -> tuple[bytes, Sender]:
    """What a peer receives that is sent these parts; a slow one begins when it is waited for."""
    loop = asyncio.get_running_loop()
    sender = Sender(hidden=hidden)
    size_bytes = sum(len(part) if isinstance(part, bytes) else part.size_bytes for part in parts)
    with narrow() as (listening, peer):
        server = await loop.create_server(lambda: sender, sock=listening)
        await loop.sock_connect(peer, server.sockets[0].getsockname())
        await sender.connected.wait()
        sender.outbox.add(parts)
        sender.outbox.pump()
        if slow:
            await sender.paused.wait()
        received = bytearray()
        while len(received) < size_bytes and (data := await loop.sock_recv(peer, 1 << 16)):
            received += data
        sender.transport.abort()
        server.close()
    return bytes(received), sender


def sliced(file: File, position: int, size_bytes: int) -> FileSlice:
    return FileSlice(file, position, size_bytes, 0)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("slow", [False, True], ids=["read at once", "read when it is full"])
@pytest.mark.parametrize(
    "files", [SystemFiles(), SystemFiles(capabilities=PORTABLE)], ids=["this system's", "portable"]
)
def test_parts_arrive_whole_and_in_order(loop: str, slow: bool, files: SystemFiles, tmp_path: Path) -> None:
    async def test(file: File) -> None:
        large, small = FILE_BYTES - 5, JOIN_BYTES
        parts: list[Part] = [b"head", sliced(file, 5, large), b"between", sliced(file, 9, small), b"", b"end"]
        received, sender = await receives(parts, slow=slow)
        assert received == b"head" + CONTENT[5:] + b"between" + CONTENT[9 : 9 + small] + b"end"
        assert not sender.failures

    with kept(tmp_path / "records", files) as file:
        on(loop, test(file))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    cuts=st.lists(st.tuples(st.integers(0, FILE_BYTES - 1), st.integers(1, FILE_BYTES)), min_size=1, max_size=4),
    loop=st.sampled_from(sorted(LOOPS)),
    hidden=st.booleans(),
)
def test_whatever_way_the_records_take_they_arrive_as_they_are(
    seed: int, cuts: list[tuple[int, int]], loop: str, hidden: bool, tmp_path: Path
) -> None:
    async def test(file: File) -> None:
        parts: list[Part] = []
        expected = b""
        for number, (position, size_bytes) in enumerate(cuts):
            size_bytes = min(size_bytes, FILE_BYTES - position)
            parts += [b"<%d>" % number, sliced(file, position, size_bytes)]
            expected += b"<%d>" % number + CONTENT[position : position + size_bytes]
        received, sender = await receives(parts, hidden=hidden)
        assert received == expected
        assert not sender.failures

    with kept(tmp_path / "records", SystemFiles()) as file:
        on(loop, test(MoodyFile(file, moods=4, seed=seed)))


@pytest.mark.skipif(not hasattr(os, "writev"), reason="this system has no such call")
def test_records_and_what_is_around_them_go_to_the_socket_with_one_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def writev(descriptor: int, pieces: list[Any], write: Any = os.writev) -> int:
        calls.append(sum(map(len, pieces)))
        return cast(int, write(descriptor, pieces))

    async def test(file: File) -> None:
        parts: list[Part] = [b"head", sliced(file, 0, FILE_BYTES), b"between", sliced(file, 0, 10), b"end"]
        received, _ = await receives(parts)
        assert calls[0] == len(received) < BURST_BYTES

    monkeypatch.setattr(os, "writev", writev)
    with kept(tmp_path / "records", SystemFiles()) as file:
        on("uvloop", test(file))


@pytest.mark.parametrize("hidden", [False, True], ids=["its socket is known", "its socket is hidden"])
def test_little_is_read_in_vain_for_a_peer_that_takes_little(hidden: bool, tmp_path: Path) -> None:
    async def test(file: MoodyFile) -> None:
        received, _ = await receives([b"head", sliced(file, 0, FILE_BYTES)], slow=True, hidden=hidden)
        assert received == b"head" + CONTENT
        assert FILE_BYTES <= file.read_bytes < 6 * FILE_BYTES

    with kept(tmp_path / "records", SystemFiles()) as file:
        on("uvloop", test(MoodyFile(file)))


@pytest.mark.skipif(not hasattr(os, "writev"), reason="this system has no such call")
def test_what_waits_for_its_turn_behind_a_burst_is_behind_and_then_told_to_be_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def writev(descriptor: int, pieces: list[Any]) -> int:
        return sum(map(len, pieces))  # a peer that takes everything

    async def test(file: File) -> None:
        loop = asyncio.get_running_loop()
        drained = asyncio.Event()
        with narrow() as (listening, peer):
            sender = Sender()
            server = await loop.create_server(lambda: sender, sock=listening)
            await loop.sock_connect(peer, server.sockets[0].getsockname())
            await sender.connected.wait()
            outbox = Outbox(sender.transport, loop, sender.failed, drained.set)
            outbox.add([sliced(file, 0, FILE_BYTES)] * 3)
            outbox.pump()
            assert outbox.is_behind
            assert not drained.is_set()
            await drained.wait()
            assert outbox.is_empty
            assert not outbox.is_behind
            sender.transport.abort()
            server.close()

    monkeypatch.setattr(os, "writev", writev)
    with kept(tmp_path / "records", SystemFiles()) as file:
        on("uvloop", test(file))


def test_an_empty_part_in_front_of_a_cold_one_is_passed_over(tmp_path: Path) -> None:
    async def test(file: File) -> None:
        received, _ = await receives([b"", sliced(file, 0, FILE_BYTES), b"", b"end"])
        assert received == CONTENT + b"end"

    with kept(tmp_path / "records", SystemFiles()) as file:
        on("uvloop", test(MoodyFile(file, moods=1)))


def test_records_that_are_gone_end_the_connection_instead_of_a_wrong_answer(tmp_path: Path) -> None:
    async def test(file: File) -> None:
        file.close()
        received, sender = await receives([b"head", sliced(file, 0, FILE_BYTES)])
        assert received in (b"", b"head")
        (failure,) = sender.failures
        assert "deleted before they could be read" in failure

    with kept(tmp_path / "records", SystemFiles()) as file:
        on("uvloop", test(file))


def test_a_log_that_is_shorter_than_was_promised_ends_the_connection(tmp_path: Path) -> None:
    async def test(file: File) -> None:
        file.truncate(FILE_BYTES - 10)
        _, sender = await receives([b"head", sliced(file, 0, FILE_BYTES)])
        assert len(sender.failures) == 1

    with kept(tmp_path / "records", SystemFiles()) as file:
        on("uvloop", test(file))

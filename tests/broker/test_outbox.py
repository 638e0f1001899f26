"""What one connection has yet to send, over real sockets: in order, byte for byte, at the peer's pace."""

from __future__ import annotations

import asyncio
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
from ottla.broker.outbox import CHUNK_BYTES, JOIN_BYTES, PASSED_ON_BYTES, Outbox
from ottla.protocol.fetch import Part
from ottla.storage.file_slice import FileSlice
from ottla.storage.files import Data, File, FileClosed
from ottla.storage.system_files import PORTABLE, SystemFiles

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
FILE_BYTES = 3 * PASSED_ON_BYTES
CONTENT = Random(7).randbytes(FILE_BYTES)


class Sender(asyncio.Protocol):
    """The broker's side of one connection."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.connected = asyncio.Event()
        self.paused = asyncio.Event()
        self.outbox: Outbox
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=0)
        loop = asyncio.get_running_loop()
        self.outbox = Outbox(self.transport, loop, self.failed, lambda: None)
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


class MoodyFile(File):
    """Passes on all, some, none, or says that it cannot; and now and then the disk would have to be waited for."""

    def __init__(self, file: File, seed: int) -> None:
        self.path = file.path
        self._file = file
        self._random = Random(seed)
        self.passed_bytes = 0

    def send_now(self, to: int, size_bytes: int, position: int) -> int | None:
        mood = self._random.randrange(4)
        if mood == 0:
            return None
        if mood == 1:
            return 0
        some = size_bytes if mood == 2 else self._random.randint(1, size_bytes)
        passed = self._file.send_now(to, some, position)
        self.passed_bytes += passed or 0
        return passed

    def read_now(self, size_bytes: int, position: int) -> bytes | bytearray | None:
        return None if self._random.randrange(3) == 0 else self._file.read_now(size_bytes, position)

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


async def receives(parts: list[Part], *, slow: bool = False) -> tuple[bytes, Sender]:
    """What a peer receives that is sent these parts; a slow one begins when it is waited for."""
    loop = asyncio.get_running_loop()
    sender = Sender()
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
)
def test_whatever_way_the_records_take_they_arrive_as_they_are(
    seed: int, cuts: list[tuple[int, int]], loop: str, tmp_path: Path
) -> None:
    async def test(file: File) -> None:
        parts: list[Part] = []
        expected = b""
        for number, (position, size_bytes) in enumerate(cuts):
            size_bytes = min(size_bytes, FILE_BYTES - position)
            parts += [b"<%d>" % number, sliced(file, position, size_bytes)]
            expected += b"<%d>" % number + CONTENT[position : position + size_bytes]
        received, sender = await receives(parts)
        assert received == expected
        assert not sender.failures

    with kept(tmp_path / "records", SystemFiles()) as file:
        on(loop, test(MoodyFile(file, seed)))


def test_many_records_go_to_the_peer_without_being_read(tmp_path: Path) -> None:
    files = SystemFiles()

    async def test(file: File) -> None:
        moody = MoodyFile(file, 0)
        received, _ = await receives([b"head", sliced(moody, 0, FILE_BYTES)])
        assert received == b"head" + CONTENT
        if files.page_cache is not None:  # else this system cannot
            assert moody.passed_bytes > CHUNK_BYTES

    with kept(tmp_path / "records", files) as file:
        on("uvloop", test(file))


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


def test_a_file_that_is_closed_is_never_passed_on(tmp_path: Path) -> None:
    with kept(tmp_path / "records", SystemFiles()) as file:
        file.close()
        with pytest.raises(FileClosed):
            file.send_now(0, 10, 0)

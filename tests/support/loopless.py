"""A transport in memory: what a connection writes is kept, and its peer's pace is the test's to choose."""

import asyncio


class MemoryTransport(asyncio.Transport):
    """Takes every write; `pause_writing` and `resume_writing` are the test's to call on the protocol."""

    def __init__(self, peer: tuple[str, int] = ("192.0.2.1", 5000)) -> None:
        super().__init__({"peername": peer, "sockname": ("192.0.2.9", 9092)})
        self.written: list[bytes] = []
        self.reading = True
        self.closed = False
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def take(self) -> bytes:
        """What was written since the last take."""
        taken = b"".join(self.written)
        self.written.clear()
        return taken

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Every write is taken, so there is no limit to set."""


async def settled() -> None:
    """Return when everything the loop was asked to do soon is done."""
    for _ in range(5):
        await asyncio.sleep(0)

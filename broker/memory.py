"""A bound on the bytes that half-received requests may hold: `queued.max.request.bytes`.

Bytes are reserved before a buffer grows and released when it is dropped. Where the bound is reached, whoever asked
waits in line with its reading paused, and is served first come, first served as others release. Nothing here
allocates: the budget only counts.

A line of half-sent requests that hold everything and never end would be a deadlock; the server breaks it by closing
the connection that has waited or stalled the longest (`Connection.stalled_since`), so the budget itself stays simple.
"""

from collections import deque
from collections.abc import Callable


class MemoryBudget:
    """Counts reserved bytes up to a limit.

    Invariant: 0 <= used <= limit, but for one reservation larger than what could ever be free, which is granted when
    nothing else is reserved (a request within `socket.request.max.bytes` must pass, however small the budget is).
    """

    __slots__ = ("_waiting", "limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self._waiting: deque[tuple[int, Callable[[], None]]] = deque()

    @property
    def waiting_count(self) -> int:
        """How many reservations are in line."""
        return len(self._waiting)

    def try_reserve(self, size_bytes: int) -> bool:
        """Reserve now, or say no; never jumps the line."""
        if self._waiting or not self._fits(size_bytes):
            return False
        self.used_bytes += size_bytes
        return True

    def wait(self, size_bytes: int, granted: Callable[[], None]) -> None:
        """Stand in line; `granted` is called, with the bytes reserved, from a later `release`."""
        self._waiting.append((size_bytes, granted))

    def withdraw(self, granted: Callable[[], None]) -> None:
        """Leave the line (the connection was lost)."""
        self._waiting = deque(each for each in self._waiting if each[1] != granted)
        self._serve_line()

    def release(self, size_bytes: int) -> None:
        """Give bytes back and serve the line."""
        self.used_bytes -= size_bytes
        assert self.used_bytes >= 0, "more was released than reserved"
        self._serve_line()

    def _serve_line(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, granted = self._waiting.popleft()
            self.used_bytes += size_bytes
            granted()

    def _fits(self, size_bytes: int) -> bool:
        return self.used_bytes + size_bytes <= self.limit_bytes or self.used_bytes == 0

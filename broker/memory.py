"""A bound on the bytes that half-received requests may hold: `queued.max.request.bytes`.

Bytes are reserved before a buffer grows and released when it is dropped. Where the bound is reached, whoever asked
waits in line with its reading paused, and is served first come, first served as others release. Nothing here
allocates: the budget only counts.

There are two lines. A holder of up to an eighth of the limit is small; larger ones together get at most three quarters
of it, so that a few peers who announce a lot and send nothing do not keep everybody else waiting. The one exception
lets a request through that is larger than that share: it passes when no other large one holds anything and the small
ones hold little, so that whatever `socket.request.max.bytes` allows can be sent.

Holders that stall while others wait are ended by the server (`Connection.is_stalling`).
"""

from collections import deque
from collections.abc import Callable

from ..protocol.values import dataclass

SMALL_SHARE = 8
LARGE_SHARE = (3, 4)


@dataclass(frozen=True, slots=True)
class _Waiting:
    """One in line: it has `held_bytes` and wants `size_bytes` more."""

    size_bytes: int
    held_bytes: int
    granted: Callable[[], None]


class MemoryBudget:
    """Counts reserved bytes up to a limit.

    Invariants: 0 <= large_bytes <= used_bytes <= limit_bytes, but for the exception above, which may take it to five
    quarters of the limit. A holder counts as large or small by all that it holds.
    """

    __slots__ = ("_large_limit", "_lines", "_small_limit", "large_bytes", "limit_bytes", "used_bytes")

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.large_bytes = 0
        self._small_limit = limit_bytes // SMALL_SHARE
        self._large_limit = limit_bytes * LARGE_SHARE[0] // LARGE_SHARE[1]
        self._lines: tuple[deque[_Waiting], deque[_Waiting]] = (deque(), deque())  # small ones, large ones

    @property
    def waiting_count(self) -> int:
        """How many are in line."""
        small, large = self._lines
        return len(small) + len(large)

    def has_room(self, size_bytes: int) -> bool:
        """Whether `size_bytes` more would fit and nobody waits."""
        small, large = self._lines
        return not small and not large and self.used_bytes + size_bytes <= self.limit_bytes

    def try_reserve(self, size_bytes: int, *, held_bytes: int = 0) -> bool:
        """Reserve for one who holds `held_bytes` already, or say no; nobody jumps their line."""
        if self._lines[self._is_large(held_bytes + size_bytes)] or not self._fits(size_bytes, held_bytes):
            return False
        self._take(size_bytes, held_bytes)
        return True

    def wait(self, size_bytes: int, granted: Callable[[], None], *, held_bytes: int = 0) -> None:
        """Stand in line; `granted` is called, with the bytes reserved, from a later `release`."""
        self._lines[self._is_large(held_bytes + size_bytes)].append(_Waiting(size_bytes, held_bytes, granted))

    def withdraw(self, granted: Callable[[], None]) -> None:
        """Leave the line (the connection was lost)."""
        for line in self._lines:
            kept = [each for each in line if each.granted != granted]
            line.clear()
            line.extend(kept)
        self._serve_lines()

    def release(self, held_bytes: int) -> None:
        """Give back all that one holder holds, and serve the lines."""
        self.used_bytes -= held_bytes
        if self._is_large(held_bytes):
            self.large_bytes -= held_bytes
        assert 0 <= self.large_bytes <= self.used_bytes, "more was released than reserved"
        self._serve_lines()

    def _serve_lines(self) -> None:
        for line in self._lines:
            while line and self._fits(line[0].size_bytes, line[0].held_bytes):
                served = line.popleft()
                self._take(served.size_bytes, served.held_bytes)
                served.granted()

    def _take(self, size_bytes: int, held_bytes: int) -> None:
        self.used_bytes += size_bytes
        if self._is_large(held_bytes + size_bytes):
            self.large_bytes += size_bytes if self._is_large(held_bytes) else size_bytes + held_bytes

    def _fits(self, size_bytes: int, held_bytes: int) -> bool:
        total_bytes = held_bytes + size_bytes
        if not self._is_large(total_bytes):
            return self.used_bytes + size_bytes <= self.limit_bytes
        large_after = self.large_bytes + (size_bytes if self._is_large(held_bytes) else total_bytes)
        if large_after <= self._large_limit:
            return self.used_bytes + size_bytes <= self.limit_bytes
        others = self.used_bytes - held_bytes
        others_large = self.large_bytes - (held_bytes if self._is_large(held_bytes) else 0)
        return others_large == 0 and others <= self.limit_bytes - self._large_limit

    def _is_large(self, size_bytes: int) -> bool:
        return size_bytes > self._small_limit

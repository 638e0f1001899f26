"""From received bytes to frames, without I/O: what one connection has received and not served yet.

Bytes are received into one buffer that all connections share, because a loop serves one of them at a time: in the
common case whole requests arrive, are served where they lie, and the connection owns no memory at all.

    target() --recv_into--> received(n) --> next_frame()* --> settle()
                        --> grows(n): a part of a request that is coming, and there is nothing else to do

Only what is left then, a request cut in the middle or requests that must wait for an earlier one, is moved to memory
of the connection's own (`settle`), which is where the rest of it is received. For that memory the whole size of the
first request is reserved in the budget, so that a request once begun can always end. Until it is reserved, exactly the
bytes that have come are kept; and then memory is taken only as bytes arrive, so that a size sent without its bytes
costs nothing but the reservation.

A frame is a view into either buffer: it is valid until the next `settle`. It is writable: Produce patches offsets in it.
"""

from ..protocol.frames import SIZE_BYTES, frame_size
from ..protocol.primitives import INT32
from .memory import MemoryBudget
from .receive_memory import ReceiveMemory

SMALL_TARGET_BYTES = 4 * 1024  # received at once while memory is short
FIRST_GROWTH_BYTES = 1024 * 1024  # taken at once for a request of that size; larger ones double as they arrive


class Inbox:
    """The received bytes of one connection.

    Invariants: the bytes not served yet are `_view[_start:_end]`; outside of `received` to `settle` they never lie in
    the shared buffer; `reserved_bytes` is what the budget holds for them.
    """

    __slots__ = (
        "_budget",
        "_end",
        "_max_frame_bytes",
        "_memory",
        "_own",
        "_shared",
        "_start",
        "_until",
        "_view",
        "reserved_bytes",
    )

    def __init__(self, memory: ReceiveMemory, budget: MemoryBudget, *, max_frame_bytes: int) -> None:
        self._memory = memory
        self._shared = memory.shared
        self._view = memory.shared
        self._own = False
        self._start = 0
        self._end = 0
        self._until = 0  # below it the first request goes on coming, into memory of its own, and nobody need look
        self._budget = budget
        self._max_frame_bytes = max_frame_bytes
        self.reserved_bytes = 0

    @property
    def unserved_bytes(self) -> int:
        """How many received bytes are not served yet."""
        return self._end - self._start

    @property
    def has_frame(self) -> bool:
        """Whether a whole request is among them."""
        have = self._end - self._start
        return have > SIZE_BYTES and have >= SIZE_BYTES + self._first_size()

    def target(self) -> memoryview:
        """Where to receive next; never empty after `settle` returned without wanting memory."""
        if self._own:
            return self._view[self._end :]
        budget = self._budget
        if not budget.used_bytes or budget.has_room(len(self._shared)):
            return self._shared
        return self._shared[:SMALL_TARGET_BYTES]

    def grows(self, count: int) -> bool:
        """Take into account `count` bytes just received, if the request that is coming is not whole with them, and has room.

        Then there is nothing to serve or settle. Else nothing is noted: say `received`.
        """
        end = self._end + count
        if end >= self._until:
            return False
        self._end = end
        return True

    def received(self, count: int) -> None:
        """`count` bytes were received into `target()`."""
        self._end += count

    def lone_frame(self, count: int) -> memoryview | None:
        """The request that the `count` bytes just received are, if they are one whole request and nothing else is here.

        Nothing is noted of them: whoever serves it may forget it, or else says `received`.
        """
        if self._end or self._own or count <= SIZE_BYTES:
            return None
        view = self._view
        (size,) = INT32.unpack_from(view)
        if size != count - SIZE_BYTES or size > self._max_frame_bytes:
            return None
        return view[SIZE_BYTES:count]

    def next_frame(self) -> memoryview | None:
        """The next whole request without its size, or None. Raises MalformedMessage for an impossible size."""
        view, start = self._view, self._start
        begin = start + SIZE_BYTES
        if self._end < begin:
            return None
        (size,) = INT32.unpack_from(view, start)
        if not 0 < size <= self._max_frame_bytes:
            frame_size(view, start, max_bytes=self._max_frame_bytes)  # raises
        end = begin + size
        if end > self._end:
            return None
        self._start = end
        return view[begin:end]

    def settle(self) -> int:
        """Keep what is left; frames handed out are invalid from here.

        Returns how many bytes must be reserved before more may be received, 0 if none.  Otherwise it is still to be kept: call
        `granted` if they can be reserved now, or else `keep`, and `granted` when they were.  A large request that has begun to
        come is moved once, then, to where all of it will lie.
        """
        have = self._end - self._start
        if not have:
            self.clear()
            return 0
        wanted = max(self._first_bytes(), have) - self.reserved_bytes
        if wanted > 0:
            return wanted
        self.keep()
        return 0

    def granted(self, size_bytes: int) -> None:
        """The budget has reserved `size_bytes` more for this inbox."""
        self.reserved_bytes += size_bytes
        self.keep()

    def clear(self) -> None:
        """Forget everything and give memory and reservation back."""
        if not self._own and not self.reserved_bytes:
            self._start = self._end = 0
            return
        self._let_go()
        self._view = self._shared
        self._own = False
        self._start = self._end = self._until = 0
        if self.reserved_bytes:
            reserved, self.reserved_bytes = self.reserved_bytes, 0
            self._budget.release(reserved)

    def keep(self) -> None:
        """Move what is left to memory of our own, with room to go on when that is reserved, unless it lies so already."""
        have, first = self._end - self._start, self._first_bytes()
        reserved = self.reserved_bytes >= first
        if self._own and (have >= first or not reserved or self._end < len(self._view)):
            return
        capacity = have
        if reserved:
            capacity = max(have, min(max(first, SMALL_TARGET_BYTES), max(FIRST_GROWTH_BYTES, 2 * have)))
        kept = self._memory.take(capacity)
        kept[:have] = self._view[self._start : self._end]
        self._let_go()
        self._view = kept
        self._own = True
        self._start, self._end, self._until = 0, have, min(first, capacity)

    def _let_go(self) -> None:
        if self._own:
            self._memory.give_back(self._view)

    def _first_bytes(self) -> int:
        """What the first request comes to with its size, as far as that is known."""
        return SIZE_BYTES + self._first_size() if self._end - self._start >= SIZE_BYTES else SIZE_BYTES

    def _first_size(self) -> int:
        (size,) = INT32.unpack_from(self._view, self._start)
        return int(size)

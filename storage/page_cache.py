"""Whether bytes of a file lie in the system's page cache, so that passing them on waits for no disk.

Linux counts the pages of a range that it holds (`cachestat`, from 6.5 on), in 2 µs for a megabyte; neither Python nor the C
library has a name for that call yet, so it goes by its number, which is the same on every architecture.  Where the kernel is
older, or a sandbox does not let it through, nobody knows, and that is said, too.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from mmap import PAGESIZE

CACHESTAT = 451
_COUNTS = 5  # cached, dirty, under writeback, evicted, recently evicted


class PageCache:
    """One process's way to ask. Owned by one thread; `knows` turns False for good when the system does not answer.

    `call` is the system's `syscall`, unless a test has another.
    """

    def __init__(self, call: Callable[..., int] | None = None) -> None:
        self.knows = sys.platform == "linux"
        if not self.knows:
            return
        import ctypes  # only those need it who send much

        self._call = call or ctypes.CDLL(None, use_errno=True).syscall
        self._range = (ctypes.c_uint64 * 2)()
        self._counts = (ctypes.c_uint64 * _COUNTS)()

    def holds(self, descriptor: int, position: int, size_bytes: int) -> bool:
        """Whether all of these bytes were there a moment ago; a page counts that is yet to be filled by a read under way."""
        self._range[0], self._range[1] = position, size_bytes
        if self._call(CACHESTAT, descriptor, self._range, self._counts, 0) != 0:
            self.knows = False
            return False
        first, last = position // PAGESIZE, (position + size_bytes - 1) // PAGESIZE
        return bool(self._counts[0] == last - first + 1)

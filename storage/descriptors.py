"""Descriptors of files, opened on first use and kept within a bound.

    file.descriptor --there?--> use it
         | None
         +--> DescriptorCache.open(file) --full?--> the file used least lately loses its own

A descriptor is an object, and is closed when the last reference to it goes. Whoever uses one holds a reference meanwhile; so
one that is evicted, or whose file is closed, stays open under a reader or a sync in another thread, and its number cannot
become another file's under a write. Nothing is locked or counted to use one, which was 4 of the 61 µs of a lone request.
The bound may be passed by as many as are in use that moment.

Which one goes is found as a clock finds it (second chance): a use only sets `recently_used`; whoever looks for a victim takes
that away and passes on. Files that were synced since their last write go before those that were not, because a descriptor
that stays open is sure to be told of a failed writeback.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections import OrderedDict
from itertools import islice

from .files import File, FileClosed

DEFAULT_MAX_DESCRIPTORS = 1000
# Half of what the process may open: the rest is for sockets.
DESCRIPTOR_SHARE = 0.5
# What is open beside files of logs and connections: the loop's own, listening sockets, the lock, standard streams.
OTHER_DESCRIPTORS = 24
# How many of the oldest are looked at for a synced one before the oldest is closed whatever it is.
EVICTION_LOOKAHEAD = 32

_OPEN_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)

_log = logging.getLogger(__name__)


def default_max_descriptors() -> int:
    """What the process's limit allows, at most the default; systems without such a limit get the default."""
    limit = limit_of_open_files()
    return (
        DEFAULT_MAX_DESCRIPTORS
        if limit is None
        else max(16, min(DEFAULT_MAX_DESCRIPTORS, int(limit * DESCRIPTOR_SHARE)))
    )


def room_for_connections() -> int | None:
    """How many sockets may be open without one of the files' share; None where there is no limit."""
    limit = limit_of_open_files()
    return None if limit is None else max(1, limit - default_max_descriptors() - OTHER_DESCRIPTORS)


def limit_of_open_files() -> int | None:
    """How many descriptors the process may have (`ulimit -n`); None where there is no limit."""
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


class Descriptor:
    """An open descriptor, closed with its last reference."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        try:
            os.close(self.number)
        except OSError as error:  # nothing that was promised: what must be on the disk was synced
            _log.warning("closing a file: %s", error)


class CachedFile(File):
    """What the cache knows of a file. Any thread may use it; the cache's lock is held to change `path` and `descriptor`."""

    __slots__ = ("descriptor", "is_closed", "recently_used", "unsynced")

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor: Descriptor | None = None
        self.recently_used = False
        self.unsynced = False  # written since its last sync
        self.is_closed = False  # for good


class DescriptorCache:
    """At most `max_descriptors` that nobody uses. The lock is held for dictionary work and at most one open and one close."""

    def __init__(self, max_descriptors: int, access: int = os.O_RDWR) -> None:
        self.max_descriptors = max_descriptors
        self._open_flags = access | _OPEN_FLAGS
        self._lock = threading.Lock()
        self._opened: OrderedDict[CachedFile, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._opened)

    def open(self, file: CachedFile, create: int = 0) -> Descriptor:
        """The file's descriptor, to be held while it is used; `create` is O_CREAT for the calls that may make the file.

        Raises FileClosed, OSError.
        """
        with self._lock:
            if file.is_closed:
                raise FileClosed(errno.EBADF, "closed", file.path)
            descriptor = file.descriptor
            if descriptor is None:
                if len(self._opened) >= self.max_descriptors:
                    self._drop(self._victim())
                descriptor = Descriptor(os.open(file.path, self._open_flags | create, 0o644))
                file.descriptor = descriptor
                self._opened[file] = None
            return descriptor

    def close(self, file: CachedFile) -> None:
        """For good."""
        with self._lock:
            file.is_closed = True
            self._drop(file)

    def rename(self, file: CachedFile, path: str, *, close_first: bool) -> None:
        """Under the lock: a reader whose descriptor was evicted must not open the old name meanwhile. OSError."""
        with self._lock:
            if close_first:
                self._drop(file)
            os.replace(file.path, path)
            file.path = path

    def _victim(self) -> CachedFile:
        opened = self._opened
        oldest = next(iter(opened))
        for _ in range(len(opened)):  # once round at most
            if not oldest.recently_used:
                break
            oldest.recently_used = False
            opened.move_to_end(oldest)
            oldest = next(iter(opened))
        for file in islice(opened, EVICTION_LOOKAHEAD):
            if not file.unsynced and not file.recently_used:
                return file
        return oldest

    def _drop(self, file: CachedFile) -> None:
        if file.descriptor is not None:
            del self._opened[file]
            file.descriptor = None

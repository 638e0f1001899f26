"""Which offset each key has last, in a fixed number of bytes: a hash table of key digests.

    slot   digest 16 bytes (MD5 of the key), offset + 1 as int64; all zero: free          24 bytes

Keys themselves are not kept, so a table's size depends on how many there are, not on how long. Two keys with one digest
would be taken for one, and the older one's records lost; with 128 bits nobody will see that. Where a key belongs is taken
from its digest: four bytes of it say a slot, the next four bytes (one further on) another, and after those the slots that
follow, as in Kafka's `SkimpyOffsetMap`.

The table is as large as the log to be cleaned can use, and at most as large as it may be (`log.cleaner.dedupe.buffer.size`,
by the threads that share it). It is full when `log.cleaner.io.buffer.load.factor` of it is in use: then what was mapped so
far is cleaned, and the rest another time.
"""

from __future__ import annotations

from hashlib import md5
from struct import Struct

NO_OFFSET = -1
SLOT_BYTES = 24
ROOM = 2  # slots for each key that may come, where there is memory for that: looking a key up is one step then

_SLOT = Struct("<16sq")
_PROBE = Struct(">I")
_DIGEST_PROBES = 13  # the four-byte numbers in sixteen bytes


class OffsetMap:
    """Digests to offsets, at most `max_entries`. Everything up to `latest_offset` was looked at."""

    __slots__ = ("_slots", "_table", "entry_count", "latest_offset", "max_entries")

    def __init__(self, slots: int, max_entries: int) -> None:
        self._slots = slots
        self._table = bytearray(slots * SLOT_BYTES)
        self.max_entries = max_entries
        self.entry_count = 0
        self.latest_offset = NO_OFFSET

    @classmethod
    def of_size(cls, memory_bytes: int, *, load_factor: float, expected_count: int) -> OffsetMap:
        """A map in at most `memory_bytes`, and in less when at most `expected_count` keys can come."""
        most_slots = max(memory_bytes // SLOT_BYTES, 1)
        slots = min(most_slots, expected_count * ROOM + 1)
        return cls(slots, min(int(most_slots * load_factor), slots))

    @property
    def is_full(self) -> bool:
        return self.entry_count >= self.max_entries

    def put(self, key: bytes, offset: int) -> None:
        """Note the newest offset of a key. The map is not full."""
        digest = md5(key, usedforsecurity=False).digest()
        position, found = self._find(digest)
        if not found:
            assert self.entry_count < self._slots, "the offset map is full"
            self.entry_count += 1
        _SLOT.pack_into(self._table, position, digest, offset + 1)

    def get(self, key: bytes) -> int:
        """The key's newest offset; -1 when it was never put."""
        found = self._find(md5(key, usedforsecurity=False).digest())[1]
        return found - 1 if found else NO_OFFSET

    def _find(self, digest: bytes) -> tuple[int, int]:
        """Where the digest is, or would go, and its offset + 1 (0: it is not there, or there is no free slot left)."""
        position = int.from_bytes(digest[:4]) % self._slots * SLOT_BYTES
        known, found = _SLOT.unpack_from(self._table, position)
        if known == digest or not found:
            return position, found
        return self._find_further(digest)

    def _find_further(self, digest: bytes) -> tuple[int, int]:
        table, slots = self._table, self._slots
        probe = 0
        for attempt in range(1, slots + _DIGEST_PROBES):
            if attempt < _DIGEST_PROBES:
                (probe,) = _PROBE.unpack_from(digest, attempt)
            else:
                probe += 1
            position = probe % slots * SLOT_BYTES
            known, found = _SLOT.unpack_from(table, position)
            if not found or known == digest:
                return position, found
        return 0, 0

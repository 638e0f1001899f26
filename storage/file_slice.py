"""Bytes of a log on their way to a reader: located, not read."""

from __future__ import annotations

from typing import NamedTuple

from ..protocol.errors import ErrorCode, KafkaError
from .files import File, FileClosed


class FileSlice(NamedTuple):
    """A run of a segment's file that begins with a whole batch and may end inside one.

    Stays good while its segment is being deleted, until the file is removed; reading says
    OFFSET_OUT_OF_RANGE (a KafkaError) after that. Reading gives all the bytes or raises.
    """

    file: File
    position: int
    size_bytes: int
    base_offset: int  # of the first batch; at most the offset that was asked for

    def read_now(self) -> bytes | bytearray | memoryview | None:
        """The bytes, or None when the disk would have to be waited for; on the loop's thread only."""
        try:
            data = self.file.read_chunk_now(self.size_bytes, self.position)
        except FileClosed as error:
            raise self._gone() from error
        if data is not None and len(data) != self.size_bytes:
            raise self._gone()
        return data

    def read(self) -> bytes:
        """The bytes; may wait for the disk (any thread)."""
        try:
            data = self.file.read(self.size_bytes, self.position)
        except FileClosed as error:
            raise self._gone() from error
        if len(data) != self.size_bytes:
            raise self._gone()
        return data

    def first(self, size_bytes: int) -> FileSlice:
        """Itself, or as much of its beginning if it is larger."""
        if self.size_bytes <= size_bytes:
            return self
        return FileSlice(self.file, self.position, size_bytes, self.base_offset)

    def behind(self, size_bytes: int) -> FileSlice:
        """All but so much of its beginning; its base offset means nothing: it does not begin with a batch."""
        return FileSlice(self.file, self.position + size_bytes, self.size_bytes - size_bytes, self.base_offset)

    def _gone(self) -> KafkaError:
        return KafkaError(
            ErrorCode.OFFSET_OUT_OF_RANGE,
            f"the records from offset {self.base_offset} on were deleted before they could be read",
        )
